"""How early in an item's life each user takes it up, and how many come after."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block, ratio
from features.snapshot import Snapshot

FIRST_ADOPTERS = 3


@block({"orders": ("item_id",)})
def earliness(snapshot: Snapshot) -> ir.Table:
    """Position of a user's adoptions among all adoptions of the same subjects, as known at as_of.

    first_adoptions_{w}    int64    subjects  in the window, of which the user was among the first three buyers
    subject_age_days       float64  days      mean age of a subject when the user first bought it
    adoption_position      float64  -         mean of (earlier buyers) / (all buyers), 0 to 1, 0 where always first
    later_buyers           float64  people    mean other buyers of a subject at the user's moment or after it
    subject_popularity     float64  people    mean buyers of the subjects that the user took up
    """
    adoptions = snapshot["adoptions"]
    subjects = adoptions.group_by("subject").agg(buyers=adoptions.count(), born_at=adoptions.first_at.min())
    order = ibis.window(group_by="subject", order_by="first_at")
    # Rank counts the strictly earlier buyers, so people who came at the same moment share a position.
    ranked = adoptions.mutate(earlier=ibis.rank().over(order).cast("int64")).join(subjects, "subject")
    ranked = ranked.mutate(
        age_s=(ranked.first_at.epoch_seconds() - ranked.born_at.epoch_seconds()).cast("int64"),
        position=(ranked.earlier * 1_000_000 // ranked.buyers).cast("int64"),
        first=ranked.earlier < FIRST_ADOPTERS,
    )
    seen = ranked.group_by("user_id").agg(
        **{
            f"first_adoptions_{w}": ranked.count(where=ranked["first"] & (ranked.first_at >= start))
            for w, start in snapshot.windows.items()
        },
        taken=ranked.count(),
        ages=ranked.age_s.sum().cast("int64"),
        positions=ranked.position.sum().cast("int64"),
        earlier=ranked.earlier.sum().cast("int64"),
        buyers=ranked.buyers.sum().cast("int64"),
    )
    return seen.select(
        "user_id",
        *(f"first_adoptions_{w}" for w in snapshot.windows),
        subject_age_days=ratio(seen.ages, seen.taken) / 86_400,
        adoption_position=ratio(seen.positions, seen.taken) / 1_000_000,
        later_buyers=ratio(seen.buyers - seen.earlier - seen.taken, seen.taken),
        subject_popularity=ratio(seen.buyers, seen.taken),
    )
