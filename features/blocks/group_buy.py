"""Group buys that each user opened or joined, failed ones included, and whether help keeps to the rules."""

import ibis
import ibis.expr.types as ir

from features.abuse.help_acts import HELP, HELPS_A_DAY
from features.blocks.block import block, ratio
from features.ledger import named_responses, with_subject
from features.local_time import to_local
from features.snapshot import Snapshot


@block({"group_buys": (), "group_buy_members": ()})
def group_buys_opened(snapshot: Snapshot) -> ir.Table:
    """What came of the group buys that the user opened.

    groups_opened_{w}       int64    group buys  opened in the window
    groups_opened_all       int64    group buys  opened in all history
    groups_filled_all       int64    group buys  known at as_of to have succeeded
    groups_failed_all       int64    group buys  known at as_of to have failed
    group_success_rate      float64  -           filled over filled and failed, 0 to 1
    group_members_brought   int64    joins       of others, over all groups
    group_fill              float64  -           members (the opener included) over the sizes asked for
    """
    groups, members = snapshot["group_buys"], snapshot["group_buy_members"]
    owners = groups.select("group_buy_id", "initiator_id")
    others = members.join(owners, "group_buy_id")
    others = others.filter(others.user_id != others.initiator_id)
    joined = others.group_by("group_buy_id").agg(brought=others.user_id.nunique())
    filled = groups.left_join(joined, "group_buy_id")
    filled = filled.mutate(brought=filled.brought.fill_null(0))
    opened = filled.group_by(user_id="initiator_id").agg(
        **{f"groups_opened_{w}": filled.count(where=filled.opened_at >= start) for w, start in snapshot.windows.items()},
        groups_opened_all=filled.count(),
        groups_filled_all=filled.count(where=filled.succeeded),
        groups_failed_all=filled.count(where=~filled.succeeded),
        group_members_brought=filled.brought.sum().cast("int64"),
        seats=filled["size"].sum().cast("int64"),
        taken=(filled.brought + 1).sum(where=filled["size"].notnull()).cast("int64"),
    )
    return opened.mutate(
        group_success_rate=ratio(opened.groups_filled_all, opened.groups_filled_all + opened.groups_failed_all),
        group_fill=ratio(opened.taken, opened.seats),
    ).drop("seats", "taken")


@block({"group_buys": (), "group_buy_members": ()})
def group_buys_joined(snapshot: Snapshot) -> ir.Table:
    """Group buys of others that the user joined.

    groups_joined_{w}    int64  group buys  joined in the window
    groups_joined_all    int64  group buys  joined in all history
    openers_joined       int64  people      whose group buys the user joined
    """
    members = snapshot["group_buy_members"].select("group_buy_id", "user_id", "joined_at")
    joins = members.join(snapshot["group_buys"].select("group_buy_id", "initiator_id"), "group_buy_id")
    joins = joins.filter(joins.user_id != joins.initiator_id)
    return joins.group_by("user_id").agg(
        **{f"groups_joined_{w}": joins.count(where=joins.joined_at >= start) for w, start in snapshot.windows.items()},
        groups_joined_all=joins.count(),
        openers_joined=joins.initiator_id.nunique(),
    )


@block({"group_buys": ("deadline", "closed_at")})
def group_buy_speed(snapshot: Snapshot) -> ir.Table:
    """How fast the user's group buys filled, of those known at as_of to have succeeded.

    group_fill_hours       float64  hours       from opening to the last seat, mean
    group_fill_time        float64  -           of the time up to the deadline that it took, mean
    groups_in_time         int64    group buys  full by their deadline
    groups_failed_{w}      int64    group buys  that failed, opened in the window
    """
    groups = snapshot["group_buys"]
    opened, closed, due = groups.opened_at.epoch_seconds(), groups.closed_at.epoch_seconds(), groups.deadline.epoch_seconds()
    known = groups.mutate(took=ibis.ifelse(groups.succeeded, closed - opened, ibis.null("int64")), allowed=due - opened)
    both = known.took.notnull() & (known.allowed > 0)
    failed = (~known.succeeded).fill_null(False)
    summed = known.group_by(user_id="initiator_id").agg(
        took=known.took.sum(),
        filled=known.took.count(),
        share=(known.took * 1_000_000 // known.allowed.nullif(0)).sum(where=both),
        timed=known.count(where=both),
        groups_in_time=known.count(where=both & (known.took <= known.allowed)),
        **{
            f"groups_failed_{w}": known.count(where=failed & (known.opened_at >= start))
            for w, start in snapshot.windows.items()
        },
    )
    return summed.mutate(
        group_fill_hours=ratio(summed.took, summed.filled) / 3_600,
        group_fill_time=ratio(summed.share, summed.timed) / 1_000_000,
    ).drop("took", "filled", "share", "timed")


@block({"share_responses": ("action", "sharer_id")})
def help_rules(snapshot: Snapshot) -> ir.Table:
    """Help with bargains, and how far it leaves the rules: a friend helps once per product, one user helps 3 friends a day.

    helps_received         int64    helps   by others
    helps_repeated         int64    helps   of them, by a friend who had helped with that product before
    helps_given            int64    helps   to others
    helps_given_repeated   int64    helps   of them, to a friend whom the user had helped with that product before
    help_days_over         int64    days    local days on which the user helped more than three friends
    helped_a_day_max       int64    people  whom the user helped on one local day, most
    helpers                int64    people  who helped the user
    helpers_returned       int64    people  of them, whom the user helped too
    helpers_returned_share  float64  -       of the helpers, 0 to 1
    """
    rows = with_subject(snapshot, named_responses(snapshot))
    rows = rows.filter(rows.action == HELP, rows.sharer_id.notnull(), rows.responder_id != rows.sharer_id)
    local = to_local(rows.responded_at, snapshot.source.dataset.zone, snapshot.as_of)
    rows = rows.select("sharer_id", "responder_id", "subject", day=local.truncate("D"))
    pairs = rows.group_by("sharer_id", "responder_id").agg(
        # Where no product is named, nobody can tell whether it was the same.
        helps=rows.count(),
        repeated=rows.subject.count() - rows.subject.nunique(),
    )
    back = pairs.select(back_from="sharer_id", back_to="responder_id")
    pairs = pairs.left_join(back, [pairs.sharer_id == back.back_to, pairs.responder_id == back.back_from])
    days = rows.group_by("responder_id", "day").agg(friends=rows.sharer_id.nunique())
    busiest = days.group_by(user_id="responder_id").agg(
        help_days_over=days.count(where=days.friends > HELPS_A_DAY), helped_a_day_max=days.friends.max()
    )
    nothing = ibis.literal(0, "int64")
    received = pairs.group_by(user_id="sharer_id").agg(
        helps_received=pairs.helps.sum().cast("int64"),
        helps_repeated=pairs.repeated.sum().cast("int64"),
        helpers=pairs.count(),
        helpers_returned=pairs.back_to.count(),
    )
    given = pairs.group_by(user_id="responder_id").agg(
        helps_given=pairs.helps.sum().cast("int64"), helps_given_repeated=pairs.repeated.sum().cast("int64")
    )
    names = [*received.columns[1:], *given.columns[1:], *busiest.columns[1:]]
    parts = [
        part.select("user_id", **{name: part[name] if name in part.columns else nothing for name in names})
        for part in (received, given, busiest)
    ]
    both = ibis.union(*parts)
    summed = both.group_by("user_id").agg(**{name: both[name].sum().cast("int64") for name in names})
    return summed.mutate(helpers_returned_share=ratio(summed.helpers_returned, summed.helpers))
