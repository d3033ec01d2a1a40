"""What many blocks read, derived once per snapshot: acts, tie pairs, purchases, adoptions and the ledger."""

import ibis
import ibis.expr.types as ir

from features.abuse.suspects import suspects, without_inflation
from features.cascades import brought, chains
from features.ledger import influence_ledger, net_amount, with_subject
from features.local_time import to_local
from features.schema import TABLES, Kind
from features.snapshot import Snapshot
from features.tie_parts import influencers_in_parts

ALWAYS = "1970-01-01"
"""``since`` of a tie without a date: known before anything happened."""

ACTS = {
    "orders": ("user_id", "ordered_at"),
    "shares": ("sharer_id", "shared_at"),
    "share_responses": ("responder_id", "responded_at"),
    "group_buys": ("initiator_id", "opened_at"),
    "group_buy_members": ("user_id", "joined_at"),
    "memberships": ("user_id", "joined_at"),
    "engagements": ("user_id", "happened_at"),
}
"""Tables whose rows are something that a user did: who, and when."""

NAMED = {
    "orders": ("referrer_id", "ordered_at"),
    "share_responses": ("sharer_id", "responded_at"),
    "memberships": ("inviter_id", "joined_at"),
}
"""Tables whose rows name somebody who had acted by then: without a row of their own, promoters would be nobody."""

DERIVED = ("acts", "pairs", "purchases", "adoptions", "shared", "brought", "chains")
"""What `prepare` materialises besides the ledger; `suspects` stays, since the tables of the sources read it."""


OF_USERS = frozenset(name for name, spec in TABLES.items() if any(spec.of_kind(Kind.USER))) - {"identities"}
"""Sources that name users, whose accounts are merged and whose inflation is taken out."""


def prepare(snapshot: Snapshot) -> Snapshot:
    """The snapshot with the derived tables that its sources allow.

    acts       (user_id, happened_at)                        everything that users did
    suspects   see `features.abuse.suspects`; where it names anybody, everything below is without acts of bots and acts
               within one cluster, see `features.abuse.suspects.without_inflation`, and nobody acted because these name them
    pairs      (user_id, influencer_id, since)               distinct ties of two different people
    purchases  (user_id, subject, ordered_at, item_id, amount, lines)   what one person bought of one subject at once
    adoptions  (user_id, subject, item_id, first_at, last_at, times, first_amount)   one person and one subject
    shared     (user_id, influencer_id, since, subject, item_id, first_at, first_amount, led_at)   see `shared_adoptions`
    ledger     see `features.ledger`
    brought    (parent, child, since)                        who brought whom first, when; see `features.cascades`
    chains     (user_id, member_id, level, since, value, value_{w})   see `features.cascades`
    """
    return with_chains(with_ledger(snapshot, hold=True))


def with_ledger(snapshot: Snapshot, *, hold: bool = False) -> Snapshot:
    """The snapshot with the derived tables of `prepare` up to the ledger: all that labels need, without chains.

    ``hold``: of sources in which accounts are merged or inflation is taken out, compute each once. Some sixty queries read
    them, and to compile and run those joins in each of them was a third of all the work.
    """
    engine = snapshot.engine
    given, joined = snapshot, "identities" in snapshot
    if "share_responses" in snapshot:
        named = suspects(snapshot)
        snapshot = snapshot.with_tables(suspects=engine.from_arrow(named))
        if len(named):
            snapshot, joined = without_inflation(snapshot), True
    if hold and joined:
        snapshot = snapshot.hold(*(name for name in snapshot.source.tables if name in OF_USERS))
    # Who is under suspicion has acted and can be named; that they name somebody makes nobody active.
    acts = _union([*_own_acts(given), *_named_acts(snapshot)])
    snapshot = snapshot.with_tables(acts=engine.materialise(acts))
    if "ties" in snapshot:
        snapshot = snapshot.with_tables(pairs=engine.materialise(tie_pairs(snapshot)))
    if "orders" in snapshot:
        snapshot = snapshot.with_tables(purchases=engine.materialise(purchases(snapshot)))
    if snapshot.has("orders", "item_id"):
        snapshot = snapshot.with_tables(adoptions=engine.materialise(adoptions(snapshot)))
    if "pairs" in snapshot and "adoptions" in snapshot:
        snapshot = snapshot.with_tables(shared=engine.materialise(*shared_adoptions(snapshot), in_order=True))
    return snapshot.with_tables(ledger=engine.materialise(influence_ledger(snapshot)))


