"""Communities, invitations, engagement and rewards of each user."""

import ibis.expr.types as ir

from features.blocks.block import block
from features.lookback import since_lookback
from features.prepare import engagement_days
from features.snapshot import Snapshot


@block({"memberships": ()})
def memberships(snapshot: Snapshot) -> ir.Table:
    """Communities that the user is in at as_of; a membership lasts, so a lookback does not cut it.

    communities_now    int64    communities  joined and not known to be left
    communities_all    int64    communities  joined in all history
    joined_days        float64  days         from the first join to as_of, > 0
    """
    joined = snapshot["memberships"]
    counted = joined.group_by("user_id").agg(
        communities_now=joined.community_id.nunique(where=joined.left_at.isnull()),
        communities_all=joined.community_id.nunique(),
        first_at=joined.joined_at.min(),
    )
    return counted.mutate(joined_days=snapshot.days_before(counted.first_at)).drop("first_at")


@block({"memberships": ("inviter_id",)})
def invitations(snapshot: Snapshot) -> ir.Table:
    """People whom the user invited into communities.

    invited_{w}            int64    people  joined on the user's invitation in the window
    invited_all            int64    people  in all history
    invited_who_invite     int64    people  of those, who invited others themselves
    invite_idle_days       float64  days    from the last join on the user's invitation to as_of, > 0
    """
    joined = since_lookback(snapshot, snapshot["memberships"], "joined_at")
    joined = joined.filter(joined.inviter_id.notnull(), joined.inviter_id != joined.user_id)
    pairs = joined.group_by("inviter_id", "user_id").agg(joined_at=joined.joined_at.max())
    inviters = pairs.select(user_id="inviter_id").distinct().mutate(invites=True)
    pairs = pairs.left_join(inviters, "user_id").select("inviter_id", "joined_at", "invites")
    invited = pairs.group_by(user_id="inviter_id").agg(
        **{f"invited_{w}": pairs.count(where=pairs.joined_at >= start) for w, start in snapshot.windows.items()},
        invited_all=pairs.count(),
        invited_who_invite=pairs.count(where=pairs.invites),
        last_at=pairs.joined_at.max(),
    )
    return invited.mutate(invite_idle_days=snapshot.days_before(invited.last_at)).drop("last_at")


@block({"engagements": ()})
def engagement(snapshot: Snapshot) -> ir.Table:
    """Posts, reviews, likes, messages, check-ins, live and offline events; of one kind and local day they count once.

    engagements_{w}     int64  days   in the window, each kind for itself
    engagements_all     int64  days   in all history, each kind for itself
    engagement_kinds    int64  kinds  different kinds of engagement
    """
    acts = engagement_days(snapshot)
    return acts.group_by("user_id").agg(
        **{f"engagements_{w}": acts.count(where=acts.happened_at >= start) for w, start in snapshot.windows.items()},
        engagements_all=acts.count(),
        engagement_kinds=acts.kind.nunique(),
    )


@block({"rewards": ()})
def rewards(snapshot: Snapshot) -> ir.Table:
    """Commission, coupons, points and gifts granted to the user.

    rewards_{w}    int64  grants  in the window
    rewards_all    int64  grants  in all history
    """
    granted = snapshot["rewards"]
    return granted.group_by("user_id").agg(
        **{f"rewards_{w}": granted.count(where=granted.granted_at >= start) for w, start in snapshot.windows.items()},
        rewards_all=granted.count(),
    )
