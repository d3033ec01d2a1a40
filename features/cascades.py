"""Who brought whom, and the chain of people behind each person and each share: descendants by level, each counted once."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.engine import Engine, rows_in
from features.ledger import named_responses, with_subject
from features.snapshot import Snapshot

DEPTH = 8
"""Levels that are followed; who is further away is in no chain. In the simulated market hardly anybody is."""

MOST_PAIRS = 20_000_000
"""Pairs of a head and a member that are looked at: about two gigabytes. A level that could lead beyond is not followed, nor
any further one, for anybody, so that all heads are measured alike; the first level is always there."""

ACCEPTED = ("join", "register", "buy")
"""Responses that follow an invitation. A click is no arrival, and help with a bargain costs nothing and is traded."""

SOURCES: Sequence[Mapping[str, tuple[str, ...]]] = (
    {"shares": ("parent_share_id",)},
    {"share_responses": ("action",)},
    {"memberships": ("inviter_id",)},
    {"orders": ("referrer_id",)},
    {"group_buys": (), "group_buy_members": ()},
)
"""Tables and columns of which each tells who brought whom."""

BEGINNING = ibis.literal(datetime(1970, 1, 1)).cast("timestamp(6)")


def chains(snapshot: Snapshot, links: ir.Table, start: datetime | None = None, end: datetime | None = None) -> ir.Table:
    """The people behind each person, materialised; ``links``: what `brought` finds in ``[start, end)``, materialised.

    Somebody is in the chain of a person who brought them, and of everybody in whose chain that person was by then. The
    shortest of several ways tells the level, and nobody is in their own chain. Only what happened in ``[start, end)``
    counts, by default all that the snapshot holds: the chain as if history began at ``start``.

    Returns:
        user_id    string
        member_id  string     not user_id
        level      int64      1 brought by the user, 2 by those, ... ``DEPTH`` at most
        since      timestamp  when the member came in, by whichever way was first
        value      int64      minor units that the ledger credits the user and the chain for orders of the member
        value_{w}  int64      the same of orders in the window; not with an ``end``
    """
    engine = snapshot.engine
    members = descendants(links, engine)
    heads = members.select(root="root", giver="root", since=BEGINNING)
    givers = ibis.union(heads.distinct(), members.select("root", "since", giver="member").select(heads.columns))
    money = _paid(snapshot, start, end)
    credited = givers.join(money, [givers.giver == money.influencer_id, givers.since <= money.happened_at])
    windows = {} if end else snapshot.windows
    valued = _with_value(members, credited, windows).rename(user_id="root", member_id="member")
    valued = engine.materialise(valued)
    engine.release(members)
    return valued


def share_cascades(snapshot: Snapshot) -> ir.Table:
    """The people that each share reached, by the shares that passed it on, each person once, at the nearest level.

    Level 1 accepted the share or passed it on, level 2 accepted a share of those or passed that on, and so on; a share that
    nobody accepted is not listed.

    Returns:
        share_id   string
        user_id    string     who sent it
        member_id  string     not user_id
        level      int64      1 to ``DEPTH``
        since      timestamp  when the member came in
        value      int64      minor units of the same subject that the ledger credits people of this cascade for the member
    """
    engine = snapshot.engine
    shares = with_subject(snapshot, snapshot["shares"])
    shares = shares.select("share_id", "sharer_id", "parent_share_id", "shared_at", subject=shares.subject.fill_null(""))
    above = shares.select(above_id="share_id")
    passed = shares.join(above, shares.parent_share_id == above.above_id)
    passed = engine.materialise(passed.select(parent="above_id", child="share_id", since="shared_at"))
    below = descendants(passed, engine)
    sent = shares.select(share_id="share_id", member="sharer_id")
    arrived = below.rename(share_id="member").join(sent, "share_id").select("root", "member", "level", "since")
    if snapshot.has("share_responses", "share_id"):
        taken = _accepted(snapshot["share_responses"]).select("share_id", member="responder_id", at="responded_at")
        own = shares.select(root="share_id", share_id="share_id", level=ibis.literal(0, "int64"))
        tree = ibis.union(own, below.select("root", "level", share_id="member").select(own.columns))
        came = tree.join(taken, "share_id")
        arrived = ibis.union(arrived, came.select("root", "member", level=came.level + 1, since=came.at))
    about = shares.select("subject", "shared_at", root="share_id", user_id="sharer_id")
    rows = arrived.filter(arrived.level <= DEPTH).join(about, "root")
    rows = rows.filter(rows.member.notnull(), rows.member != rows.user_id)
    members = engine.materialise(
        rows.group_by("root", "user_id", "subject", "member").agg(level=rows.level.min(), since=rows.since.min())
    )
    heads = about.select("root", "subject", giver="user_id", since="shared_at")
    givers = ibis.union(heads, members.select("root", "subject", "since", giver="member").select(heads.columns))
    money = _paid(snapshot)
    same = [givers.giver == money.influencer_id, givers.subject == money.subject, givers.since <= money.happened_at]
    valued = engine.materialise(_with_value(members.drop("subject"), givers.join(money, same), {}))
    engine.release(passed, below, members)
    return valued.rename(share_id="root", member_id="member")


def brought(snapshot: Snapshot, start: datetime | None = None, end: datetime | None = None) -> ir.Table | None:
    """Who brought whom first, when: one row per pair; None where no table tells.

    Somebody is brought by whose share they pass on or accept (see ``ACCEPTED``; a response without an action counts), whose
    invitation into a community they follow, who is named on their order, whose group buy they join, and whom the ledger
    credits with money of theirs on such evidence.

    Returns:
        parent  string
        child   string     not parent
        since   timestamp  the first time within ``[start, end)``
    """
    found = []
    if snapshot.has("shares", "parent_share_id"):
        shares = snapshot["shares"]
        above = shares.select(above_id="share_id", parent="sharer_id")
        passed = _between(shares, "shared_at", start, end)
        passed = passed.join(above, passed.parent_share_id == above.above_id)
        found.append(passed.select(parent="parent", child="sharer_id", since="shared_at"))
    if snapshot.has("share_responses", "action"):
        taken = _between(_accepted(named_responses(snapshot)), "responded_at", start, end)
        found.append(taken.select(parent="sharer_id", child="responder_id", since="responded_at"))
    if snapshot.has("memberships", "inviter_id"):
        joined = _between(snapshot["memberships"], "joined_at", start, end)
        found.append(joined.select(parent="inviter_id", child="user_id", since="joined_at"))
    if snapshot.has("orders", "referrer_id"):
        orders = _between(snapshot["orders"], "ordered_at", start, end)
        found.append(orders.select(parent="referrer_id", child="user_id", since="ordered_at"))
    if "group_buy_members" in snapshot and "group_buys" in snapshot:
        owners = snapshot["group_buys"].select("group_buy_id", "initiator_id")
        joins = _between(snapshot["group_buy_members"], "joined_at", start, end).join(owners, "group_buy_id")
        found.append(joins.select(parent="initiator_id", child="user_id", since="joined_at"))
    if not found:
        return None
    paid = _paid(snapshot, start, end)
    found.append(paid.select(parent="influencer_id", child="influenced_id", since="happened_at"))
    pairs = ibis.union(*found)
    pairs = pairs.filter(pairs.parent.notnull(), pairs.child.notnull(), pairs.parent != pairs.child)
    return pairs.group_by("parent", "child").agg(since=pairs.since.min())


def descendants(links: ir.Table, engine: Engine, depth: int = DEPTH, most: int = MOST_PAIRS) -> ir.Table:
    """All that links in the order of time lead to from each ``parent``, materialised; cycles and several parents are fine.

    links: (parent, child, since), one row per pair. ``most``: a level is cut, and all further ones, when the pairs known and
    the ways that lead on could be more, as of ``MOST_PAIRS``; no more than that are ever held.

    Returns:
        root    string
        member  string     not root
        level   int64      fewest links that lead there, 1 to ``depth``
        since   timestamp  when it was first reached, by any number of links up to ``depth``
    """
    onward = links.select(member="parent", onto="child", then="since")
    reached = engine.materialise(links.select(root="parent", member="child", level=ibis.literal(1, "int64"), since="since"))
    fresh = reached
    brings = links.group_by(giver="parent").agg(onward=links.count())
    for level in range(2, depth + 1):
        if rows_in(reached, engine) + _ways(fresh, brings, engine) > most:
            break
        # A link made before the arrival leads to somebody who was there without it.
        steps = fresh.join(onward, [fresh.member == onward.member, fresh.since <= onward.then])
        steps = steps.filter(steps.root != steps.onto).group_by("root", member="onto").agg(since=steps.then.min())
        known = reached.select(known_root="root", known_member="member", known_since="since")
        steps = steps.left_join(known, [steps.root == known.known_root, steps.member == known.known_member])
        # Who is reached earlier than before may lead on to more, though their own level stays.
        better = steps.filter(steps.known_since.isnull() | (steps.since < steps.known_since))
        last = fresh
        fresh = engine.materialise(
            better.select("root", "member", "since", level=ibis.literal(level, "int64")).select(reached.columns)
        )
        both = ibis.union(reached, fresh)
        grown = engine.materialise(both.group_by("root", "member").agg(level=both.level.min(), since=both.since.min()))
        engine.release(*({reached.get_name(): reached, last.get_name(): last}.values()))
        reached = grown
        if not rows_in(fresh, engine):
            break
    return reached


def _ways(fresh: ir.Table, brings: ir.Table, engine: Engine) -> int:
    """Rows that one more level could have: each member of ``fresh`` (root, member) leads to all whom ``brings`` counts."""
    met = fresh.join(brings, fresh.member == brings.giver)
    return int(engine.to_arrow(met.aggregate(ways=met.onward.sum().fill_null(0)))["ways"][0].as_py())


def _with_value(members: ir.Table, credited: ir.Table, windows: Mapping[str, datetime]) -> ir.Table:
    """``members`` with the money of ``credited``, rows of (root, influenced_id, happened_at, value)."""
    at, value = credited.happened_at, credited.value
    summed = credited.group_by(for_root="root", for_member="influenced_id").agg(
        value=value.sum(), **{f"value_{w}": value.sum(where=at >= start) for w, start in windows.items()}
    )
    found = members.left_join(summed, [members.root == summed.for_root, members.member == summed.for_member])
    names = ("value", *(f"value_{w}" for w in windows))
    return found.select(*members.columns, **{name: found[name].fill_null(0).cast("int64") for name in names})


def _paid(snapshot: Snapshot, start: datetime | None = None, end: datetime | None = None) -> ir.Table:
    """The ledger's money on explicit evidence: who was credited for whose order."""
    ledger = _between(snapshot["ledger"], "happened_at", start, end)
    return ledger.filter(ledger.evidence != "tie", ledger.value > 0)


def _accepted(responses: ir.Table) -> ir.Table:
    return responses.filter(responses.action.isnull() | responses.action.isin(ACCEPTED))


def _between(rows: ir.Table, at: str, start: datetime | None, end: datetime | None) -> ir.Table:
    if start is not None:
        rows = rows.filter(rows[at] >= ibis.literal(start))
    return rows if end is None else rows.filter(rows[at] < ibis.literal(end))
