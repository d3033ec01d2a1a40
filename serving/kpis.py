"""The ledger of assets: what candidates of each category amount to, what they cost, how reach turns into money."""

from collections import Counter, defaultdict

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.snapshot import Snapshot
from features.tie_parts import influencers_in_parts
from features.value import costs
from serving.store.schemas import KPIS_SCHEMA

TOTAL = "total"
"""Of everything, people counted once; as ``scope`` of its row."""


def kpis(snapshot: Snapshot, users: pa.Table) -> pa.Table:
    """One row per category of the influence ledger and one for what has none, by name; the last is of all.

    users: ``user_id`` and, where amounts are known, ``lifetime_value``. Money is exact, in minor units; that of the other
    rows adds up to that of the last.

    scope                 string   ``category`` or ``total``
    category              string   null for influence without a category, and in the total
    candidates            int64    people who moved somebody in it
    reached               int64    people around these by ties, or moved by them
    led_in                int64    people moved
    served                int64    of those, who were moved to a second thing or bought again
    paid                  int64    of those led in, who paid
    won                   int64    people whose first order it was
    amount                int64    minor units credited
    cost                  int64    minor units of rewards and contacts, each user's divided by people moved in each category
    lead_in_rate          float64  led_in over reached, 0 to 1
    service_rate          float64  served over led_in, 0 to 1
    cash_in_rate          float64  paid over led_in, 0 to 1
    acquisition_cost      float64  cost over won; null where nobody was won or no cost is known
    lifetime_value_each   float64  mean expected of the people won within 365 days; null where not known
    """
    ledger = snapshot["ledger"]
    parts = [_counted(snapshot, ledger.category), _counted(snapshot, ibis.null("string"))]
    by_category, total = (part.sort_by("category") for part in parts)
    cost = _divided_costs(snapshot)
    worth = _worth(snapshot, users)
    rows = [{**row, "scope": "category"} for row in by_category.to_pylist()]
    known = {row["category"] for row in rows}
    if cost is not None:
        # What was paid to people who moved nobody belongs to no category.
        rows += [{"scope": "category", "category": name} for name in cost if name not in known]
    everything = total.to_pylist()
    rows.append({**(everything[0] if everything else {}), "scope": TOTAL, "category": None})
    for row in rows:
        _complete(row, cost, worth)
    first, last = rows[:-1], rows[-1]
    first.sort(key=lambda row: (row["category"] is None, row["category"] or ""))
    return pa.Table.from_pylist([*first, last], KPIS_SCHEMA)


def _counted(snapshot: Snapshot, category: ibis.expr.types.StringValue) -> pa.Table:
    """Counts of people and money by ``category``, a column of the ledger or null for all in one."""
    ledger = snapshot["ledger"].mutate(category=category)
    pairs = ledger.group_by("category", "influencer_id", "influenced_id").agg(
        moves=ledger.count(), amount=ledger.value.sum(), weight=ledger.weight.sum(), new=ledger.is_new.max()
    )
    moved = pairs.group_by("category", "influenced_id").agg(
        moves=pairs.moves.sum(), amount=pairs.amount.sum(), new=pairs.new.max()
    )
    leaders = pairs.select("category", "influencer_id").distinct()
    around = pairs.select("category", person_id="influenced_id")
    if "pairs" in snapshot:
        ties = snapshot["pairs"].select("influencer_id", person_id="user_id")
        around = ibis.union(around, leaders.join(ties, "influencer_id").select("category", "person_id"))
    # People once each before they are counted: an engine spills the rows of a table, and not those of a count.
    around = around.distinct()
    joined: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
    for some in influencers_in_parts(snapshot["pairs" if "pairs" in snapshot else "ledger"], snapshot.engine):
        people = some.of(moved, "influenced_id")
        led = people.group_by("category").agg(
            led_in=people.count(),
            served=people.count(where=people.moves > 1),
            paid=people.count(where=people.amount > 0),
            won=people.count(where=people.new),
            amount=people.amount.sum().fill_null(0).cast("int64"),
        )
        candidates = some.of(leaders).group_by("category").agg(candidates=ibis._.count())
        reached = some.of(around, "person_id").group_by("category").agg(reached=ibis._.count())
        for part in (led, candidates, reached):
            for row in snapshot.engine.to_arrow(part).to_pylist():
                joined[row.pop("category")].update(row)
    rows = [{"category": name, **counts} for name, counts in joined.items()]
    schema = pa.schema([KPIS_SCHEMA.field(name) for name in
                        ("category", "candidates", "reached", "led_in", "served", "paid", "won", "amount")])  # fmt: skip
    return pa.Table.from_pylist(rows, schema)


