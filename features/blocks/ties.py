"""How each user stands in the graph of ties: degrees by kind and direction, mutual ties, and structure."""

import ibis
import ibis.expr.types as ir

from features.arcs import arcs_of
from features.blocks.block import block, ratio
from features.snapshot import Snapshot
from features.structure import structure_of

KINDS = ("friend", "follow", "trust", "invite", "co-member")


@block({"ties": ()})
def degrees(snapshot: Snapshot) -> ir.Table:
    """Ties known at as_of; a follower may be influenced by the user, and the user by those followed.

    followers          int64    people  distinct people whom the user may influence
    following          int64    people  distinct people who may influence the user
    mutual             int64    people  both at once
    reciprocity        float64  -       mutual over all neighbours, 0 to 1
    """
    pairs = snapshot["pairs"]
    back = pairs.select(user_id="influencer_id", influencer_id="user_id")
    both = pairs.join(back, ["user_id", "influencer_id"])
    ends = ibis.union(
        pairs.select(user="influencer_id", side=ibis.literal("followers")),
        pairs.select(user="user_id", side=ibis.literal("following")),
        both.select(user="user_id", side=ibis.literal("mutual")),
    )
    counted = ends.group_by(user_id="user").agg(
        **{side: ends.count(where=ends.side == side) for side in ("followers", "following", "mutual")}
    )
    neighbours = counted.followers + counted.following - counted.mutual
    return counted.mutate(reciprocity=ratio(counted.mutual, neighbours))


@block({"ties": ("kind",)})
def degrees_by_kind(snapshot: Snapshot) -> ir.Table:
    """Distinct people by kind of tie and direction.

    followers_friend       int64  people  friends whom the user may influence
    followers_follow       int64  people  followers
    followers_trust        int64  people  who trust the user
    followers_invite       int64  people  invited by the user
    followers_co_member    int64  people  in a community with the user, as those who may be influenced
    following_friend       int64  people  friends who may influence the user
    following_follow       int64  people  followed by the user
    following_trust        int64  people  trusted by the user
    following_invite       int64  people  who invited the user
    following_co_member    int64  people  in a community with the user, as those who may influence
    """
    ties = snapshot["ties"]
    ties = ties.filter(ties.user_id != ties.influencer_id)
    distinct = ties.group_by("user_id", "influencer_id", "kind").agg(rows=ties.count())
    ends = ibis.union(
        distinct.select("kind", user="influencer_id", side=ibis.literal("followers")),
        distinct.select("kind", user="user_id", side=ibis.literal("following")),
    )
    return ends.group_by(user_id="user").agg(
        **{
            f"{side}_{kind.replace('-', '_')}": ends.count(where=(ends.side == side) & (ends.kind == kind))
            for side in ("followers", "following")
            for kind in KINDS
        }
    )


@block({"ties": ()}, scope="graph")
def tie_structure(snapshot: Snapshot) -> ir.Table:
    """Position in the whole graph (igraph), on distinct ties known at as_of.

    pagerank_log   float64  -       log10 of PageRank (Page et al. 1999, damping .85, user -> influencer) over its mean
    core           int64    people  core number of the undirected graph (Seidman 1983)
    clustering     float64  -       local clustering coefficient (Watts and Strogatz 1998), 0 to 1, null below two neighbours
    """
    names, arcs = arcs_of(snapshot)
    with snapshot.engine.resting():
        structure = structure_of(names, arcs)
    return snapshot.engine.from_arrow(structure)
