"""Money around each user: what they moved and cost, what is below them, how followers answer their call, and refunds."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from features.blocks.content import shown_subjects
from features.ledger import net_amount, with_subject
from features.snapshot import Snapshot

NO_MONEY = ("points",)
"""Kinds of rewards whose amounts are no money: what a point is worth is for the shop to say."""

HELD_BACK = "holdout"
COMPLAINT = ("complaint", "after_sales", "dispute")
"""Kinds of engagement that complain about an item."""

REFUNDS: Mapping[str, tuple[str, ...]] = {"orders": ("item_id", "amount", "refund_amount", "refunded_at")}
"""What `refunds_moved` needs."""

EARLY = 500
"""The first payers of a shop, whom operators report to have become its leaders."""


def money_moved(snapshot: Snapshot) -> ir.Table:
    """What the ledger credits each user with.

    Returns:
        user_id       string
        value_moved   int64  minor units, all history
        value_new     int64  of that, first orders of people: customers won
        value_repeat  int64  of that, later orders: customers who spend again
        friends_won   int64  millionths of people whose first order it was
    """
    ledger = snapshot["ledger"]
    moved = ledger.group_by(user_id="influencer_id").agg(
        value_moved=ledger.value.sum().cast("int64"),
        value_new=ledger.value.sum(where=ledger.is_new).fill_null(0).cast("int64"),
        friends_won=ledger.weight.sum(where=ledger.is_new).fill_null(0).cast("int64"),
    )
    return moved.mutate(value_repeat=moved.value_moved - moved.value_new)


def costs(snapshot: Snapshot) -> ir.Table | None:
    """What each user was paid and what contacting them cost; None where neither is known.

    Rewards of kinds in ``NO_MONEY`` are no cost.

    Returns:
        user_id     string
        cost_paid   int64  minor units, all history
    """
    found = []
    if snapshot.has("rewards", "amount"):
        rewards = snapshot["rewards"]
        money = rewards.filter(rewards.kind.fill_null("").lower().notin(NO_MONEY))
        found.append(money.select("user_id", amount=money.amount.fill_null(0)))
    if snapshot.has("outreach", "cost"):
        sent = snapshot["outreach"]
        reached = sent.filter(sent.arm.fill_null("") != HELD_BACK)
        found.append(reached.select("user_id", amount=reached.cost.fill_null(0)))
    if not found:
        return None
    rows = found[0] if len(found) == 1 else ibis.union(*found)
    return rows.group_by("user_id").agg(cost_paid=rows.amount.sum().cast("int64"))


def calls(snapshot: Snapshot) -> ir.Table:
    """How followers answer the call of each user: a share or a post of an item, the first of each subject.

    Needs shares with items or engagements with kind and item, ties, and orders with items.

    Returns:
        user_id   string
        calls     int64  subjects called for
        reached   int64  (follower, subject) pairs that a call reached: the followers by ties, once a call
        answered  int64  of these, pairs in which the follower first bought the subject in the attribution window after it
    """
    called = _called(snapshot)
    pairs = snapshot["pairs"].select(follower_id="user_id", user_id="influencer_id")
    audience = pairs.group_by("user_id").agg(people=pairs.count())
    bought = snapshot["adoptions"].select("subject", "first_at", follower_id="user_id")
    seen = bought.semi_join(called, "subject").join(pairs, "follower_id").join(called, ["user_id", "subject"])
    wait_s = seen.first_at.epoch_seconds() - seen.called_at.epoch_seconds()
    window_s = int(snapshot.time.window.total_seconds())
    after = seen.filter((seen.first_at > seen.called_at) & (wait_s <= window_s))
    answered = after.group_by("user_id").agg(answered=after.count())
    made = called.group_by("user_id").agg(calls=called.count())
    rows = made.join(audience, "user_id").left_join(answered, "user_id").drop("user_id_right")
    return rows.select(
        "user_id", "calls", reached=rows.calls * rows.people, answered=rows.answered.fill_null(0).cast("int64")
    )


def tells_calls(snapshot: Snapshot) -> bool:
    """Whether the dataset tells who called for which item, and what followers bought."""
    shown = snapshot.has("shares", "item_id") or snapshot.has("engagements", "kind", "item_id")
    return shown and "pairs" in snapshot and "adoptions" in snapshot


def _called(snapshot: Snapshot) -> ir.Table:
    """(user_id, subject, called_at), one row per pair."""
    found = []
    if snapshot.has("shares", "item_id"):
        shares = snapshot["shares"]
        about = with_subject(snapshot, shares.filter(shares.item_id.notnull()))
        found.append(about.select("subject", user_id="sharer_id", called_at="shared_at"))
    if snapshot.has("engagements", "kind", "item_id"):
        found.append(shown_subjects(snapshot).select("subject", "user_id", called_at="shown_at"))
    rows = found[0] if len(found) == 1 else ibis.union(*found)
    return rows.group_by("user_id", "subject").agg(called_at=rows.called_at.min())


def payer_ranks(snapshot: Snapshot) -> ir.Table:
    """How early each user paid for the first time, among all who did.

    Returns:
        user_id     string
        payer_rank  int64  1 for the first; of one moment all share the better place
    """
    orders = snapshot["orders"]
    if snapshot.has("orders", "amount"):
        orders = orders.filter(net_amount(orders) > 0)
    first = orders.group_by("user_id").agg(first_at=orders.ordered_at.min())
    rank = ibis.rank().over(ibis.window(order_by=first.first_at))
    return first.select("user_id", payer_rank=(rank + 1).cast("int64"))


def below(snapshot: Snapshot) -> ir.Table:
    """Who is in the chain of each user (see `features.cascades`), and what those people spend themselves.

    Returns:
        user_id            string
        downstream_people  int64  people in the chain
        downstream_spend   int64  minor units that they spent, net, in the longest window
    """
    orders = snapshot["orders"]
    since = list(snapshot.windows.values())[-1]
    lately = orders.filter(orders.ordered_at >= since)
    spent = lately.group_by(member_id="user_id").agg(spent=net_amount(lately).sum().cast("int64"))
    members = snapshot["chains"].select("user_id", "member_id")
    rows = members.left_join(spent, "member_id")
    return rows.group_by("user_id").agg(
        downstream_people=rows.count(), downstream_spend=rows.spent.fill_null(0).sum().cast("int64")
    )


def refunds_moved(snapshot: Snapshot) -> ir.Table:
    """How much of what each user led others to was given back or complained about.

    Needs orders with item, amount, refund_amount and refunded_at.

    Returns:
        user_id          string
        paid_after       int64  minor units paid by people for subjects that the user moved them to, from that moment on
        refunded_after   int64  of that, given back as known at the date
        complaints       int64  people moved who complained about the item; 0 where nothing tells of complaints
    """
    ledger = snapshot["ledger"]
    moved = ledger.filter(ledger.weight > 0).select("influencer_id", "influenced_id", "subject", "happened_at")
    orders = with_subject(snapshot, snapshot["orders"])
    paid = orders.select("subject", "ordered_at", "amount", "refund_amount", influenced_id="user_id")
    rows = moved.join(paid, ["influenced_id", "subject"])
    rows = rows.filter(rows.ordered_at >= rows.happened_at)
    refund = ibis.least(rows.refund_amount.fill_null(0), rows.amount.fill_null(0))
    sums = rows.group_by(user_id="influencer_id").agg(
        paid_after=rows.amount.fill_null(0).sum().cast("int64"), refunded_after=refund.sum().cast("int64")
    )
    if not snapshot.has("engagements", "kind", "item_id"):
        return sums.mutate(complaints=ibis.literal(0, "int64"))
    acts = snapshot["engagements"]
    kind = acts.kind.lower().replace("-", "_").replace(" ", "_")
    about = with_subject(snapshot, acts.filter(kind.isin(COMPLAINT), acts.item_id.notnull()))
    about = about.select("subject", complained_at="happened_at", influenced_id="user_id")
    cases = moved.join(about, ["influenced_id", "subject"])
    cases = cases.filter(cases.complained_at >= cases.happened_at)
    people = cases.group_by(user_id="influencer_id").agg(complaints=cases.influenced_id.nunique())
    both = sums.left_join(people, "user_id").drop("user_id_right")
    return both.mutate(complaints=both.complaints.fill_null(0).cast("int64"))
