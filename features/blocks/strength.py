"""How strong the ties around each user are, and how much the strong ones may still follow."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

STRENGTH_UNIT = 1_000_000
"""Strengths are summed in whole millionths, so that sums do not depend on the order of rows."""

STRONG = 2.0
"""Strength from which a tie counts as strong: a bare tie (1) and one unit of evidence, which is a follow-up within the last
.85 horizons, two joint purchases, or one joint purchase along a mutual tie. Mutuality alone (1.5) is not enough."""


@block({"ties": ()}, scope="graph")
def tie_strengths(snapshot: Snapshot) -> ir.Table:
    """Strength of the ties to those who may follow and to those followed; see `features.tie_table`.

    strength_sum        int64    millionths  summed over the people whom the user may influence
    strength_max        float64  -           of the strongest of these ties, >= 1
    strong_ties         int64    people      whom the user may influence along a strong tie
    strength_acts       float64  acts        in the last horizon, of whom the user may influence, mean by strength
    strength_followed   int64    millionths  summed over the people who may influence the user
    """
    ties, acts = snapshot["tie_table"], snapshot["acts"]
    lately = acts.filter(acts.happened_at >= snapshot.as_of - snapshot.time.horizon)
    active = lately.group_by("user_id").agg(acts=lately.count())
    weighed = ties.select("user_id", "influencer_id", strength=in_units(ties.strength)).left_join(active, "user_id")
    nothing = ibis.null("int64")
    ends = ibis.union(
        weighed.select(
            user="influencer_id", given="strength", acts=weighed.strength * weighed.acts.fill_null(0), followed=nothing
        ),
        weighed.select(user="user_id", given=nothing, acts=nothing, followed="strength"),
    )
    summed = ends.group_by(user_id="user").agg(
        strength_sum=ends.given.sum().fill_null(0).cast("int64"),
        strongest=ends.given.max(),
        strong_ties=ends.count(where=ends.given >= int(STRONG * STRENGTH_UNIT)),
        acts=ends.acts.sum(),
        strength_followed=ends.followed.sum().fill_null(0).cast("int64"),
    )
    return summed.mutate(
        strength_max=summed.strongest / STRENGTH_UNIT, strength_acts=ratio(summed.acts, summed.strength_sum)
    ).drop("strongest", "acts")


@block({"ties": (), "orders": ("item_id",)}, scope="graph")
def open_by_strength(snapshot: Snapshot) -> ir.Table:
    """What people may still follow, a strong tie counting more.

    strength_open    int64  millionths  strength x open subjects, summed over the people whom the user may influence
    """
    ties = snapshot["tie_table"]
    return ties.group_by(user_id="influencer_id").agg(strength_open=in_units(ties.strength_x_open).sum().cast("int64"))


def in_units(strength: ir.FloatingValue) -> ir.IntegerValue:
    """Whole millionths."""
    return (strength * STRENGTH_UNIT).round().cast("int64")
