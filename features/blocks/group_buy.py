"""Group buys that each user opened or joined, failed ones included."""

import ibis.expr.types as ir

from features.blocks.block import block, ratio
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
