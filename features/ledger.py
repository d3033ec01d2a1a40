"""The influence ledger: who moved whom, to what, when, on which evidence. One path for features and labels."""

from datetime import timedelta

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.snapshot import Snapshot

WEIGHT_UNIT = 1_000_000
"""Weights are integers in millionths, so that sums do not depend on the order of rows."""

EVIDENCE = ("referral", "buy", "group_buy", "response", "invitation", "tie")
"""Kinds of evidence, strongest first. Only ``tie`` is implicit."""

SETTLEMENT = timedelta(days=1)
"""A ``buy`` response names the person behind an order of the same person and subject this close in time; at or after the
order the two are one event, and before it the response is credited when it happens, as any other is."""

_REFERRAL, _BUY, _GROUP_BUY, _RESPONSE, _INVITATION, _TIE = range(len(EVIDENCE))


def influence_ledger(snapshot: Snapshot) -> ir.Table:
    """Every credited influence known at the snapshot.

    A purchase is credited once: its strongest kind of evidence takes the credit, shared equally among the people that
    this kind names. Ties claim first purchases only, and only where no explicit evidence does. A response, a join or an
    invitation is credited when it happens and claims the money of purchases of the same subject within ``window`` after
    it. Per (influencer, influenced, subject) the weight counts once, at the earliest row; later rows carry money only.

    Returns:
        influencer_id, influenced_id  string
        subject        string     what the person was moved to, at the dataset's level of credit
        item_id        string     the item (of several at one moment the smallest), null for an invitation
        category       string     the item's category, where known
        happened_at    timestamp  when the influenced person acted
        weight         int64      in millionths, 0 to 1,000,000
        value          int64      share of the net amount, in minor units
        is_new         boolean    not later than the influenced person's first order (without one: first act of any kind)
        evidence       string     one of ``EVIDENCE``
    """
    purchases = _purchases(snapshot) if "purchases" in snapshot else None
    touches = _touches(snapshot)
    implicit = _tie_claims(snapshot) if "shared" in snapshot else None
    claims = _explicit_claims(snapshot, purchases, touches)
    parts = []
    if claims is not None:
        claims = snapshot.engine.materialise(claims)
        parts.append(_shared(_strongest(claims)))
        if implicit is not None:
            implicit = implicit.anti_join(claims, ["influenced_id", "subject", "happened_at"])
    if touches is not None:
        parts.append(_unsettled(touches, claims))
    if implicit is not None:
        parts.append(_shared(implicit))
    if not parts:
        return _empty(snapshot)
    credited = parts[0] if len(parts) == 1 else ibis.union(*parts)
    return _described(snapshot, _counted_once(credited))


def with_subject(snapshot: Snapshot, rows: ir.Table) -> ir.Table:
    """``rows`` with ``subject``: item_id at the dataset's level of credit, the item itself where items do not tell."""
    level = snapshot.source.dataset.credit
    column = {"item": "item_id", "spu": "spu_id", "category": "category"}[level]
    if level == "item" or not snapshot.has("items", column):
        return rows.mutate(subject=rows.item_id)
    items = snapshot["items"]
    above = items.select(item_key=items.item_id, above=items[column])
    joined = rows.left_join(above, rows.item_id == above.item_key)
    return joined.mutate(subject=joined.above.coalesce(joined.item_id)).drop("item_key", "above")


def net_amount(orders: ir.Table) -> ir.IntegerValue:
    """Amount paid less the refund known at the snapshot, in minor units, >= 0; ``amount`` is after discount."""
    paid = orders.amount.fill_null(0) - orders.refund_amount.fill_null(0)
    return ibis.greatest(paid, 0)


def _purchases(snapshot: Snapshot) -> ir.Table:
    """One row per (influenced_id, subject, happened_at) with the item and the net amount of what was bought then."""
    bought = snapshot["purchases"]
    return bought.select("subject", "item_id", "amount", influenced_id="user_id", happened_at="ordered_at")


def _tie_claims(snapshot: Snapshot) -> ir.Table:
    """First purchases that came later than ``min_gap`` and within ``window`` after a tie's own first purchase."""
    shared = snapshot["shared"]
    qualifying = shared.filter(
        shared.first_at > shared.led_at + _span(snapshot.time.min_gap),
        shared.first_at <= shared.led_at + _span(snapshot.time.window),
        shared.since < shared.first_at,
    )
    return qualifying.select(
        "influencer_id",
        "subject",
        "item_id",
        influenced_id=qualifying.user_id,
        happened_at=qualifying.first_at,
        amount=qualifying.first_amount,
        strength=ibis.literal(_TIE, "int8"),
    )


