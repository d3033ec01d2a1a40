"""Who moved others and who stayed, by paid tier and by permission: counts with intervals, and no statement about causes."""

from collections.abc import Callable
from math import sqrt

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.blocks.levels import FREE, GRANT, GRANTED, TIER
from features.snapshot import Snapshot

Z = 1.959964

SLICES = pa.schema(
    {
        "slice": pa.string(),
        "value": pa.string(),
        "people": pa.int64(),
        "moved": pa.int64(),
        "moved_share": pa.float64(),
        "moved_low": pa.float64(),
        "moved_high": pa.float64(),
        "stayed": pa.int64(),
        "stayed_share": pa.float64(),
        "stayed_low": pa.float64(),
        "stayed_high": pa.float64(),
    }
)
"""Columns of `membership_slices`."""


def membership_slices(snapshot: Snapshot) -> pa.Table:
    """Over the horizon that ends at ``as_of``, by what held when it began; of everybody who had acted by then.

    Three slices: ``tier``: each tier, and ``paid`` or ``free`` in ``paid``; ``permission``: people who had moved somebody
    before, with and without a permission to distribute. Who pays or may distribute differs from others in more than
    that, so that a difference is no effect.

    Returns:
        slice         string
        value         string
        people        int64    who had acted before the horizon
        moved         int64    of them, those who moved somebody within it
        moved_share   float64  with its 95 % interval (Wilson 1927), moved_low and moved_high
        stayed        int64    those who acted within it
        stayed_share  float64  with stayed_low and stayed_high
    """
    start = snapshot.as_of - snapshot.time.horizon
    acts, ledger = snapshot["acts"], snapshot["ledger"].filter(lambda t: t.weight > 0)
    people = acts.group_by("user_id").agg(
        stayed=acts.count(where=acts.happened_at >= start) > 0, first_at=acts.happened_at.min()
    )
    people = people.filter(people.first_at < start)
    movers = ledger.group_by(mover_id="influencer_id").agg(
        moved=ledger.count(where=ledger.happened_at >= start), before=ledger.count(where=ledger.happened_at < start)
    )
    seen = people.left_join(movers, people.user_id == movers.mover_id)
    seen = seen.select("user_id", "stayed", moved=seen.moved.fill_null(0) > 0, before=seen.before.fill_null(0) > 0)
    rows = []
    if "attributes" in snapshot:
        tier = _held(snapshot, lambda name: name == TIER)
        named = seen.left_join(tier, "user_id").select("stayed", "moved", value=tier.value.fill_null("unknown"))
        rows += _counted(snapshot, named, "tier")
        pays = ibis.ifelse(named.value.isin((*FREE, "unknown")), "free", "paid")
        rows += _counted(snapshot, named.mutate(value=pays), "paid")
        grants = _held(snapshot, lambda name: name.endswith(GRANT))
        grants = grants.filter(grants.value.isin(GRANTED))
        known = seen.filter(seen.before)
        may = known.left_join(grants, "user_id")
        rows += _counted(
            snapshot,
            may.select("stayed", "moved", value=ibis.ifelse(may.value.notnull(), "granted", "not granted")),
            "permission",
        )
    return pa.Table.from_pylist(rows, schema=SLICES)


def wilson(part: int, whole: int) -> tuple[float | None, float | None, float | None]:
    """The share and its 95 % score interval; nothing of nobody."""
    if not whole:
        return None, None, None
    share = part / whole
    middle, spread = share + Z * Z / (2 * whole), Z * sqrt(share * (1 - share) / whole + Z * Z / (4 * whole * whole))
    return share, (middle - spread) / (1 + Z * Z / whole), (middle + spread) / (1 + Z * Z / whole)


def _held(snapshot: Snapshot, of: Callable[[ir.StringColumn], ir.BooleanValue]) -> ir.Table:
    """(user_id, value): the latest value of such attributes when the horizon began; of several the largest."""
    dated = snapshot["attributes"]
    dated = dated.filter(of(dated.name), dated.valid_from < snapshot.as_of - snapshot.time.horizon)
    latest = dated.group_by("user_id", "name").agg(valid_from=dated.valid_from.max())
    current = dated.join(latest, ["user_id", "name", "valid_from"])
    return current.group_by("user_id").agg(value=current.value.lower().max())


def _counted(snapshot: Snapshot, rows: ir.Table, name: str) -> list[dict[str, object]]:
    told = rows.group_by("value").agg(
        people=rows.count(), moved=rows.count(where=rows.moved), stayed=rows.count(where=rows.stayed)
    )
    found = snapshot.engine.to_arrow(told).sort_by("value").to_pylist()
    return [
        {"slice": name, **row}
        | dict(zip(("moved_share", "moved_low", "moved_high"), wilson(row["moved"], row["people"]), strict=True))
        | dict(zip(("stayed_share", "stayed_low", "stayed_high"), wilson(row["stayed"], row["people"]), strict=True))
        for row in found
    ]
