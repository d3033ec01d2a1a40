"""Levels, paid tiers and permissions of each user: what holds, since when, and what may come next."""

from collections.abc import Callable
from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

LEVEL, TIER = "level", "tier"
"""Names of the attributes."""

GRANT = "_grant"
"""How names of attributes end that hold a permission, such as ``distributor_grant``."""

GRANTED = ("yes", "true", "1", "granted", "是", "有")
FREE = ("normal", "free", "basic", "none", "no", "0", "普通", "无")
"""Values of a tier that nobody pays for; every other one is paid."""

LEVEL_WORDS = ("rookie", "member", "senior", "expert", "leader")
"""Levels without a number, the lowest first, from 1; of any other, the number in it counts."""

SHRINKAGE = 20.0
"""People of the level above (and of all levels) that a count of own is weighed against."""


@block({"attributes": ()})
def levels(snapshot: Snapshot) -> ir.Table:
    """History of the attribute ``level``, and how likely the next one is.

    level_rank         float64  -       number in the level, such as 3 of V3
    level_days         float64  days    since the present level began, > 0
    level_ups_all      int64    levels  changes to a higher level in all history
    level_ups_{w}      int64    levels  changes to a higher level in the window
    level_downs        int64    levels  changes to a lower level in all history
    next_level         float64  -       probability of a higher level within the horizon, 0 to 1; see `next_level_rates`
    """
    steps = changes(snapshot, LEVEL, _level_rank)
    told = steps.group_by("user_id").agg(
        level_rank=steps["rank"].argmax(steps.valid_from).cast("float64"),
        at=steps.valid_from.max(where=steps["rank"] != steps.before.fill_null(-1)),
        level_ups_all=steps.count(where=steps["rank"] > steps.before),
        **{
            f"level_ups_{w}": steps.count(where=(steps["rank"] > steps.before) & (steps.valid_from >= start))
            for w, start in snapshot.windows.items()
        },
        level_downs=steps.count(where=steps["rank"] < steps.before),
    )
    told = told.mutate(level_days=snapshot.days_before(told["at"]), level=told.level_rank.cast("int64")).drop("at")
    paced = _paced(snapshot, told.select("user_id", "level"), snapshot.as_of)
    rates = next_level_rates(snapshot, steps)
    expected = paced.join(rates, ["level", "pace"]).select("user_id", next_level="rate")
    return told.drop("level").left_join(expected, "user_id").drop("user_id_right")


def next_level_rates(snapshot: Snapshot, steps: ir.Table) -> ir.Table:
    """How often people of a level and a pace rose within one horizon: counted over the horizon that ends at ``as_of``.

    ``pace`` is 0, 1 or 2: no act, one to three, more in the horizon before. The rate of a level and pace is weighed
    against that of the level as if by ``SHRINKAGE`` people, and that of the level against the rate of everybody (a
    shrunken count, as in Casella 1985, An Introduction to Empirical Bayes Data Analysis). Nobody rises from the highest
    level seen.

    Returns:
        level  int64    of every level held at ``as_of``
        pace   int64
        rate   float64  0 to 1; null where the history is shorter than a horizon
    """
    start = snapshot.as_of - snapshot.time.horizon
    before = steps.filter(steps.valid_from < start)
    held = before.group_by("user_id").agg(level=before["rank"].argmax(before.valid_from))
    later = steps.filter(steps.valid_from >= start)
    best = later.group_by("user_id").agg(best=later["rank"].max())
    seen = _paced(snapshot, held, start).left_join(best, "user_id").drop("user_id_right")
    seen = seen.mutate(rose=(seen.best > seen.level).fill_null(False))
    everybody = seen.agg(n=seen.count(), up=seen.count(where=seen.rose), top=seen.level.max())
    by_level = seen.group_by("level").agg(n_level=seen.count(), up_level=seen.count(where=seen.rose))
    by_pace = seen.group_by("level", "pace").agg(n_pace=seen.count(), up_pace=seen.count(where=seen.rose))
    highest = steps.agg(highest=steps["rank"].max())
    found = steps.group_by(level=steps["rank"]).agg(rows=steps.count()).drop("rows")
    found = found.mutate(pace=ibis.array([ibis.literal(pace, "int64") for pace in (0, 1, 2)]).unnest())
    found = found.cross_join(everybody).cross_join(highest)
    found = found.left_join(by_level, "level").drop("level_right")
    found = found.left_join(by_pace, ["level", "pace"]).drop("level_right", "pace_right")
    overall = ratio(found.up, found.n)
    of_level = (found.up_level.fill_null(0) + SHRINKAGE * overall) / (found.n_level.fill_null(0) + SHRINKAGE)
    of_pace = (found.up_pace.fill_null(0) + SHRINKAGE * of_level) / (found.n_pace.fill_null(0) + SHRINKAGE)
    return found.select("level", "pace", rate=ibis.ifelse(found.level == found.highest, of_pace * 0.0, of_pace))


