"""How worth sharing each item is: what follows one share of it, held against the mean of its category."""

from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from features.ledger import named_responses, with_subject
from features.snapshot import Snapshot

PRIOR_SHARES = 10
"""Shares at the mean of the category (of all items, where it has none) that an item's own record is weighed against."""

NEEDS: Mapping[str, tuple[str, ...]] = {"shares": ("item_id",), "share_responses": ("share_id",)}
"""Tables that tell what followed each share."""


def tells_shares(snapshot: Snapshot) -> bool:
    """Whether the dataset tells what followed each share."""
    return all(snapshot.has(table, *columns) for table, columns in NEEDS.items())


def share_worth(snapshot: Snapshot) -> ir.Table:
    """One row per item that anybody shared.

    Somebody who answers a share counts once for it, and buys if the first purchase of the subject lies within the
    attribution window after the share; shares whose window is still open at ``as_of`` are left out: more may follow.

    Returns:
        item_id          string
        category         string   null where not known
        shares           int64    shares whose window is closed
        responses        int64    people who answered one of them, once each share
        purchases        int64    of those, who then bought
        value            int64    minor units of these purchases
        responses_each   float64  responses a share, shrunk by ``PRIOR_SHARES`` to the mean of the category
        value_each       float64  minor units a share, shrunk alike
        share_worth      float64  purchases a share, shrunk alike
    """
    shares = with_subject(snapshot, snapshot["shares"])
    shares = shares.filter(shares.item_id.notnull(), shares.shared_at < snapshot.as_of - snapshot.time.window)
    shares = shares.select("share_id", "sharer_id", "item_id", "subject", "shared_at")
    responses = named_responses(snapshot).select("share_id", "responder_id").distinct()
    answered = shares.join(responses, "share_id").filter(ibis._.responder_id != ibis._.sharer_id)
    answered = answered.select("share_id", "responder_id", "item_id", "subject", "shared_at")
    drawn = answered.group_by("item_id").agg(responses=answered.count())
    sent = shares.group_by("item_id").agg(shares=shares.count())
    rows = sent.left_join(drawn, "item_id").drop("item_id_right")
    rows = rows.left_join(_bought(snapshot, answered), "item_id").drop("item_id_right")
    names = ("responses", "purchases", "value")
    rows = rows.mutate(**{name: rows[name].fill_null(0).cast("int64") for name in names})
    if snapshot.has("items", "category"):
        items = snapshot["items"].select("item_id", "category")
        rows = rows.left_join(items, "item_id").drop("item_id_right")
    else:
        rows = rows.mutate(category=ibis.null("string"))
    return _shrunk(rows)


def _bought(snapshot: Snapshot, answered: ir.Table) -> ir.Table:
    """(item_id, purchases, value) of who answered and bought within the window."""
    if "adoptions" not in snapshot:
        none = answered.group_by("item_id").agg(purchases=answered.count())
        return none.select("item_id", purchases=ibis.literal(0, "int64"), value=ibis.literal(0, "int64"))
    taken = snapshot["adoptions"].select("subject", "first_at", "first_amount", responder_id="user_id")
    pairs = answered.join(taken, ["responder_id", "subject"])
    wait_s = pairs.first_at.epoch_seconds() - pairs.shared_at.epoch_seconds()
    within = (pairs.first_at >= pairs.shared_at) & (wait_s <= int(snapshot.time.window.total_seconds()))
    bought = pairs.filter(within)
    return bought.group_by("item_id").agg(
        purchases=bought.count(), value=bought.first_amount.fill_null(0).sum().cast("int64")
    )


def _shrunk(rows: ir.Table) -> ir.Table:
    """``rows`` with what follows one share, by item."""
    category = rows.category.fill_null("")
    within = ibis.window(group_by=category)
    rows = rows.mutate(
        sent=rows.shares.sum().over(within),
        drawn=rows.responses.sum().over(within),
        taken=rows.purchases.sum().over(within),
        paid=rows.value.sum().over(within),
    )

    def each(own: str, all_of_it: str) -> ir.FloatingValue:
        mean = rows[all_of_it].cast("float64") / rows.sent.cast("float64")
        found: ir.FloatingValue = (rows[own] + PRIOR_SHARES * mean) / (rows.shares + PRIOR_SHARES)
        return found

    return rows.mutate(
        responses_each=each("responses", "drawn"), value_each=each("value", "paid"), share_worth=each("purchases", "taken")
    ).drop("sent", "drawn", "taken", "paid")
