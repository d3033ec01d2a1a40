"""How active each user is over all kinds of acts, and whether it grows or fades."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

DECAY_UNIT = 1_000_000


@block({})
def activity(snapshot: Snapshot) -> ir.Table:
    """Acts of every kind: orders, shares, responses, joins, and engagements, of one kind and local day once.

    acts_{w}           int64    acts  in the window
    acts_all           int64    acts  in all history
    acts_decayed       float64  acts  each act fading to 1/e in one horizon
    acts_fast          float64  acts  each act fading to 1/e in a sixth of a horizon
    idle_days          float64  days  from the last act to as_of, > 0
    known_days         float64  days  from the first act to as_of, > 0
    acts_trend         float64  -     log2 of (acts in the shortest window + 1) / (its share of the longest + 1)
    """
    acts = snapshot["acts"]
    horizon = snapshot.time.horizon.total_seconds() / 86_400
    age = snapshot.days_before(acts.happened_at)
    windows = list(snapshot.windows.items())
    counted = acts.group_by("user_id").agg(
        **{f"acts_{w}": acts.count(where=acts.happened_at >= start) for w, start in windows},
        acts_all=acts.count(),
        slow=decayed(age, horizon).sum().cast("int64"),
        fast=decayed(age, horizon / 6).sum().cast("int64"),
        last_at=acts.happened_at.max(),
        first_at=acts.happened_at.min(),
    )
    (short, short_start), (long, long_start) = windows[0], windows[-1]
    scale = (snapshot.as_of - long_start) / (snapshot.as_of - short_start)
    trend = ((counted[f"acts_{short}"] + 1.0) * scale / (counted[f"acts_{long}"] + scale)).log2()
    return counted.select(
        "user_id",
        *(f"acts_{w}" for w, _ in windows),
        "acts_all",
        acts_decayed=ratio(counted.slow, ibis.literal(DECAY_UNIT)),
        acts_fast=ratio(counted.fast, ibis.literal(DECAY_UNIT)),
        idle_days=snapshot.days_before(counted.last_at),
        known_days=snapshot.days_before(counted.first_at),
        acts_trend=trend,
    )


def decayed(age_days: ir.FloatingValue, mean_days: float) -> ir.IntegerValue:
    """exp(-age / mean) in whole millionths, so that sums do not depend on the order of rows."""
    return ((-age_days / mean_days).exp() * DECAY_UNIT).round().cast("int64")
