"""What is known of each user by category: people moved, subjects bought, and what the people around bought."""

from contextlib import closing

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot
from features.tie_parts import influencers_in_parts
from training.roomy import spooled

CATEGORY_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "category": pa.string(),
        "influence": pa.float64(),
        "bought": pa.int64(),
        "around": pa.int64(),
    }
)
"""Columns of `category_record`."""

BY_CATEGORY = ("weight", "bought", "around")
"""What is known of a user by category, as the engine adds it up; see `category_record`."""


def category_record(snapshot: Snapshot) -> pa.RecordBatchReader:
    """What is known of each user by category, sorted by category and user; who has nothing of one is not listed for it.

    There are tens of rows for each user, which the engine adds up within its memory and a file holds until they are read.

    user_id    string
    category   string
    influence  float64  people moved, >= 0
    bought     int64    subjects that the user bought
    around     int64    (follower, subject) that the people around bought
    """
    engine, parts, held = snapshot.engine, [_by_category(_moved(snapshot))], []
    if "adoptions" in snapshot and snapshot.has("items", "category"):
        items = snapshot["items"].select("item_id", "category")
        named = snapshot["adoptions"].join(items, "item_id").filter(lambda t: t.category.notnull())
        held.append(engine.materialise(named.group_by("user_id", "category").agg(bought=named.count())))
        parts.append(_by_category(held[0]))
        if "pairs" in snapshot:
            held.append(_around(snapshot, held[0]))
            parts.append(_by_category(held[1]))
    every = parts[0] if len(parts) == 1 else ibis.union(*parts)
    summed = every.group_by("user_id", "category").agg(**{name: every[name].sum().cast("int64") for name in BY_CATEGORY})
    told = summed.select("user_id", "category", "bought", "around", influence=summed.weight / WEIGHT_UNIT)
    with closing(engine.stream(told.select(*CATEGORY_SCHEMA.names).order_by(["category", "user_id"]))) as rows:
        found = spooled(rows, CATEGORY_SCHEMA)
    engine.release(*held)
    return found


def _around(snapshot: Snapshot, taken: ir.Table) -> ir.Table:
    """(user_id, category, around) of ``taken`` (user_id, category, bought), over the people around each user."""
    pairs = snapshot["pairs"].select("user_id", "influencer_id")
    followed = taken.join(pairs, "user_id")
    around = followed.group_by("influencer_id", "category").agg(around=followed.bought.sum().cast("int64"))
    parts = influencers_in_parts(pairs, snapshot.engine)
    return snapshot.engine.materialise(*(some.of(around).rename(user_id="influencer_id") for some in parts), in_order=True)


def _by_category(table: ir.Table) -> ir.Table:
    """(user_id, category) with all that is told of them, 0 for what ``table`` does not hold."""
    known = {name: table[name] if name in table.columns else ibis.literal(0, "int64") for name in BY_CATEGORY}
    return table.select("user_id", "category", **known)


def category_influence(snapshot: Snapshot) -> pa.Table:
    """(user_id, category, influence) of all ledger rows with a category, in people moved, sorted."""
    rows = snapshot.engine.to_arrow(_moved(snapshot)).sort_by([("category", "ascending"), ("user_id", "ascending")])
    influence = np.asarray(rows["weight"].to_numpy(), dtype=float) / WEIGHT_UNIT
    return pa.table({"user_id": rows["user_id"], "category": rows["category"], "influence": influence})


def _moved(snapshot: Snapshot) -> ir.Table:
    """(user_id, category, weight) of all ledger rows with a category."""
    ledger = snapshot["ledger"].filter(lambda t: t.category.notnull() & (t.weight > 0))
    return ledger.group_by(user_id="influencer_id", category=ledger.category).agg(weight=ledger.weight.sum().cast("int64"))
