"""The chain of people behind each user: how deep, how broad, worth how much, from how small a beginning, and how far out."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.cascades import SOURCES, share_cascades
from features.snapshot import Snapshot

BRINGS = 3
"""People whom one of the first receivers must bring to belong to the nucleus."""


@block({}, any_of=SOURCES)
def chain_people(snapshot: Snapshot) -> ir.Table:
    """The people behind the user, each once, at the level of the shortest way; see `features.cascades`.

    chain_people_1          int64    people  brought by the user
    chain_people_2          int64    people  brought by those
    chain_people_n          int64    people  further on
    chain_size_{w}          int64    people  at any level, who came in within the window
    chain_size_all          int64    people  at any level
    chain_depth             int64    levels  the furthest with anybody
    chain_breadth           int64    people  at the broadest level
    chain_idle_days         float64  days    from the last arrival in the chain to as_of, > 0
    """
    members = snapshot["chains"]
    levels = members.group_by("user_id", "level").agg(people=members.count())
    widest = levels.group_by("user_id").agg(chain_breadth=levels.people.max())
    came = members.since
    counted = members.group_by(head="user_id").agg(
        chain_people_1=members.count(where=members.level == 1),
        chain_people_2=members.count(where=members.level == 2),
        chain_people_n=members.count(where=members.level > 2),
        **{f"chain_size_{w}": members.count(where=came >= start) for w, start in snapshot.windows.items()},
        chain_size_all=members.count(),
        chain_depth=members.level.max(),
        last_at=came.max(),
    )
    joined = counted.join(widest, counted["head"] == widest.user_id)
    return joined.mutate(chain_idle_days=snapshot.days_before(joined.last_at)).drop("last_at", "head")


@block({}, any_of=SOURCES)
def chain_nucleus(snapshot: Snapshot) -> ir.Table:
    """How the first receivers brought the chain on: from a nucleus of a few who each bring three or more, or not at all.

    nucleus                int64    people  of those whom the user brought, who brought three or more into the chain
    nucleus_share          float64  -       of those whom the user brought, 0 to 1
    chain_branching_all    float64  people  of level 2 for each of level 1
    first_five_brought     int64    people  of level 2 whom the first five of level 1 brought
    """
    members, links = snapshot["chains"], snapshot["brought"]
    first = members.filter(members.level == 1).select("user_id", "member_id", "since")
    second = members.filter(members.level == 2).select("user_id", reached="member_id")
    onward = first.select(giver="member_id", at="since", head="user_id")
    led = onward.join(links, [onward.giver == links.parent, onward.at <= links.since])
    led = led.join(second, [led["head"] == second.user_id, led.child == second.reached])
    brought = led.group_by("head", "giver").agg(people=led.count())
    place = ibis.row_number().over(ibis.window(group_by="user_id", order_by=["since", "member_id"]))
    placed = first.mutate(place=place)
    each = placed.left_join(brought, [placed.user_id == brought["head"], placed.member_id == brought.giver])
    each = each.select("user_id", "place", people=each.people.fill_null(0))
    summed = each.group_by("user_id").agg(
        nucleus=each.count(where=each.people >= BRINGS),
        first=each.count(),
        first_five_brought=each.people.sum(where=each.place < 5).fill_null(0).cast("int64"),
    )
    beyond = second.group_by(head="user_id").agg(beyond=second.count())
    rows = summed.left_join(beyond, summed.user_id == beyond["head"])
    return rows.select(
        "user_id",
        "nucleus",
        "first_five_brought",
        nucleus_share=ratio(rows.nucleus, rows["first"]),
        chain_branching_all=ratio(rows.beyond.fill_null(0), rows["first"]),
    )


@block({}, any_of=SOURCES)
def chain_money(snapshot: Snapshot) -> ir.Table:
    """Net money of the orders that the ledger credits the user and the chain for.

    chain_money_1          int64    minor units  of people whom the user brought
    chain_money_2          int64    minor units  of those whom they brought
    chain_money_n          int64    minor units  further on
    chain_money_{w}        int64    minor units  of all levels, of orders in the window
    chain_money_all        int64    minor units  of all levels
    chain_payers           int64    people       of all levels who paid anything that is credited
    chain_money_each       float64  minor units  chain_money_all for each person of the chain
    """
    members = snapshot["chains"]
    value = members.value
    summed = members.group_by("user_id").agg(
        chain_money_1=value.sum(where=members.level == 1).fill_null(0).cast("int64"),
        chain_money_2=value.sum(where=members.level == 2).fill_null(0).cast("int64"),
        chain_money_n=value.sum(where=members.level > 2).fill_null(0).cast("int64"),
        **{f"chain_money_{w}": members[f"value_{w}"].sum().cast("int64") for w in snapshot.windows},
        chain_money_all=value.sum().cast("int64"),
        chain_payers=members.count(where=value > 0),
        people=members.count(),
    )
    return summed.mutate(chain_money_each=ratio(summed.chain_money_all, summed.people)).drop("people")


@block({"shares": ("parent_share_id",)})
def share_chains(snapshot: Snapshot) -> ir.Table:
    """What became of the user's single shares: the cascade of each, which is one campaign's where a campaign is one share.

    cascades              int64    shares       that anybody accepted or passed on
    cascade_people_max    int64    people       reached by the largest
    cascade_depth_max     int64    levels       of the deepest
    cascade_breadth_max   int64    people       at one level of one cascade
    cascade_money_max     int64    minor units  of the one worth most
    cascade_people_each   float64  people       reached by a cascade, mean
    """
    reached = share_cascades(snapshot)
    levels = reached.group_by("share_id", "level").agg(people=reached.count())
    widest = levels.group_by(of="share_id").agg(breadth=levels.people.max())
    cascades = reached.group_by("share_id", "user_id").agg(
        people=reached.count(), depth=reached.level.max(), money=reached.value.sum().cast("int64")
    )
    cascades = cascades.join(widest, cascades.share_id == widest.of)
    summed = cascades.group_by("user_id").agg(
        cascades=cascades.count(),
        cascade_people_max=cascades.people.max(),
        cascade_depth_max=cascades.depth.max(),
        cascade_breadth_max=cascades.breadth.max(),
        cascade_money_max=cascades.money.max(),
        people=cascades.people.sum().cast("int64"),
    )
    return summed.mutate(cascade_people_each=ratio(summed.people, summed.cascades)).drop("people")


@block({"memberships": ()}, any_of=SOURCES)
def chain_reach(snapshot: Snapshot) -> ir.Table:
    """How far the chain leads out of the user's own communities; of people in none nothing is known.

    chain_outside          int64    people       of the chain, in communities, none of them the user's
    chain_outside_share    float64  -            of the chain's people in communities, 0 to 1, null where the user is in none
    communities_reached    int64    communities  of people of the chain, without the user's own
    """
    joined = snapshot["memberships"]
    now = joined.filter(joined.left_at.isnull(), joined.community_id.notnull()).select("user_id", "community_id").distinct()
    members = snapshot["chains"].select("user_id", "member_id")
    theirs = members.join(now.select(member_id="user_id", community_id="community_id"), "member_id")
    own = now.select(owner="user_id", owned="community_id")
    met = theirs.left_join(own, [theirs.user_id == own.owner, theirs.community_id == own.owned])
    met = met.select("user_id", "member_id", "community_id", shared=met.owned.notnull().cast("int64"))
    people = met.group_by("user_id", "member_id").agg(shared=met.shared.max())
    counted = people.group_by("user_id").agg(chain_outside=people.count(where=people.shared == 0), known=people.count())
    foreign = met.filter(met.shared == 0)
    reached = foreign.group_by(head="user_id").agg(communities_reached=foreign.community_id.nunique())
    heads, counted = members.select("user_id").distinct(), counted.rename(of="user_id")
    rows = heads.left_join(counted, heads.user_id == counted.of)
    rows = rows.left_join(reached, rows.user_id == reached["head"])
    belongs = now.select(somewhere="user_id").distinct()
    rows = rows.left_join(belongs, rows.user_id == belongs.somewhere)
    return rows.select(
        "user_id",
        chain_outside=rows.chain_outside.fill_null(0),
        communities_reached=rows.communities_reached.fill_null(0),
        chain_outside_share=ibis.ifelse(
            rows.somewhere.notnull(), ratio(rows.chain_outside, rows.known), ibis.null("float64")
        ),
    )
