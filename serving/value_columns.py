"""Columns of money and life: what each user moved and costs, what is below them, how they are heard, how long untouched."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.streaks import check_ins
from features.blocks.touches import FIRST_TOUCHES, touches
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot
from features.value import EARLY, REFUNDS, below, calls, costs, money_moved, payer_ranks, refunds_moved, tells_calls
from serving.criteria import PRIOR
from serving.extra_contract import ExtraColumns, extra
from training.extras.lifetime_value import lifetime_value
from training.frame import Frame
from training.matrix import Floats

PRIOR_REACHED = 50
"""People reached by a call at the market's rate that an own record is weighed against."""


@extra({"orders": ("amount",)})
def lifetime(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """What each buyer is expected to spend; see `training.extras.lifetime_value`.

    lifetime_value       float64  minor units that the person is expected to spend within the next 365 days, not discounted
    """
    return lifetime_value(snapshot)


@extra({"orders": ("amount",)})
def moved(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """Money that each user moved so far, exactly.

    value_moved          int64    minor units credited to the user in all history
    value_new            int64    of that, first orders of people: customers won
    value_repeat         int64    of that, later orders: customers who spend again
    """
    rows = snapshot.engine.to_arrow(money_moved(snapshot)).select(["user_id", "value_moved", "value_new", "value_repeat"])
    return _for_all(rows, frame, 0)


@extra({})
def paid(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """What each user costs; see `features.value.costs`.

    cost_paid            int64    minor units of rewards that are money, and of contacts, in all history
    cost_per_person      float64  minor units for each person moved: the own record, backed by one person of the market
    acquisition_cost     float64  minor units for each person whose first order the user led to; null where nobody was won
    """
    priced = costs(snapshot)
    users = pa.array(frame.users, pa.string())
    if priced is None:
        none = pa.nulls(len(users))
        return pa.table({"user_id": users, "cost_paid": none.cast(pa.int64()), "cost_per_person": none.cast(pa.float64()),
                         "acquisition_cost": none.cast(pa.float64())})  # fmt: skip
    known = _for_all(snapshot.engine.to_arrow(priced), frame, 0)
    cost = known["cost_paid"].to_numpy().astype(float)
    people = frame.matrix.column("influence_all") / WEIGHT_UNIT
    won = frame.matrix.column("influence_new_all") / WEIGHT_UNIT
    market = cost.sum() / people.sum() if people.sum() else np.nan
    each = (cost + PRIOR * market) / (people + PRIOR)
    acquisition = np.divide(cost, won, out=np.full(len(won), np.nan), where=won > 0)
    known = known.append_column("cost_per_person", pa.array(each, from_pandas=True))
    return known.append_column("acquisition_cost", pa.array(acquisition, from_pandas=True))


@extra({"orders": ("item_id",), "ties": ()})
def call(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """How followers answer when the user calls; see `features.value.calls`.

    calls                int64    items (at the level of credit) that the user shared or posted about
    call_to_purchase     float64  follower's first purchases in the attribution window over followers reached, 0 to 1, backed
    """
    if not tells_calls(snapshot):
        users = pa.array(frame.users, pa.string())
        none = pa.nulls(len(users))
        return pa.table({"user_id": users, "calls": none.cast(pa.int64()), "call_to_purchase": none.cast(pa.float64())})
    rows = snapshot.engine.to_arrow(calls(snapshot))
    reached, answered = (rows[name].to_numpy().astype(float) for name in ("reached", "answered"))
    market = answered.sum() / reached.sum() if reached.sum() else 0.0
    rate = (answered + PRIOR_REACHED * market) / (reached + PRIOR_REACHED)
    return pa.table({"user_id": rows["user_id"], "calls": rows["calls"], "call_to_purchase": pa.array(rate)})


@extra({"orders": ()})
def early(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """How early each user paid for the first time.

    payer_rank           int64    1 for the first person who ever paid; null for who never did
    early_payer          bool     among the first 500
    """
    rows = snapshot.engine.to_arrow(payer_ranks(snapshot))
    return rows.append_column("early_payer", pc.less_equal(rows["payer_rank"], EARLY))


@extra({"engagements": ("kind",)})
def streaks(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """Check-ins by local days; see `features.blocks.streaks`.

    checkin_week         int64    of the last seven local days
    checkin_streak       int64    days in a row up to now
    """
    rows = snapshot.engine.to_arrow(check_ins.build(snapshot).select("user_id", "checkin_week", "checkin_streak"))
    return _for_all(rows, frame, 0)


@extra({"orders": (), "share_responses": ()})
def untouched(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """The clock of touches without an order; see `features.blocks.touches`.

    unpaid_touches       int64    days with a touch since the last order, or ever without one
    touch_alert          bool     never ordered, and the third touch or a later one has gone by
    """
    rows = snapshot.engine.to_arrow(touches.build(snapshot).select("user_id", "unpaid_touches"))
    rows = _for_all(rows, frame, 0)
    buyers = snapshot.engine.to_arrow(snapshot["orders"].select("user_id").distinct())["user_id"]
    new = pc.invert(pc.is_in(rows["user_id"], value_set=buyers.combine_chunks()))
    return rows.append_column("touch_alert", pc.and_(new, pc.greater_equal(rows["unpaid_touches"], FIRST_TOUCHES)))


@extra(REFUNDS)
def given_back(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """What of the user's influence came back; see `features.value.refunds_moved`.

    moved_refund_share   float64  refunded part of what people paid for what the user led them to, 0 to 1; null without any
    moved_complaints     int64    people whom the user led to something they complained about
    """
    rows = snapshot.engine.to_arrow(refunds_moved(snapshot))
    amount, refund = (rows[name].to_numpy().astype(float) for name in ("paid_after", "refunded_after"))
    share = np.divide(refund, amount, out=np.full(len(amount), np.nan), where=amount > 0)
    return pa.table(
        {
            "user_id": rows["user_id"],
            "moved_refund_share": pa.array(share, from_pandas=True),
            "moved_complaints": rows["complaints"],
        }
    )


@extra({"orders": ("amount",)})
def downstream(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """What hangs on each user: the people in the chain below; see `features.cascades`.

    downstream_people    int64    people whom the user brought, or who were brought by those
    downstream_value     float64  minor units a horizon that these people spend lately
    """
    users = pa.array(frame.users, pa.string())
    if "chains" not in snapshot:
        none = pa.nulls(len(users))
        return pa.table({"user_id": users, "downstream_people": none.cast(pa.int64()),
                         "downstream_value": none.cast(pa.float64())})  # fmt: skip
    rows = _for_all(snapshot.engine.to_arrow(below(snapshot)), frame, 0)
    scale = frame.horizon_days / float(frame.windows[-1].removesuffix("d"))
    value: Floats = rows["downstream_spend"].to_numpy().astype(float) * scale
    return rows.drop_columns("downstream_spend").append_column("downstream_value", pa.array(value))


def outlook(scored: Mapping[str, pa.Array], facts: pa.Table) -> dict[str, pa.Array]:
    """What the scores and the facts of the same users make together; each is there where both its parts are.

    expected_cost             float64  minor units that moving so many people costs: koc_score times cost_per_person
    net_value                 float64  expected_value less expected_cost
    leverage_ratio            float64  expected_value over expected_cost; null where nothing is paid
    downstream_value_at_risk  float64  churn_probability times downstream_value: what hangs on somebody about to leave

    ``value_at_risk`` is what the person spends and moves, ``downstream_value`` what the people below spend themselves.
    """
    found = {}
    known = {name: facts[name] for name in facts.column_names} | dict(scored)
    if {"koc_score", "expected_value", "cost_per_person"} <= known.keys():
        cost = pc.multiply(known["koc_score"], known["cost_per_person"])
        value = known["expected_value"]
        found["expected_cost"], found["net_value"] = cost, pc.subtract(value, cost)
        found["leverage_ratio"] = pc.divide(value, pc.if_else(pc.greater(cost, 0.0), cost, None))
    if {"churn_probability", "downstream_value"} <= known.keys():
        found["downstream_value_at_risk"] = pc.multiply(known["churn_probability"], known["downstream_value"])
    return found


def _for_all(rows: pa.Table, frame: Frame, absent: int) -> pa.Table:
    """``rows`` for every user of the frame, in its order; ``absent`` in every column of who has none."""
    users = pa.array(frame.users, pa.string())
    place = pc.index_in(users, value_set=rows["user_id"].combine_chunks())
    columns = {name: pc.fill_null(rows[name].take(place), absent) for name in rows.column_names if name != "user_id"}
    return pa.table({"user_id": users, **columns})


VALUE_COLUMNS: tuple[ExtraColumns, ...] = (
    lifetime, moved, paid, call, early, streaks, untouched, given_back, downstream
)  # fmt: skip
