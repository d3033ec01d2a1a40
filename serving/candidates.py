"""A ranked list of candidates out of the current scores."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ScoresError
from serving.criteria import PRIOR, Criteria, RankBy
from serving.score_store import ScoreStore

_COLUMN = {RankBy.SCORE: "koc_score", RankBy.VALUE: "expected_value", RankBy.RISING: "rising"}


def candidates(store: ScoreStore, criteria: Criteria) -> pa.Table:
    """Rows of the scores, best first, with ``rank`` from 1 and, for a category, ``category_score``.

    ``next_item``, ``next_item_because`` and ``next_item_because_zh`` tell what to hand each one next; null where nothing
    is known.

    Raises:
        ScoresError: no scores, or a category or stage that the scores do not know.
    """
    users = store.users()
    if "koc_score" not in users.column_names:
        raise ScoresError("the current scores rate churn only: nothing tells who moved whom; map ties, shares or referrers")
    users = _by_column(users, _COLUMN[criteria.by])
    if criteria.category is not None:
        if criteria.by is RankBy.RISING:
            raise ScoresError("rising is known over all categories only; rank by score or value, or drop the category")
        users = _by_category(users, store.categories(), criteria.category, _COLUMN[criteria.by])
    if criteria.max_churn is not None:
        if "churn_probability" not in users.column_names:
            raise ScoresError("the current scores have no churn probability: their dataset has no orders; drop that filter")
        users = users.filter(pc.less_equal(users["churn_probability"], criteria.max_churn))
    if criteria.stage is not None:
        known = sorted(set(users["stage"].to_pylist()))
        if criteria.stage not in known:
            raise ScoresError(f"no user is in stage {criteria.stage!r}; choose from {', '.join(known)}")
        users = users.filter(pc.equal(users["stage"], criteria.stage))
    listed = _with_next_item(users.slice(0, criteria.limit), store.evidence().next_items)
    return listed.add_column(0, "rank", pa.array(range(1, len(listed) + 1), pa.int64()))


def likely_followers(store: ScoreStore, users: pa.Array, most: int = 3) -> pa.Table:
    """For each of ``users`` (ids), up to ``most`` people likeliest to follow next, the likeliest first.

    influencer_id        string
    user_id              string   who may follow
    expected_follow_ups  float32  within the horizon, > 0
    probability          float64  that they follow at least once: 1 - exp(-expected_follow_ups)
    """
    ties = store.ties(users).sort_by(
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


def _by_column(users: pa.Table, column: str) -> pa.Table:
    """Users with a value in ``column``, the highest first, equal ones in the order of their score."""
    known = users.filter(pc.is_valid(users[column])) if column in users.column_names else users.slice(0, 0)
    if len(users) and not len(known):
        raise ScoresError(f"the current scores have no {column}: no amounts are mapped, or nobody moved anybody; use score")
    return known.take(pa.array(np.argsort(-known[column].to_numpy(), kind="stable")))


def _by_category(users: pa.Table, influence: pa.Table, category: str, column: str) -> pa.Table:
    """What ``column`` expects times the share of influence that falls into the category.

    The share is a user's own record, backed by ``PRIOR`` people at the market's share, so that one lucky follow-up does
    not beat a long record, and people without a record are ranked too.
    """
    known = sorted(set(influence["category"].to_pylist()))
    if category not in known:
        some = ", ".join(known[:20]) + (" ..." if len(known) > 20 else "")
        raise ScoresError(f"nobody moved anybody in category {category!r}; choose from {some}" if known else
                          "the current scores know no category: their dataset maps no items.category")  # fmt: skip
    total = influence.group_by("user_id").aggregate([("influence", "sum")])
    inside = influence.filter(pc.equal(influence["category"], category))
    moved, moved_inside = _looked_up(users, total, "influence_sum"), _looked_up(users, inside, "influence")
    market = pc.sum(inside["influence"]).as_py() / pc.sum(influence["influence"]).as_py()
    share = (moved_inside + PRIOR * market) / (moved + PRIOR)
    score = users[column].to_numpy() * share
    scored = users.append_column("category_score", pa.array(score))
    return scored.take(pa.array(np.argsort(-score, kind="stable")))


def _looked_up(users: pa.Table, rows: pa.Table, column: str) -> np.ndarray:
    place = pc.index_in(users["user_id"], value_set=rows["user_id"].combine_chunks())
    found: np.ndarray = pc.fill_null(pc.take(rows[column], place), 0.0).to_numpy()
    return found
