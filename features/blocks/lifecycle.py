"""The lifecycle stage of each user: dormant, cooling, newcomer, active or returned."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block
from features.snapshot import Snapshot

STAGES = ("dormant", "cooling", "newcomer", "active", "returned")
"""dormant: last act more than two horizons ago, or before the lookback (where the block lists nobody, so this is 0);
cooling: last act one to two horizons ago; newcomer: first act within one horizon; active: acted within one horizon;
returned: active after more than two horizons of silence."""


@block({})
def lifecycle(snapshot: Snapshot) -> ir.Table:
    """Where the user stands in a customer's life.

    stage              int64    index  into `STAGES`: dormant 0, cooling 1, newcomer 2, active 3, returned 4
    silence_days_max   float64  days   longest time between two acts, null for a single act
    """
    acts = snapshot["acts"].group_by("user_id", "happened_at").agg(rows=lambda t: t.count())
    order = ibis.window(group_by="user_id", order_by="happened_at")
    acts = acts.mutate(gap_s=acts.happened_at.epoch_seconds() - acts.happened_at.lag().over(order).epoch_seconds())
    horizon = snapshot.time.horizon
    recent = snapshot.as_of - horizon
    seen = acts.group_by("user_id").agg(
        first_at=acts.happened_at.min(),
        last_at=acts.happened_at.max(),
        silence_s=acts.gap_s.max(),
        returning=acts.count(where=(acts.happened_at >= recent) & (acts.gap_s > 2 * horizon.total_seconds())),
    )
    stage = ibis.cases(
        (seen.first_at >= recent, STAGES.index("newcomer")),
        (seen.returning > 0, STAGES.index("returned")),
        (seen.last_at >= recent, STAGES.index("active")),
        (seen.last_at >= snapshot.as_of - 2 * horizon, STAGES.index("cooling")),
        else_=STAGES.index("dormant"),
    )
    return seen.select("user_id", stage=stage.cast("int64"), silence_days_max=seen.silence_s / 86_400)