def with_chains(snapshot: Snapshot) -> Snapshot:
    """The snapshot with who brought whom since the lookback, and the chains of it, where its tables tell."""
    lookback = snapshot.time.lookback
    start = None if lookback is None else snapshot.as_of - lookback
    links = brought(snapshot, start)
    if links is None:
        return snapshot
    links = snapshot.engine.materialise(links)
    return snapshot.with_tables(brought=links, chains=chains(snapshot, links, start))


def ledger_alone(snapshot: Snapshot) -> Snapshot:
    """A snapshot with its ledger, without its other derived tables, which cannot be read any more."""
    snapshot = snapshot.let_go()
    held = [name for name in DERIVED if name in snapshot]
    snapshot.engine.release(*(snapshot[name] for name in held))
    return snapshot.without_tables(*held)


def user_acts(snapshot: Snapshot) -> ir.Table:
    """(user_id, happened_at) of every act, and of every act of others that names the user as the one behind it.

    Engagements count as `engagement_days` do.
    """
    return _union([*_own_acts(snapshot), *_named_acts(snapshot)])


def _own_acts(snapshot: Snapshot) -> list[ir.Table]:
    found = []
    for table, (user, moment) in ACTS.items():
        if table in snapshot:
            rows = engagement_days(snapshot) if table == "engagements" else snapshot[table]
            found.append(rows.select(user_id=rows[user], happened_at=rows[moment]))
    return found


def _named_acts(snapshot: Snapshot) -> list[ir.Table]:
    found = []
    for table, (user, moment) in NAMED.items():
        if snapshot.has(table, user):
            rows = snapshot[table]
            found.append(rows.select(user_id=rows[user], happened_at=rows[moment]))
    return found


def _union(parts: list[ir.Table]) -> ir.Table:
    acts = parts[0] if len(parts) == 1 else ibis.union(*parts)
    return acts.filter(acts.user_id.notnull())


def engagement_days(snapshot: Snapshot) -> ir.Table:
    """(user_id, kind, happened_at) of the first engagement of each user, kind and local day.

    A hundred messages a day cost nothing and say no more of somebody than one: volume must not buy a rank.
    """
    rows = snapshot["engagements"]
    local = to_local(rows.happened_at, snapshot.source.dataset.zone, snapshot.as_of)
    return rows.group_by("user_id", "kind", local_day=local.truncate("D")).agg(happened_at=rows.happened_at.min())


def tie_pairs(snapshot: Snapshot) -> ir.Table:
    """(user_id, influencer_id, since), one row per pair; several kinds of tie to one person are one pair."""
    ties = snapshot["ties"]
    apart = ties.filter(ties.user_id != ties.influencer_id)
    return apart.group_by("user_id", "influencer_id").agg(
        since=apart.since.fill_null(ibis.timestamp(ALWAYS).cast("timestamp(6)")).min()
    )


def purchases(snapshot: Snapshot) -> ir.Table:
    """What one person bought of one subject at one moment; ``subject`` is "" where orders name no item."""
    orders = with_subject(snapshot, snapshot["orders"])
    return orders.group_by("user_id", "ordered_at", subject=orders.subject.fill_null("")).agg(
        item_id=orders.item_id.min(), amount=net_amount(orders).sum().cast("int64"), lines=orders.count()
    )


def adoptions(snapshot: Snapshot) -> ir.Table:
    """One row per person and subject: the first and the last purchase of it, and how many there were."""
    bought = snapshot["purchases"]
    named = bought.filter(bought.subject != "")
    return named.group_by("user_id", "subject").agg(
        item_id=named.item_id.argmin(named.ordered_at),
        first_at=named.ordered_at.min(),
        last_at=named.ordered_at.max(),
        times=named.lines.sum().cast("int64"),
        first_amount=named.amount.argmin(named.ordered_at),
    )


def shared_adoptions(snapshot: Snapshot) -> list[ir.Table]:
    """Subjects that both ends of a tie bought, in any order: ``led_at`` the influencer first, ``first_at`` the user.

    In parts, see `features.tie_parts`.
    """
    taken = snapshot["adoptions"]
    led = taken.select("subject", influencer_id="user_id", led_at="first_at")
    followed = taken.select("user_id", "subject", "item_id", "first_at", "first_amount")
    # From the follower's purchases: a hub's own thousands, once for each of its followers, took forty times as long.
    both = snapshot["pairs"].join(followed, "user_id").join(led, ["influencer_id", "subject"])
    return [some.of(both) for some in influencers_in_parts(snapshot["pairs"], snapshot.engine)]