def _touches(snapshot: Snapshot) -> ir.Table | None:
    """Acts that name the person behind them: responses to shares, joins of group buys, invitations."""
    found = []
    if "share_responses" in snapshot:
        responses = with_subject(snapshot, named_responses(snapshot))
        buys = (responses.action == "buy").fill_null(False)
        found.append(_touch(responses, "sharer_id", "responder_id", "responded_at", ibis.ifelse(buys, _BUY, _RESPONSE)))
    if "group_buy_members" in snapshot and "group_buys" in snapshot:
        groups, members = snapshot["group_buys"], snapshot["group_buy_members"]
        joins = members.join(groups.drop("recorded_at"), "group_buy_id")
        found.append(_touch(with_subject(snapshot, joins), "initiator_id", "user_id", "joined_at", ibis.literal(_GROUP_BUY)))
    if snapshot.has("memberships", "inviter_id"):
        joined = snapshot["memberships"]
        joined = joined.mutate(subject="community:" + joined.community_id.fill_null(""), item_id=ibis.null("string"))
        found.append(_touch(joined, "inviter_id", "user_id", "joined_at", ibis.literal(_INVITATION)))
    if not found:
        return None
    touches = found[0] if len(found) == 1 else ibis.union(*found)
    touches = touches.filter(touches.influencer_id != touches.influenced_id)
    return touches.group_by("influencer_id", "influenced_id", "subject", "happened_at", "strength").agg(
        item_id=touches.item_id.min()
    )


def with_share(snapshot: Snapshot) -> ir.Table:
    """Responses with ``shared_by`` and ``shared_item``: sharer and item of the share that they name, null without one."""
    responses = snapshot["share_responses"]
    if not (snapshot.has("share_responses", "share_id") and "shares" in snapshot):
        return responses.mutate(shared_by=ibis.null("string"), shared_item=ibis.null("string"))
    shares = snapshot["shares"]
    named = shares.select(share_key=shares.share_id, shared_by=shares.sharer_id, shared_item=shares.item_id)
    return responses.left_join(named, responses.share_id == named.share_key).drop("share_key")


def named_responses(snapshot: Snapshot) -> ir.Table:
    """Responses with the sharer and the item of the share that they name, where they give none themselves."""
    rows = with_share(snapshot)
    return rows.mutate(
        sharer_id=rows.sharer_id.coalesce(rows.shared_by), item_id=rows.item_id.coalesce(rows.shared_item)
    ).drop("shared_by", "shared_item")


def _touch(rows: ir.Table, influencer: str, influenced: str, at: str, strength: ir.Value) -> ir.Table:
    named = rows.mutate(strength=strength.cast("int8"))
    return named.select(
        "item_id",
        "strength",
        influencer_id=named[influencer],
        influenced_id=named[influenced],
        subject=named.subject.fill_null(""),
        happened_at=named[at],
    ).filter(ibis._.influencer_id.notnull(), ibis._.influenced_id.notnull())


def _explicit_claims(snapshot: Snapshot, purchases: ir.Table | None, touches: ir.Table | None) -> ir.Table | None:
    """Claims on purchases by name: (influencer, influenced, subject, happened_at of the purchase, strength)."""
    if purchases is None:
        return None
    found = []
    if snapshot.has("orders", "referrer_id"):
        orders = with_subject(snapshot, snapshot["orders"])
        orders = orders.filter(orders.referrer_id != orders.user_id)
        referred = orders.select(
            influencer_id=orders.referrer_id,
            influenced_id=orders.user_id,
            subject=orders.subject.fill_null(""),
            happened_at=orders.ordered_at,
            strength=ibis.literal(_REFERRAL, "int8"),
            touched_at=ibis.null("timestamp(6)"),
        )
        found.append(referred.join(purchases, ["influenced_id", "subject", "happened_at"]))
    if touches is not None:
        named = touches.select("influencer_id", "influenced_id", "subject", "strength", touched_at="happened_at")
        pairs = named.join(purchases, ["influenced_id", "subject"])
        bought_at, touched_at = pairs.happened_at, pairs.touched_at
        settlement, window = _span(SETTLEMENT), _span(snapshot.time.window)
        settles = (bought_at >= touched_at - settlement) & (bought_at <= touched_at + settlement)
        follows = (bought_at >= touched_at) & (bought_at <= touched_at + window)
        found.append(
            pairs.filter(ibis.ifelse(pairs.strength == _BUY, settles, follows)).select(
                found[0].columns if found else [*named.columns, "happened_at", "item_id", "amount"]
            )
        )
    if not found:
        return None
    claims = found[0] if len(found) == 1 else ibis.union(*found)
    return claims.select(
        "influencer_id", "influenced_id", "subject", "happened_at", "touched_at", "strength", "item_id", "amount"
    )


def _strongest(claims: ir.Table) -> ir.Table:
    """The claims of each purchase's strongest kind of evidence, one per influencer."""
    moment = ["influenced_id", "subject", "happened_at"]
    best = claims.group_by(moment).agg(strength=claims.strength.min())
    kept = claims.join(best, [*moment, "strength"])
    return kept.group_by("influencer_id", *moment).agg(
        item_id=kept.item_id.min(), amount=kept.amount.min(), strength=kept.strength.min()
    )


