"""The lifecycle stage of each user: dormant, cooling, newcomer, active or returned."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block
from features.snapshot import Snapshot

STAGES = ("dormant", "cooling", "newcomer", "active", "returned")
"""dormant: last act more than two horizons ago, or before the lookback (where the block lists nobody, so this is 0);
cooling: last act one to two horizons ago; newcomer: first act within one horizon; active: acted within one horizon;
returned: active after at least two horizons without an act."""


@block({})
def lifecycle(snapshot: Snapshot) -> ir.Table:
    """Where the user stands in a customer's life.

    stage              int64    index  into `STAGES`: dormant 0, cooling 1, newcomer 2, active 3, returned 4
    """
    acts = snapshot["acts"]
    horizon = snapshot.time.horizon
    recent = snapshot.as_of - horizon
    seen = acts.group_by("user_id").agg(
        first_at=acts.happened_at.min(),
        last_at=acts.happened_at.max(),
        before=acts.count(where=(acts.happened_at >= recent - 2 * horizon) & (acts.happened_at < recent)),
    )
    stage = ibis.cases(
        (seen.first_at >= recent, STAGES.index("newcomer")),
        ((seen.last_at >= recent) & (seen.before == 0), STAGES.index("returned")),
        (seen.last_at >= recent, STAGES.index("active")),
        (seen.last_at >= recent - horizon, STAGES.index("cooling")),
        else_=STAGES.index("dormant"),
    )
    return seen.select("user_id", stage=stage.cast("int64"))