@block({"attributes": ()})
def tiers(snapshot: Snapshot) -> ir.Table:
    """History of the attribute ``tier``: normal, senior, premium or whatever a shop calls what members pay for.

    tier_paid          int64    -        1 while the user pays for membership
    tier_days          float64  days     since that began or ended, > 0
    tier_upgrades      int64    changes  from free to paid in all history
    tier_lapses        int64    changes  from paid to free in all history
    """
    steps = changes(snapshot, TIER, _paid)
    told = steps.group_by("user_id").agg(
        tier_paid=steps["rank"].argmax(steps.valid_from),
        at=steps.valid_from.max(where=steps["rank"] != steps.before.fill_null(-1)),
        tier_upgrades=steps.count(where=(steps["rank"] == 1) & (steps.before.fill_null(0) == 0)),
        tier_lapses=steps.count(where=(steps["rank"] == 0) & (steps.before == 1)),
    )
    return told.mutate(tier_days=snapshot.days_before(told["at"])).drop("at")


@block({"attributes": ()})
def permissions(snapshot: Snapshot) -> ir.Table:
    """Attributes such as ``distributor_grant``: what the user may do.

    grants_now         int64    permissions  that hold at as_of
    grants_ended       int64    permissions  that held and hold no more
    grant_days         float64  days         since the first of those that hold was last granted, > 0
    """
    dated = snapshot["attributes"]
    dated = dated.filter(dated.name.endswith(GRANT))
    held = dated.value.lower().isin(GRANTED)
    each = dated.group_by("user_id", "name").agg(
        last_at=dated.valid_from.max(),
        granted_at=dated.valid_from.max(where=held),
    )
    holds = (each.granted_at == each.last_at).fill_null(False)
    told = each.group_by("user_id").agg(
        grants_now=each.count(where=holds),
        grants_ended=each.count(where=each.granted_at.notnull() & ~holds),
        at=each.granted_at.min(where=holds),
    )
    return told.mutate(grant_days=snapshot.days_before(told["at"])).drop("at")


def changes(snapshot: Snapshot, name: str, rank: Callable[[ir.StringValue], ir.IntegerValue]) -> ir.Table:
    """What one attribute said of each user over time.

    Returns:
        user_id     string
        valid_from  timestamp
        rank        int64  of the value; of several with one time, the highest. Values without a rank are left out.
        before      int64  rank of the value before it, null for the first
    """
    dated = snapshot["attributes"]
    dated = dated.filter(dated.name == name)
    ranked = dated.select("user_id", "valid_from", rank=rank(dated.value.lower()))
    ranked = ranked.filter(ranked["rank"].notnull())
    once = ranked.group_by("user_id", "valid_from").agg(rank=ranked["rank"].max())
    return once.mutate(before=once["rank"].lag().over(ibis.window(group_by="user_id", order_by="valid_from")))


def _level_rank(value: ir.StringValue) -> ir.IntegerValue:
    number = value.re_extract(r"(\d{1,9})", 1)
    words = [(value == word, ibis.literal(place, "int64")) for place, word in enumerate(LEVEL_WORDS, start=1)]
    return ibis.cases((number != "", number.nullif("").cast("int64")), *words)


def _paid(value: ir.StringValue) -> ir.IntegerValue:
    return (~value.isin(FREE)).cast("int64")


def _paced(snapshot: Snapshot, people: ir.Table, moment: datetime) -> ir.Table:
    """``people`` with their ``pace`` in the horizon before ``moment``: 0 without an act, 1 with up to three, 2 with more."""
    acts = snapshot["acts"]
    acts = acts.filter(acts.happened_at >= moment - snapshot.time.horizon, acts.happened_at < moment)
    counted = acts.group_by("user_id").agg(acts=acts.count())
    joined = people.left_join(counted, "user_id").drop("user_id_right")
    seen = joined.acts.fill_null(0)
    pace = ibis.cases((seen == 0, 0), (seen <= 3, 1), else_=2).cast("int64")
    return joined.mutate(pace=pace).drop("acts")
