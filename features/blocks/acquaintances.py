"""Whom each user knew in a community on joining it, the sizes of the communities, and the team that follows the user."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

BANDS = (40, 50, 150, 500)
"""Sizes at which communities change: up to 40 know each other, below 50 and below 150 live, at 500 they fall silent."""

TEAM = (3, 10, 40, 150, 500)
"""Sizes that a team grows to, one after the other."""


@block({"memberships": ("community_id",), "ties": ()}, scope="graph")
def acquaintances(snapshot: Snapshot) -> ir.Table:
    """People in a community to whom the user had a tie before joining it, of all communities that had members by then.

    joins_knowing_nobody     int64    communities  joined where the user knew none of those who were there
    known_at_join_mean       float64  people       known on joining, mean over communities
    communities_alone        int64    communities  of those the user is in now, joined knowing nobody
    """
    met = acquaintances_at_join(snapshot)
    counted = met.group_by("user_id").agg(
        joins_knowing_nobody=met.count(where=met.known == 0),
        known=met.known.sum().cast("int64"),
        joins=met.count(),
        communities_alone=met.count(where=met.present & (met.known == 0)),
    )
    return counted.mutate(known_at_join_mean=ratio(counted.known, counted.joins)).drop("known", "joins")


def acquaintances_at_join(snapshot: Snapshot) -> ir.Table:
    """Everybody's first join of each community in which somebody was before.

    Returns:
        community_id  string
        user_id       string
        joined_at     timestamp
        present       boolean  not known to have left since the last join
        known         int64    people who had joined before, and to whom a tie, either way, had begun by then
    """
    joined = snapshot["memberships"]
    joined = joined.filter(joined.community_id.notnull())
    first = joined.group_by("community_id", "user_id").agg(
        joined_at=joined.joined_at.min(), present=joined.count(where=joined.left_at.isnull()) > 0
    )
    begun = first.group_by("community_id").agg(begun_at=first.joined_at.min())
    first = first.join(begun, "community_id").filter(ibis._.joined_at > ibis._.begun_at).drop("begun_at")
    mine = first.select("community_id", "user_id", "joined_at")
    there = joined.group_by("community_id", other_id="user_id").agg(there_at=joined.joined_at.min())

    def met(**ends: str) -> ir.Table:
        links = snapshot["pairs"].select("since", **ends)
        both = mine.join(links, "user_id").join(there, ["community_id", "other_id"])
        both = both.filter(both.there_at < both.joined_at, both.since < both.joined_at)
        return both.select("community_id", "user_id", "other_id")

    # Each direction on its own: people in communities are few, and all ties both ways would first be sorted by their ends.
    either_way = met(user_id="user_id", other_id="influencer_id"), met(user_id="influencer_id", other_id="user_id")
    people = ibis.union(*either_way, distinct=True)
    known = people.group_by("community_id", "user_id").agg(known=people.count())
    told = first.left_join(known, ["community_id", "user_id"])
    return told.select("community_id", "user_id", "joined_at", "present", known=told.known.fill_null(0))


@block({"memberships": ("community_id",)})
def community_sizes(snapshot: Snapshot) -> ir.Table:
    """Communities that the user is in now, by how many are in them.

    communities_to_40       int64    communities  of at most 40 members
    communities_to_49       int64    communities  of 41 to 49
    communities_to_149      int64    communities  of 50 to 149
    communities_to_499      int64    communities  of 150 to 499
    communities_from_500    int64    communities  of 500 and more
    community_smallest      float64  people       members of the smallest, >= 1
    """
    present = present_members(snapshot)
    sizes = present.group_by("community_id").agg(members=present.count())
    mine = present.join(sizes, "community_id")
    n = mine.members
    return mine.group_by("user_id").agg(
        communities_to_40=mine.count(where=n <= 40),
        communities_to_49=mine.count(where=(n > 40) & (n < 50)),
        communities_to_149=mine.count(where=(n >= 50) & (n < 150)),
        communities_to_499=mine.count(where=(n >= 150) & (n < 500)),
        communities_from_500=mine.count(where=n >= 500),
        community_smallest=n.min().cast("float64"),
    )


@block({"memberships": ("inviter_id",)})
def team(snapshot: Snapshot) -> ir.Table:
    """People whom the user brought into communities and who are in one of them still.

    team_size         int64    people  invited by the user and present
    team_missing      float64  people  to the next size in `TEAM`, null beyond the last, > 0
    """
    joined = snapshot["memberships"]
    brought = joined.filter(
        joined.left_at.isnull(), joined.inviter_id.notnull(), (joined.inviter_id != joined.user_id).fill_null(False)
    )
    sizes = brought.group_by(user_id="inviter_id").agg(team_size=brought.user_id.nunique())
    steps = [(sizes.team_size < step, (step - sizes.team_size).cast("float64")) for step in TEAM]
    return sizes.mutate(team_missing=ibis.cases(*steps))


def present_members(snapshot: Snapshot) -> ir.Table:
    """(community_id, user_id, joined_at of the last join) of everybody who is not known to have left, once each."""
    joined = snapshot["memberships"]
    there = joined.filter(joined.left_at.isnull(), joined.community_id.notnull())
    return there.group_by("community_id", "user_id").agg(joined_at=there.joined_at.max())
