"""The clock of unpaid touches: how often each person was touched by others or by the shop without an order since."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block
from features.local_time import to_local
from features.snapshot import Snapshot

FIRST_TOUCHES = 3
"""Operators report that who has not bought by the third impulse hardly ever does."""

PAID = "buy"
"""The response that is itself an order."""

HELD_BACK = "holdout"
"""The arm of outreach that nobody contacted."""


@block({"orders": (), "share_responses": ()})
def touches(snapshot: Snapshot) -> ir.Table:
    """Days on which a share of others was answered or the shop made contact; several touches of one local day are one.

    touches_{w}       int64    days  with a touch in the window
    touches_all       int64    days  with a touch in all history
    unpaid_touches    int64    days  with a touch after the last order; without any order, all of them
    touch_idle_days   float64  days  from the last touch to as_of, > 0
    """
    moments = _touched(snapshot)
    local = to_local(moments.touched_at, snapshot.source.dataset.zone, snapshot.as_of)
    days = moments.group_by("user_id", local_day=local.truncate("D")).agg(touched_at=moments.touched_at.max())
    orders = snapshot["orders"]
    bought = orders.group_by(buyer_id="user_id").agg(last_order=orders.ordered_at.max())
    rows = days.left_join(bought, days.user_id == bought.buyer_id)
    rows = rows.mutate(unpaid=rows.last_order.isnull() | (rows.touched_at > rows.last_order))
    counted = rows.group_by("user_id").agg(
        **{f"touches_{w}": rows.count(where=rows.touched_at >= start) for w, start in snapshot.windows.items()},
        touches_all=rows.count(),
        unpaid_touches=rows.count(where=rows.unpaid),
        last_at=rows.touched_at.max(),
    )
    return counted.mutate(touch_idle_days=snapshot.days_before(counted.last_at)).drop("last_at")


def _touched(snapshot: Snapshot) -> ir.Table:
    """(user_id, touched_at) of every touch."""
    responses = snapshot["share_responses"]
    answered = responses.filter(responses.action.fill_null("") != PAID)
    found = [answered.select(user_id="responder_id", touched_at="responded_at")]
    if "outreach" in snapshot:
        sent = snapshot["outreach"]
        reached = sent.filter(sent.arm.fill_null("") != HELD_BACK)
        found.append(reached.select("user_id", touched_at="contacted_at"))
    touched = found[0] if len(found) == 1 else ibis.union(*found)
    return touched.filter(touched.user_id.notnull())