def _divided_costs(snapshot: Snapshot) -> dict[str | None, int] | None:
    """Category -> cost: each user's in proportion to people moved, the rest of a division to the largest remainders."""
    priced = costs(snapshot)
    if priced is None:
        return None
    ledger = snapshot["ledger"]
    moved = ledger.group_by(user_id="influencer_id", category=ledger.category).agg(weight=ledger.weight.sum().cast("int64"))
    rows = snapshot.engine.to_arrow(priced.left_join(moved, "user_id").select("user_id", "cost_paid", "category", "weight"))
    rows = rows.sort_by([("user_id", "ascending"), ("category", "ascending")])
    found: dict[str | None, int] = {}
    whole = pc.fill_null(rows["weight"], 0).to_pylist()
    users, cost, category = (rows[name].to_pylist() for name in ("user_id", "cost_paid", "category"))
    start = 0
    for end in range(1, len(users) + 1):
        if end == len(users) or users[end] != users[start]:
            for place, share in enumerate(divided(cost[start], whole[start:end])):
                found[category[start + place]] = found.get(category[start + place], 0) + share
            start = end
    return found


def divided(amount: int, weights: list[int]) -> list[int]:
    """``amount`` in whole units in proportion to ``weights``, adding up to it; without weights all goes to the first."""
    total = sum(weights)
    if not total:
        return [amount, *[0] * (len(weights) - 1)]
    parts = [amount * weight // total for weight in weights]
    left = amount - sum(parts)
    by_remainder = sorted(range(len(weights)), key=lambda place: (-(amount * weights[place] % total), place))
    for place in by_remainder[:left]:
        parts[place] += 1
    return parts


def _worth(snapshot: Snapshot, users: pa.Table) -> dict[str | None, float] | None:
    """Category (and ``TOTAL``) -> mean lifetime value of the people won in it."""
    if "lifetime_value" not in users.column_names:
        return None
    ledger = snapshot["ledger"]
    won = ledger.filter(ledger.is_new).select("category", user_id="influenced_id").distinct()
    rows = snapshot.engine.to_arrow(won)
    place = pc.index_in(rows["user_id"].combine_chunks(), value_set=users["user_id"].combine_chunks())
    value = pc.take(users["lifetime_value"], place)
    # By id, so that sums of floats do not depend on the order of rows.
    rows = rows.append_column("value", value).filter(pc.is_valid(value)).sort_by("user_id")
    found: dict[str | None, float] = {}
    for name in pc.unique(rows["category"]).to_pylist():
        same = pc.is_null(rows["category"]) if name is None else pc.equal(rows["category"], name)
        found[name] = float(np.mean(rows.filter(same)["value"].to_numpy()))
    _, first = np.unique(rows["user_id"].to_numpy().astype(str), return_index=True)
    if len(first):
        found[TOTAL] = float(np.mean(rows["value"].to_numpy()[first]))
    return found


def _complete(row: dict[str, object], cost: dict[str | None, int] | None, worth: dict[str | None, float] | None) -> None:
    """Rates, cost and worth added to the counts of ``row``."""
    whole = row["scope"] == TOTAL
    name = row["category"]
    for count in ("candidates", "reached", "led_in", "served", "paid", "won", "amount"):
        row.setdefault(count, 0)
    for rate, part, of in (("lead_in_rate", "led_in", "reached"), ("service_rate", "served", "led_in"),
                           ("cash_in_rate", "paid", "led_in")):  # fmt: skip
        row[rate] = row[part] / row[of] if row[of] else None  # type: ignore[operator]
    row["cost"] = None if cost is None else sum(cost.values()) if whole else cost.get(name, 0)  # type: ignore[call-overload]
    row["acquisition_cost"] = row["cost"] / row["won"] if cost is not None and row["won"] else None  # type: ignore[operator]
    row["lifetime_value_each"] = None if worth is None else worth.get(TOTAL if whole else name)  # type: ignore[call-overload]
