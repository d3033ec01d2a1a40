"""Whether members of a community come to know each other after a meeting."""

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from features.local_time import to_local
from features.snapshot import Snapshot

KINDS = ("offline_event", "offline", "meetup", "meeting", "live", "sharing", "线下", "线下活动", "分享会")
"""Kinds of engagement in a community that bring people together on one day."""


def meetings(snapshot: Snapshot) -> ir.Table:
    """Local days on which two people or more came to something in a community, whose attribution window has passed.

    Returns:
        community_id  string
        meetings      int64
        pairs         float64  of people who came on one day, over all meetings
        before        int64    of these, those with a tie, either way, before both had come
        after         int64    and those whose first tie began within the window after
    """
    window = snapshot.time.window
    came = snapshot["engagements"]
    came = came.filter(
        came.kind.lower().isin(KINDS), came.community_id.notnull(), came.happened_at < snapshot.as_of - window
    )
    local = to_local(came.happened_at, snapshot.source.dataset.zone, snapshot.as_of).truncate("D")
    there = came.group_by("community_id", "user_id", meeting=local).agg(came_at=came.happened_at.min())
    crowd = there.group_by("community_id", "meeting").agg(people=there.count())
    crowd = crowd.filter(crowd.people > 1)
    counted = crowd.group_by("community_id").agg(
        meetings=crowd.count(), pairs=(crowd.people * (crowd.people - 1) / 2).sum().cast("float64")
    )
    tied = _tied(snapshot, there, window)
    told = counted.left_join(tied, "community_id")
    return told.select("community_id", "meetings", "pairs", before=told.before.fill_null(0), after=told.after.fill_null(0))


def _tied(snapshot: Snapshot, there: ir.Table, window: timedelta) -> ir.Table:
    """(community_id, before, after): pairs at one meeting with a tie before both had come, or in the window after."""
    pairs = snapshot["pairs"]
    ends = pairs.select(
        low=ibis.least(pairs.user_id, pairs.influencer_id),
        high=ibis.greatest(pairs.user_id, pairs.influencer_id),
        since=pairs.since,
    )
    known = ends.group_by("low", "high").agg(since=ends.since.min())
    other = there.select("community_id", "meeting", high="user_id", their_at="came_at")
    met = there.mutate(low=there.user_id).join(known, "low").join(other, ["community_id", "meeting", "high"])
    begun = ibis.greatest(met.came_at, met.their_at)
    after = (met.since >= begun) & (met.since < begun + ibis.interval(seconds=int(window.total_seconds())))
    return met.group_by("community_id").agg(before=met.count(where=met.since < begun), after=met.count(where=after))
