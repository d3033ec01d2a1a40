"""What the ledger's past says of each user: influence given, received, who was moved and how it trends."""

import ibis.expr.types as ir

from features.blocks.activity import decayed
from features.blocks.block import block, ratio
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot


@block({})
def influence_given(snapshot: Snapshot) -> ir.Table:
    """Whom the user moved, from the ledger.

    influence_{w}         int64    millionths   sum of ledger weights in the window
    influence_all         int64    millionths   sum of ledger weights in all history
    influence_decayed     float64  people       ledger weight, each row fading to 1/e in one horizon
    influence_rows_all    int64    rows         ledger rows with weight
    influence_value_{w}   int64    minor units  money credited in the window
    influence_value_all   int64    minor units  money credited in all history
    influence_new_all     int64    millionths   weight of people won: their first order ever
    influence_idle_days   float64  days         from the last influence to as_of, > 0
    influence_rising      float64  -            log2 of (people in the shortest window + 1) / (its share of the longest + 1)
    """
    ledger = snapshot["ledger"]
    at = ledger.happened_at
    horizon = snapshot.time.horizon.total_seconds() / 86_400
    windows = list(snapshot.windows.items())
    given = ledger.group_by(user_id="influencer_id").agg(
        **{f"influence_{w}": ledger.weight.sum(where=at >= start).fill_null(0).cast("int64") for w, start in windows},
        **{f"influence_value_{w}": ledger.value.sum(where=at >= start).fill_null(0).cast("int64") for w, start in windows},
        influence_all=ledger.weight.sum().cast("int64"),
        influence_value_all=ledger.value.sum().cast("int64"),
        influence_rows_all=ledger.count(where=ledger.weight > 0),
        influence_new_all=ledger.weight.sum(where=ledger.is_new).fill_null(0).cast("int64"),
        faded=(ledger.weight * decayed(snapshot.days_before(at), horizon) // WEIGHT_UNIT).sum().cast("int64"),
        last_at=at.max(),
    )
    (short, short_start), (long, long_start) = windows[0], windows[-1]
    scale = (snapshot.as_of - long_start) / (snapshot.as_of - short_start)
    lately, overall = given[f"influence_{short}"] / WEIGHT_UNIT, given[f"influence_{long}"] / WEIGHT_UNIT
    return given.mutate(
        influence_decayed=given.faded / WEIGHT_UNIT,
        influence_idle_days=snapshot.days_before(given.last_at),
        influence_rising=((lately + 1.0) * scale / (overall + scale)).log2(),
    ).drop("faded", "last_at")


@block({})
def people_moved(snapshot: Snapshot) -> ir.Table:
    """How many different people each user moved, and how many of them came back for more.

    people_moved_{w}      int64    people  moved in the window
    people_moved_all      int64    people  moved in all history
    people_moved_again    int64    people  moved to at least two subjects
    moves_per_person      float64  -       subjects per person moved, >= 1
    """
    ledger = snapshot["ledger"]
    ledger = ledger.filter(ledger.weight > 0)
    pairs = ledger.group_by("influencer_id", "influenced_id").agg(last_at=ledger.happened_at.max(), moves=ledger.count())
    moved = pairs.group_by(user_id="influencer_id").agg(
        **{f"people_moved_{w}": pairs.count(where=pairs.last_at >= start) for w, start in snapshot.windows.items()},
        people_moved_all=pairs.count(),
        people_moved_again=pairs.count(where=pairs.moves > 1),
        moves=pairs.moves.sum().cast("int64"),
    )
    return moved.mutate(moves_per_person=ratio(moved.moves, moved.people_moved_all)).drop("moves")


@block({})
def influence_received(snapshot: Snapshot) -> ir.Table:
    """How easily the user is moved.

    received_{w}         int64    millionths  sum of ledger weights that moved the user, in the window
    received_all         int64    millionths  sum of ledger weights that moved the user
    received_idle_days   float64  days        from the last time the user was moved to as_of, > 0
    movers_all           int64    people      who ever moved the user
    """
    ledger = snapshot["ledger"]
    at = ledger.happened_at
    moved = ledger.group_by(user_id="influenced_id").agg(
        **{
            f"received_{w}": ledger.weight.sum(where=at >= start).fill_null(0).cast("int64")
            for w, start in snapshot.windows.items()
        },
        received_all=ledger.weight.sum().cast("int64"),
        last_at=at.max(),
        movers_all=ledger.influencer_id.nunique(),
    )
    return moved.mutate(received_idle_days=snapshot.days_before(moved.last_at)).drop("last_at")


@block({"orders": ("item_id",)})
def follow_up_rate(snapshot: Snapshot) -> ir.Table:
    """How often the user's own adoptions are followed, and how much is still open to be followed.

    followed_share      float64  -         share of the user's adopted subjects that moved somebody, 0 to 1
    follow_ups_each     float64  people    ledger weight per adopted subject
    open_adoptions      int64    subjects  adopted so lately that a follow-up can still come within the attribution window
    """
    ledger, adoptions = snapshot["ledger"], snapshot["adoptions"]
    counted = ledger.filter(ledger.weight > 0)
    led = counted.group_by("subject", user_id="influencer_id").agg(weight=counted.weight.sum().cast("int64"))
    own = adoptions.left_join(led, ["user_id", "subject"])
    rates = own.group_by("user_id").agg(
        adopted=own.count(),
        followed=own.weight.count(),
        weight=own.weight.sum().fill_null(0).cast("int64"),
        open_adoptions=own.count(where=own.first_at >= snapshot.as_of - snapshot.time.window),
    )
    return rates.select(
        "user_id",
        "open_adoptions",
        followed_share=ratio(rates.followed, rates.adopted),
        follow_ups_each=ratio(rates.weight, rates.adopted) / WEIGHT_UNIT,
    )


@block({})
def influence_chain(snapshot: Snapshot) -> ir.Table:
    """The chain behind each user: people moved (level 1), and people whom those moved on to the same subject (level 2).

    chain_level1       int64    people       moved by the user, counted once
    chain_level2       int64    people       moved on by level 1 to a subject after the user moved level 1 to it
    chain_branching    float64  -            level 2 per level 1, null without level 1
    chain_value        int64    minor units  money credited to the user and, for level 2, to those who moved it
    """
    ledger = snapshot["ledger"]
    first, second = ledger, ledger.view()
    links = first.join(
        second,
        [
            first.influenced_id == second.influencer_id,
            first.subject == second.subject,
            first.happened_at < second.happened_at,
            first.influencer_id != second.influenced_id,
        ],
    ).select(
        user_id=first.influencer_id, middle=second.influencer_id, reached=second.influenced_id,
        subject=second.subject, at=second.happened_at, value=second.value,
    )  # fmt: skip
    # One move counts once in a chain, however many rows of level 1 lead to it.
    onward = links.group_by("user_id", "middle", "reached", "subject", "at").agg(value=links.value.max())
    level2 = onward.group_by("user_id").agg(
        chain_level2=onward.reached.nunique(), onward_value=onward.value.sum().cast("int64")
    )
    level1 = ledger.group_by(user_id="influencer_id").agg(
        chain_level1=ledger.influenced_id.nunique(), own_value=ledger.value.sum().cast("int64")
    )
    chain = level1.left_join(level2, "user_id")
    onward_people = chain.chain_level2.fill_null(0)
    return chain.select(
        "user_id",
        "chain_level1",
        chain_level2=onward_people,
        chain_branching=ratio(onward_people, chain.chain_level1),
        chain_value=(chain.own_value + chain.onward_value.fill_null(0)).cast("int64"),
    )
