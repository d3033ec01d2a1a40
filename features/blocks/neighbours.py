"""Who stands around each user: sums and means of own features over followers and over those followed."""

from collections.abc import Iterable
from typing import Literal

import ibis.expr.types as ir

from features.blocks.block import Feature, block, ratio
from features.snapshot import Snapshot


@block({"ties": (), "orders": ("item_id",)}, scope="graph")
def shared_taste(snapshot: Snapshot) -> ir.Table:
    """How much the user's adoptions and those of the people who may follow overlap, and what is still open.

    shared_subjects        int64    pairs   (follower, subject) that both bought, in any order
    shared_with            int64    people  followers with at least one subject in common
    shared_each            float64  -       shared subjects per adopted subject of the user
    open_pairs             int64    pairs   adopted by the user within the attribution window, not yet by the follower
    open_to_active         int64    pairs   open pairs with followers who acted in the middle window
    open_expected          float64  people  open pairs, each weighted by the follower's rate of shared subjects with the user
    """
    adoptions, pairs, acts, both = (snapshot[name] for name in ("adoptions", "pairs", "acts", "shared"))
    lately = snapshot.as_of - snapshot.time.window
    per_pair = both.group_by("influencer_id", "user_id").agg(
        shared=both.count(), taken=both.count(where=both.led_at >= lately)
    )
    windows = list(snapshot.windows.values())
    active = acts.group_by("user_id").agg(last_at=acts.happened_at.max())
    active = active.select("user_id", active=active.last_at >= windows[min(1, len(windows) - 1)])
    adopted = adoptions.group_by(influencer_id="user_id").agg(
        adopted=adoptions.count(), fresh=adoptions.count(where=adoptions.first_at >= lately)
    )
    linked = pairs.select("user_id", "influencer_id").join(adopted, "influencer_id")
    linked = linked.left_join(per_pair, ["influencer_id", "user_id"]).select(
        "influencer_id", "user_id", "adopted", "fresh", "shared", "taken"
    )
    linked = linked.left_join(active, "user_id").select(
        "influencer_id",
        "adopted",
        active=lambda t: t.active.fill_null(False),
        shared=lambda t: t.shared.fill_null(0),
        open=lambda t: t.fresh - t.taken.fill_null(0),
    )
    rate = (linked.shared * 1_000_000 // linked.adopted).cast("int64")
    summed = linked.group_by(user_id="influencer_id").agg(
        adopted=linked.adopted.max(),
        shared_subjects=linked.shared.sum().cast("int64"),
        shared_with=linked.count(where=linked.shared > 0),
        open_pairs=linked.open.sum().cast("int64"),
        open_to_active=linked.open.sum(where=linked.active).fill_null(0).cast("int64"),
        expected=(linked.open * rate).sum().cast("int64"),
    )
    return summed.mutate(
        shared_each=ratio(summed.shared_subjects, summed.adopted), open_expected=summed.expected / 1_000_000
    ).drop("adopted", "expected")


AGGREGATED = (
    "acts_{w}",
    "adopted_{w}",
    "influence_{w}",
    "influence_all",
    "received_{w}",
    "received_all",
    "followers",
    "following",
)
"""Own features whose sums and means over neighbours tell of the people around; names as in the dictionary."""

SIDES = {
    "followers": ("influencer_id", "user_id", "people whom the user may influence"),
    "following": ("user_id", "influencer_id", "people who may influence the user"),
}

HOW: dict[str, Literal["int64", "float64"]] = {"sum": "int64", "mean": "float64"}


def neighbour_features(own: Iterable[Feature]) -> tuple[Feature, ...]:
    """Dictionary lines of `neighbour_table`, for those of ``AGGREGATED`` that ``own`` holds."""
    by_name = {feature.name: feature for feature in own}
    return tuple(
        Feature(f"{side}_{how}_{name}", dtype, by_name[name].unit, f"{how} over {people}: {by_name[name].meaning}")
        for side, (_, _, people) in SIDES.items()
        for how, dtype in HOW.items()
        for name in AGGREGATED
        if name in by_name
    )


def neighbour_table(base: ir.Table, pairs: ir.Table, columns: list[str], side: str) -> ir.Table:
    """Sums and means of integer ``columns`` of ``base`` over each user's neighbours on one ``side`` of ``SIDES``.

    Returns:
        user_id                string
        {side}_sum_{column}    int64    over neighbours in ``base``
        {side}_mean_{column}   float64  over neighbours in ``base``, null without any
    """
    me, other, _ = SIDES[side]
    named = base.select(neighbour=base.user_id, **{column: base[column] for column in columns})
    links = pairs.select(me_id=pairs[me], neighbour=pairs[other]).join(named, "neighbour")
    summed = links.group_by(user_id="me_id").agg(
        neighbours=links.count(), **{f"{side}_sum_{column}": links[column].sum().cast("int64") for column in columns}
    )
    means = {f"{side}_mean_{column}": ratio(summed[f"{side}_sum_{column}"], summed.neighbours) for column in columns}
    return summed.mutate(**means).drop("neighbours")
