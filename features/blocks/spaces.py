"""The three spaces of each user, offline, community and online, and the events attended in person."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block
from features.local_time import to_local
from features.snapshot import Snapshot

SPACES = ("offline", "community", "online")
OFFLINE_KINDS = ("offline_event", "offline", "meetup", "meeting", "store_visit", "线下", "线下活动")
"""Kinds of engagement that happen in person."""

ONLINE_KINDS = ("live", "post", "review", "like")
OFFLINE_CHANNELS = ("offline", "store", "pos", "门店", "线下")
"""Channels of orders that are no evidence of the online space, but of a shop."""


@block({"memberships": ("community_id",), "communities": ("space",)})
def spaces(snapshot: Snapshot) -> ir.Table:
    """In which spaces the user was ever seen. Each needs evidence of its own; none follows from another.

    offline: a community of that space joined, an event attended in person, an order in a shop. community: a community of
    that space, such as of a neighbourhood, joined or talked in. online: an online community, a share, a post, a live room,
    or an order anywhere but in a shop.

    space_offline      int64  -       1 with evidence
    space_community    int64  -       1 with evidence
    space_online       int64  -       1 with evidence
    spaces_covered     int64  spaces  of the three, with evidence
    """
    known = snapshot["communities"]
    known = known.filter(known.space.lower().isin(SPACES)).select("community_id", space=known.space.lower())
    found = [snapshot["memberships"].join(known, "community_id").select("user_id", "space")]
    if snapshot.has("engagements", "community_id"):
        acts = snapshot["engagements"]
        found.append(acts.join(known, "community_id").select("user_id", "space"))
    if snapshot.has("engagements", "kind"):
        acts = snapshot["engagements"]
        kind = acts.kind.lower()
        where = ibis.cases((kind.isin(OFFLINE_KINDS), "offline"), (kind.isin(ONLINE_KINDS), "online"))
        found.append(acts.select("user_id", space=where))
    if "orders" in snapshot:
        orders = snapshot["orders"]
        shop = orders.channel.lower().isin(OFFLINE_CHANNELS).fill_null(False)
        found.append(orders.select("user_id", space=ibis.ifelse(shop, "offline", "online")))
    if "shares" in snapshot:
        found.append(snapshot["shares"].select(user_id="sharer_id", space=ibis.literal("online")))
    seen = found[0] if len(found) == 1 else ibis.union(*found)
    seen = seen.filter(seen.space.notnull())
    flags = seen.group_by("user_id").agg(
        **{f"space_{name}": (seen.count(where=seen.space == name) > 0).cast("int64") for name in SPACES}
    )
    return flags.mutate(spaces_covered=flags.space_offline + flags.space_community + flags.space_online)


@block({"engagements": ("kind",)})
def attendance(snapshot: Snapshot) -> ir.Table:
    """Days on which the user came to something in person; whoever has met is known.

    offline_days_{w}      int64    days  in the window
    offline_days_all      int64    days  in all history
    offline_idle_days     float64  days  from the first event of the last such day to as_of, > 0
    """
    acts = snapshot["engagements"]
    met = acts.filter(acts.kind.lower().isin(OFFLINE_KINDS))
    local = to_local(met.happened_at, snapshot.source.dataset.zone, snapshot.as_of).truncate("D")
    met = met.group_by("user_id", local_day=local).agg(happened_at=met.happened_at.min())
    counted = met.group_by("user_id").agg(
        **{f"offline_days_{w}": met.count(where=met.happened_at >= start) for w, start in snapshot.windows.items()},
        offline_days_all=met.count(),
        last_at=met.happened_at.max(),
    )
    return counted.mutate(offline_idle_days=snapshot.days_before(counted.last_at)).drop("last_at")