def _shared(claims: ir.Table) -> ir.Table:
    """Claims with their equal share of one credit and of the money, in whole millionths and minor units."""
    moment = ["influenced_id", "subject", "happened_at"]
    counted = claims.mutate(claimants=claims.count().over(ibis.window(group_by=moment)))
    return counted.select(
        "influencer_id",
        *moment,
        "item_id",
        "strength",
        weight=(WEIGHT_UNIT // counted.claimants).cast("int64"),
        value=(counted.amount // counted.claimants).cast("int64"),
    )


def _unsettled(touches: ir.Table, claims: ir.Table | None) -> ir.Table:
    """Touches as credits of their own, without the ``buy`` responses that an order before them stands for.

    ``buy`` responses of one moment are one purchase to come, and share its credit.
    """
    if claims is not None:
        settled = claims.filter(claims.strength == _BUY, claims.touched_at >= claims.happened_at).select(
            "influencer_id", "influenced_id", "subject", "strength", happened_at="touched_at"
        )
        touches = touches.anti_join(settled, ["influencer_id", "influenced_id", "subject", "happened_at", "strength"])
    together = ibis.window(group_by=["influenced_id", "subject", "happened_at", "strength"])
    counted = touches.mutate(together=touches.count().over(together))
    return counted.select(
        "influencer_id",
        "influenced_id",
        "subject",
        "happened_at",
        "item_id",
        "strength",
        weight=ibis.ifelse(counted.strength == _BUY, WEIGHT_UNIT // counted.together, WEIGHT_UNIT).cast("int64"),
        value=ibis.literal(0, "int64"),
    )


def _counted_once(credits_: ir.Table) -> ir.Table:
    """Weight only at the earliest row of each (influencer, influenced, subject); rows left with nothing go."""
    triple = ["influencer_id", "influenced_id", "subject"]
    merged = credits_.group_by(*triple, "happened_at").agg(
        item_id=credits_.item_id.min(),
        strength=credits_.strength.min(),
        weight=credits_.weight.max(),
        value=credits_.value.sum().cast("int64"),
    )
    earliest = merged.group_by(triple).agg(earliest_at=merged.happened_at.min())
    dated = merged.join(earliest, triple)
    dated = dated.mutate(weight=ibis.ifelse(dated.happened_at == dated.earliest_at, dated.weight, 0).cast("int64"))
    return dated.filter((dated.weight > 0) | (dated.value > 0)).drop("earliest_at")


def _described(snapshot: Snapshot, credits_: ir.Table) -> ir.Table:
    """Credits with category, novelty and the name of their evidence."""
    evidence = ibis.cases(*((credits_.strength == code, name) for code, name in enumerate(EVIDENCE)))
    rows = credits_.mutate(evidence=evidence, category=ibis.null("string")).drop("strength")
    if snapshot.has("items", "category"):
        items = snapshot["items"]
        kinds = items.select(item_key=items.item_id, kind=items.category)
        rows = rows.left_join(kinds, rows.item_id == kinds.item_key)
        rows = rows.mutate(category=rows.kind).drop("item_key", "kind")
    acts = snapshot["acts"]
    debut = acts.group_by(influenced_id="user_id").agg(debut_at=acts.happened_at.min())
    if "purchases" in snapshot:
        bought = snapshot["purchases"]
        first = bought.group_by(influenced_id="user_id").agg(first_at=bought.ordered_at.min())
        debut = debut.left_join(first, "influenced_id")
        debut = debut.select("influenced_id", debut_at=debut.first_at.coalesce(debut.debut_at))
    rows = rows.join(debut, "influenced_id")
    return rows.select(
        "influencer_id",
        "influenced_id",
        "subject",
        "item_id",
        "category",
        "happened_at",
        "weight",
        "value",
        is_new=rows.happened_at <= rows.debut_at,
        evidence=rows.evidence,
    )


def _span(length: timedelta) -> ir.IntervalScalar:
    return ibis.interval(seconds=int(length.total_seconds()))


def _empty(snapshot: Snapshot) -> ir.Table:
    """A ledger without rows, for datasets with no kind of evidence."""
    text, number = pa.string(), pa.int64()
    return snapshot.engine.from_arrow(
        pa.table(
            {
                "influencer_id": pa.array([], text),
                "influenced_id": pa.array([], text),
                "subject": pa.array([], text),
                "item_id": pa.array([], text),
                "category": pa.array([], text),
                "happened_at": pa.array([], pa.timestamp("us")),
                "weight": pa.array([], number),
                "value": pa.array([], number),
                "is_new": pa.array([], pa.bool_()),
                "evidence": pa.array([], text),
            }
        )
    )
