"""One row per tie with what is known of it: who may follow whom, and how strong the tie is."""

from datetime import timedelta

import ibis
import ibis.expr.types as ir

from features.blocks.activity import DECAY_UNIT, decayed
from features.blocks.block import Block, Feature, block
from features.blocks.ties import KINDS
from features.ledger import WEIGHT_UNIT
from features.prepare import ALWAYS
from features.snapshot import Snapshot
from features.tie_parts import EVERYBODY, Influencers

ENDS = ["user_id", "influencer_id"]
"""The key of a tie: who may be influenced, and who may influence."""

JOINT = timedelta(hours=6)
"""Purchases of one subject this close in time are a joint purchase or outing; ``min_gap`` where that is longer."""

RARE_UNIT = 1_000_000

KINDS_OF_TIE = tuple(f"kind_{kind.replace('-', '_')}" for kind in KINDS)
"""Columns of `tie_kinds`."""


@block({"ties": ("kind",)})
def tie_kinds(snapshot: Snapshot) -> ir.Table:
    """Which kinds of tie join the two; several may.

    kind_friend        int64  -  1 for friends
    kind_follow        int64  -  1 if the user follows the influencer
    kind_trust         int64  -  1 if the user trusts the influencer
    kind_invite        int64  -  1 if the influencer invited the user
    kind_co_member     int64  -  1 for members of one community
    """
    ties = snapshot["ties"]
    ties = ties.filter(ties.user_id != ties.influencer_id)
    return ties.group_by(*ENDS).agg(
        **{
            column: (ties.kind == kind).fill_null(False).max().cast("int64")
            for column, kind in zip(KINDS_OF_TIE, KINDS, strict=True)
        }
    )


