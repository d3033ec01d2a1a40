"""A ranked list of candidates out of the current scores."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ScoresError
from serving.criteria import Criteria, RankBy
from serving.store.batch import Batch
from serving.store.categories import EVIDENCE
from serving.store.filters import CATEGORY

_COLUMN = {
    RankBy.SCORE: "koc_score",
    RankBy.VALUE: "expected_value",
    RankBy.RISING: "rising",
    RankBy.LIFETIME: "lifetime_value",
    RankBy.NET: "net_value",
}

_BY_CATEGORY = (RankBy.SCORE, RankBy.VALUE)
"""What a category can weigh; the others are of a person as a whole."""

_COMES_FROM = {
    RankBy.LIFETIME: "orders with amounts",
    RankBy.NET: "amounts of orders, and rewards or the cost of contacts",
}
"""What has to be mapped for a column that not every batch has."""


def candidates(batch: Batch, criteria: Criteria, barred: Sequence[str] = ()) -> pa.Table:
    """Rows of the scores without ``barred`` ids, best first, with ``rank`` from 1 and, for a category, ``category_score``,
    ``category_moved`` (people moved in it so far) and ``category_evidence``: ``record`` from ``EVIDENCE`` people on, else
    ``affinity``.

    ``next_item``, ``next_item_because`` and ``next_item_because_zh`` tell what to hand each one next; null where nothing
    is known.

    Raises:
        ScoresError: no scores, scores without the column to rank by, or a filter that they do not know.
    """
    by = _COLUMN[criteria.by]
    if criteria.category is not None and criteria.by not in _BY_CATEGORY:
        raise ScoresError(f"{criteria.by} is known over all categories only; rank by score or value, or drop the category")
    if criteria.by in _COMES_FROM and by not in batch.columns:
        raise ScoresError(
            f"batch {batch.manifest.batch} has no {by} to rank by: map {_COMES_FROM[criteria.by]} and score again, "
            f"or rank by {', '.join(other for other in RankBy if _COLUMN[other] in batch.columns)}"
        )
    if criteria.max_churn is not None and "churn_probability" not in batch.columns:
        raise ScoresError("the current scores have no churn probability: their dataset has no orders; drop that filter")
    if CATEGORY in criteria.where:
        raise ScoresError("a category weighs the scores and takes out nobody; give it as --category")
    out = batch.rows_of(barred)
    rows = batch.select(criteria.filters(), criteria.limit + len(out), by, within=criteria.where)
    rows = rows[~np.isin(rows, out)][: criteria.limit]
    listed = batch.table(rows)
    if criteria.category is not None:
        score = batch.category_score(criteria.category, by)[rows]
        listed = listed.append_column("category_score", pa.array(score))
        moved = batch.category_moved(criteria.category)[rows]
        listed = listed.append_column("category_moved", pa.array(moved))
        listed = listed.append_column("category_evidence", pa.array(np.where(moved >= EVIDENCE, "record", "affinity")))
    listed = _with_next_item(listed, batch.evidence().next_items)
    return listed.add_column(0, "rank", pa.array(range(1, len(listed) + 1), pa.int64()))


def likely_followers(batch: Batch, users: pa.Array, most: int = 3) -> pa.Table:
    """For each of ``users`` (ids), up to ``most`` people likeliest to follow next, the likeliest first.

    influencer_id        string
    user_id              string   who may follow
    expected_follow_ups  float32  within the horizon, > 0
    probability          float64  that they follow at least once: 1 - exp(-expected_follow_ups)
    """
    ties = batch.ties(users).sort_by(
        [("influencer_id", "ascending"), ("expected_follow_ups", "descending"), ("user_id", "ascending")]
    )
    # Sorted by influencer: the first place of each id is the first of its ties.
    _, first, ties_each = np.unique(ties["influencer_id"].to_numpy().astype(str), return_index=True, return_counts=True)
    place = np.arange(len(ties)) - first.repeat(ties_each)
    best = ties.filter(pa.array(place < most)).select(["influencer_id", "user_id", "expected_follow_ups"])
    expected = best["expected_follow_ups"].to_numpy().astype(np.float64)
    return best.append_column("probability", pa.array(-np.expm1(-expected)))


def _with_next_item(users: pa.Table, next_items: pa.Table) -> pa.Table:
    best = next_items.filter(pc.equal(next_items["place"], 1))
    place = pc.index_in(users["user_id"], value_set=best["user_id"].combine_chunks())
    for name, column in (("next_item", "item_id"), ("next_item_because", "because"), ("next_item_because_zh", "because_zh")):
        users = users.append_column(name, pc.take(best[column], place))
    return users