@block({})
def follow_ups(snapshot: Snapshot) -> ir.Table:
    """What the ledger's past says of the tie.

    follows_{w}        int64    millionths  ledger weight along the tie in the window
    follows_all        int64    millionths  ledger weight along the tie
    follows_decayed    float64  people      ledger weight along the tie, each row fading to 1/e in one horizon
    follow_idle_days   float64  days        from the last follow-up to as_of, > 0
    """
    ledger = snapshot["ledger"]
    ledger = ledger.filter(ledger.weight > 0)
    at = ledger.happened_at
    horizon = snapshot.time.horizon.total_seconds() / 86_400
    followed = ledger.group_by(user_id="influenced_id", influencer_id="influencer_id").agg(
        **{
            f"follows_{w}": ledger.weight.sum(where=at >= start).fill_null(0).cast("int64")
            for w, start in snapshot.windows.items()
        },
        follows_all=ledger.weight.sum().cast("int64"),
        faded=(ledger.weight * decayed(snapshot.days_before(at), horizon) // WEIGHT_UNIT).sum().cast("int64"),
        last_at=at.max(),
    )
    return followed.mutate(
        follows_decayed=followed.faded / DECAY_UNIT, follow_idle_days=snapshot.days_before(followed.last_at)
    )


@block({})
def returned(snapshot: Snapshot) -> ir.Table:
    """What went the other way: the influencer moved by the user.

    returned_all       int64    millionths  ledger weight against the tie
    """
    ledger = snapshot["ledger"]
    back = ledger.group_by(user_id="influencer_id", influencer_id="influenced_id")
    return back.agg(returned_all=ledger.weight.sum().cast("int64"))


@block({"ties": (), "orders": ("item_id",)})
def common_subjects(snapshot: Snapshot) -> ir.Table:
    """What both bought, rare subjects counting more, and what the influencer bought that the user may still follow.

    shared             int64    subjects  that both bought
    shared_{w}         int64    subjects  that both bought, the user for the first time in the window
    shared_rare        float64  -         shared subjects, each by 1 / ln(1 + its buyers) (Adamic and Adar 2003)
    led                int64    subjects  that both bought, the influencer first
    open_subjects      int64    subjects  bought by the influencer within the attribution window, not by the user
    """
    adoptions, pairs, both = snapshot["adoptions"], snapshot["pairs"], snapshot["shared"]
    buyers = adoptions.group_by("subject").agg(buyers=adoptions.count())
    buyers = buyers.select("subject", rarity=(RARE_UNIT / (buyers.buyers + 1.0).ln()).round().cast("int64"))
    lately = snapshot.as_of - snapshot.time.window
    rare = both.join(buyers, "subject")
    common = rare.group_by(*ENDS).agg(
        shared=rare.count(),
        **{f"shared_{w}": rare.count(where=rare.first_at >= start) for w, start in snapshot.windows.items()},
        rarity=rare.rarity.sum().cast("int64"),
        led=rare.count(where=rare.led_at < rare.first_at),
        taken=rare.count(where=rare.led_at >= lately),
    )
    fresh = adoptions.group_by(influencer_id="user_id").agg(fresh=adoptions.count(where=adoptions.first_at >= lately))
    linked = pairs.select(*ENDS).join(fresh, "influencer_id")
    linked = linked.select(*ENDS, "fresh").left_join(common, ENDS)
    counts = ("shared", *(f"shared_{w}" for w in snapshot.windows), "led")
    return linked.select(
        *ENDS,
        **{name: linked[name].fill_null(0) for name in counts},
        shared_rare=linked.rarity / RARE_UNIT,
        open_subjects=linked.fresh - linked.taken.fill_null(0),
    )


@block({"ties": (), "orders": ("item_id",)})
def joint_purchases(snapshot: Snapshot) -> ir.Table:
    """What both bought at about the same time: together rather than one after the other.

    joint              int64    purchases  of one subject within ``JOINT`` or ``min_gap`` of each other
    joint_{w}          int64    purchases  the same, in the window
    joint_idle_days    float64  days       from the last joint purchase to as_of, > 0
    """
    near = max(JOINT, snapshot.time.min_gap)
    seconds = int(near.total_seconds())
    bought = snapshot["purchases"]
    slot = (bought.ordered_at.epoch_seconds() // seconds).cast("int64")
    dated = bought.select("user_id", "subject", at=bought.ordered_at, slot=slot)
    theirs = dated.select("subject", "slot", influencer_id="user_id", their_at="at")
    # A purchase meets those of its own slot of time and of the two beside it: a hub's thousands meet few of a follower's.
    # Slots are spread after the join with what both bought, or popular subjects would meet themselves.
    mine = snapshot["shared"].select(*ENDS, "subject").join(dated, ["user_id", "subject"])
    mine = mine.mutate(slot=ibis.array([mine.slot - 1, mine.slot, mine.slot + 1]).unnest())
    met = mine.join(theirs, ["influencer_id", "subject", "slot"])
    met = met.mutate(apart=(met["at"].epoch_seconds() - met.their_at.epoch_seconds()).abs())
    met = met.filter(met.apart <= seconds)
    once = met.group_by(*ENDS, "subject", "at").agg(partners=met.count())
    joint = once.group_by(*ENDS).agg(
        joint=once.count(),
        **{f"joint_{w}": once.count(where=once["at"] >= start) for w, start in snapshot.windows.items()},
        last_at=once["at"].max(),
    )
    return joint.mutate(joint_idle_days=snapshot.days_before(joint.last_at)).drop("last_at")


@block({"ties": (), "orders": ("item_id",), "items": ("category",)})
def category_fit(snapshot: Snapshot) -> ir.Table:
    """Whether both buy of the same categories.

    category_fit       float64  -  cosine between the adopted subjects by category of the two, 0 to 1
    """
    adoptions, items = snapshot["adoptions"], snapshot["items"]
    taken = adoptions.join(items.filter(items.category.notnull()).select("item_id", "category"), "item_id")
    counts = taken.group_by("user_id", "category").agg(taken=taken.count())
    norms = counts.group_by("user_id").agg(squares=(counts.taken * counts.taken).sum().cast("int64"))
    theirs = counts.select("category", influencer_id="user_id", theirs="taken")
    met = snapshot["pairs"].select(*ENDS).join(counts, "user_id").join(theirs, ["influencer_id", "category"])
    dots = met.group_by(*ENDS).agg(dot=(met.taken * met.theirs).sum().cast("int64"))
    dots = dots.join(norms, "user_id").select(*ENDS, "dot", mine="squares")
    dots = dots.join(norms.select(influencer_id="user_id", squares="squares"), "influencer_id")
    return dots.select(*ENDS, category_fit=dots.dot / (dots.mine.cast("float64") * dots.squares.cast("float64")).sqrt())


@block({"ties": ()})
def tie_of_sources(snapshot: Snapshot) -> ir.Table:
    """The tie as the sources give it.

    tied               int64    -     1 for a tie of the sources, 0 for a pair that only the ledger knows
    mutual             int64    -     1 if the two may influence each other
    tie_days           float64  days  from the beginning of the tie to as_of, null where it has no date
    """
    pairs = snapshot["pairs"]
    back = pairs.select(user_id="influencer_id", influencer_id="user_id", back="since")
    both = pairs.left_join(back, ENDS)
    both = both.select(*ENDS, "since", mutual=both.back.notnull().cast("int64"), tied=ibis.literal(1, "int64"))
    always = ibis.timestamp(ALWAYS).cast("timestamp(6)")
    return both.mutate(tie_days=ibis.ifelse(both.since > always, snapshot.days_before(both.since), ibis.null("float64")))


TIE_BLOCKS: tuple[Block, ...] = (
    tie_of_sources,
    tie_kinds,
    follow_ups,
    returned,
    common_subjects,
    joint_purchases,
    category_fit,
)

STRENGTH = Feature("strength", "float64", "-", "how strong the tie is, > 0; see `features.tie_table.tie_strength`")
CROSSED = Feature("strength_x_open", "float64", "-", "strength x open_subjects: what a strong tie may still follow")

STRENGTHS = (STRENGTH.name, CROSSED.name)
"""Columns of the tie table that blocks of users read."""


def build_tie_table(snapshot: Snapshot, some: Influencers = EVERYBODY) -> ir.Table:
    """(user_id, influencer_id) and a column for each of `tie_features`, of a prepared snapshot within its lookback.

    One row for each tie to ``some`` of the sources and for each such pair in the ledger, materialised until released. Counts
    of pairs that a block does not list are 0.
    """
    engine, ledger, windows = snapshot.engine, snapshot["ledger"], snapshot.windows
    moved = ledger.select(user_id="influenced_id", influencer_id="influencer_id")
    both = ibis.union(snapshot["pairs"].select(*ENDS), moved) if "pairs" in snapshot else moved
    both = some.of(both)
    ends = engine.materialise(both.group_by(*ENDS).agg(rows=both.count()).select(*ENDS))
    found = _available(snapshot)
    parts = [
        engine.materialise(some.of(block_.build(snapshot)).select(*ENDS, *block_.columns(windows)), in_order=True)
        for block_ in found
    ]
    joined = ends
    for number, part in enumerate(parts):
        # Keys of their own keep the joins in one chain, as in the user table.
        keyed = part.rename({f"{end}_{number}": end for end in ENDS})
        joined = joined.left_join(keyed, [ends[end] == keyed[f"{end}_{number}"] for end in ENDS])
    types = {column: f.dtype for block_ in found for f in block_.features for column in f.columns(windows)}
    table = joined.select(
        *(ends[end] for end in ENDS),
        **{c: joined[c].fill_null(0).cast("int64") if t == "int64" else joined[c].cast("float64") for c, t in types.items()},
    )
    table = table.mutate(strength=tie_strength(table))
    if "open_subjects" in table.columns:
        table = table.mutate(strength_x_open=table.strength * table.open_subjects)
    built = engine.materialise(table)
    engine.release(ends, *parts)
    return built


def tie_features(snapshot: Snapshot) -> tuple[Feature, ...]:
    """Dictionary lines of the tie table, in the order of its columns."""
    listed = [feature for block_ in _available(snapshot) for feature in block_.features]
    crossed = [CROSSED] if any(feature.name == "open_subjects" for feature in listed) else []
    return (*listed, STRENGTH, *crossed)


def tie_strength(ties: ir.Table) -> ir.FloatingValue:
    """1 + ln(1 + 4 x decayed follow-ups) + ln(1 + joint purchases) + ln(1 + rare subjects in common) + .5 if mutual.

    Finite and >= 1; a tie of which nothing more is known has strength 1. A follow-up says most, since it is what the score
    foretells. Logarithms, because the tenth outing says less than the first. What a dataset does not give adds nothing.
    """
    strength = 1.0 + (1.0 + 4.0 * ties.follows_decayed.fill_null(0.0)).ln()
    if "joint" in ties.columns:
        strength += (1.0 + ties.joint).ln() + (1.0 + ties.shared_rare.fill_null(0.0)).ln()
    if "mutual" in ties.columns:
        strength += 0.5 * ties.mutual
    return strength


def _available(snapshot: Snapshot) -> list[Block]:
    return [block_ for block_ in TIE_BLOCKS if block_.available(snapshot)]
