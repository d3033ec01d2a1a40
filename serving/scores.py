"""The scores of all users at a date, what moved in which category, and what each tie is expected to carry."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.lifecycle import STAGES
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot, latest_attributes
from serving.criteria import PRIOR
from serving.score_store import TIES_SCHEMA
from training.explain import reason_contributions, say_reasons, side_sums
from training.frame import Frame, Places
from training.hybrid import Hybrid, Said
from training.matrix import Floats, Matrix
from training.tie_model import summed

EXPLAINED = 10_000
"""Users with a reason in words, from the top; contributions of everybody would take longer than the scores."""

MOST_TIES = 20_000_000
"""Ties kept with a batch; of more, those that are expected to carry most."""


def score_users(hybrid: Hybrid, frame: Frame, said: Said, snapshot: Snapshot) -> pa.Table:
    """One row per user of the frame, best first, equal scores by user_id; said: what ``hybrid`` says of ``frame``.

    user_id              string
    koc_score            float64  people expected to be moved within the horizon, > 0
    koc_percentile       float64  0 to 100, equal scores share the middle
    expected_followers   float64  follow-ups that the tie model alone expects over all ties of the user, >= 0
    expected_value       float64  minor units expected to be moved within the horizon; null where no amounts are known
    rising               float64  influence lately against before, log2, above 0 is rising; null without any
    willingness          float64  what sharing, inviting and buying add to the log of the score; null beyond ``EXPLAINED``
    reach                float64  what the people around and past influence add to it; with one base the two are all of it
    churn_probability    float64  of no order within the horizon, 0 to 1; null without an order in the two horizons before
    stage                string   lifecycle stage
    reason               string   in words, for the first ``EXPLAINED`` users
    reason_zh            string   the same in Chinese
    attribute columns    string   as of the date

    Without evidence of influence there are no koc columns and no reasons, and the likeliest leavers come first; without a
    tie model there is no ``expected_followers``.
    """
    matrix = frame.matrix
    columns: dict[str, pa.Array] = {"user_id": pa.array(matrix.users, pa.string())}
    reasons: dict[str, pa.Array] = {}
    order = np.arange(len(matrix.users))
    if said.margin is not None:
        order = np.lexsort((matrix.users.astype(str), -said.margin))
        columns["koc_score"] = pa.array(np.exp(said.margin))
        columns["koc_percentile"] = pa.array(percentile(said.margin))
        if said.follow_ups is not None:
            columns["expected_followers"] = pa.array(summed(frame, said.follow_ups))
        columns["expected_value"] = pa.array(np.exp(said.margin) * _value_each(matrix), from_pandas=True)
        columns["rising"] = pa.array(matrix.column("influence_rising"), from_pandas=True)
        top = order[:EXPLAINED]
        parts = reason_contributions(hybrid, frame, said, top.tolist())
        for side, added in side_sums(parts).items():
            columns[side] = pa.array(_placed(top, added, len(order), np.nan), from_pandas=True)
        texts = say_reasons(parts, frame, said, top.tolist())
        reasons["reason"] = pa.array(_placed(top, texts["en"], len(order), None), pa.string())
        reasons["reason_zh"] = pa.array(_placed(top, texts["zh"], len(order), None), pa.string())
    if said.churn is not None:
        # The model has seen recent buyers only; of others it would say a number without a meaning.
        known = frame.churn_population
        probability = np.where(known, said.churn, np.nan)
        columns["churn_probability"] = pa.array(probability, mask=~known)
        if said.margin is None:
            order = np.lexsort((matrix.users.astype(str), -probability))
    columns["stage"] = pa.array(np.array(STAGES, dtype=object)[matrix.column("stage").astype(int)], pa.string())
    columns |= reasons
    columns |= _attributes(snapshot, matrix)
    return pa.table(columns).take(pa.array(order))


def tie_scores(frame: Frame, said: Said) -> pa.Table:
    """One row per tie of somebody who has acted, sorted by influencer, then by follower; empty without a tie model.

    user_id              string   who may follow
    influencer_id        string
    expected_follow_ups  float32  within the horizon, > 0: the probability of one where it is small
    strength             float32  see `features.tie_table`, >= 1
    """
    if said.follow_ups is None:
        return TIES_SCHEMA.empty_table()
    kept = np.arange(len(frame.ties))
    if len(kept) > MOST_TIES:
        kept = np.sort(np.argpartition(-said.follow_ups, MOST_TIES)[:MOST_TIES])
    users = pa.array(frame.users, pa.string())
    columns = {
        "user_id": frame.ties.follower_ids.take(pa.array(kept)),
        "influencer_id": users.take(pa.array(frame.ties.influencers[kept])),
        "expected_follow_ups": pa.array(said.follow_ups[kept].astype(np.float32)),
        "strength": pa.array(frame.ties.select(["strength"])[kept, 0]),
    }
    return pa.table(columns, schema=TIES_SCHEMA)


def explained(users: pa.Table) -> pa.Array:
    """The ids of those scored users who have a reason, best first."""
    if "reason" not in users.column_names:
        return pa.array([], pa.string())
    return users.filter(pc.is_valid(users["reason"]))["user_id"].combine_chunks()


def category_influence(snapshot: Snapshot) -> pa.Table:
    """(user_id, category, influence) of all ledger rows with a category, in people moved, sorted."""
    ledger = snapshot["ledger"].filter(lambda t: t.category.notnull() & (t.weight > 0))
    moved = ledger.group_by(user_id="influencer_id", category=ledger.category).agg(weight=ledger.weight.sum().cast("int64"))
    rows = snapshot.engine.to_arrow(moved).sort_by([("category", "ascending"), ("user_id", "ascending")])
    influence = np.asarray(rows["weight"].to_numpy(), dtype=float) / WEIGHT_UNIT
    return pa.table({"user_id": rows["user_id"], "category": rows["category"], "influence": influence})


def percentile(score: Floats) -> Floats:
    """(N,) 0 to 100; equal scores share the middle of their places."""
    ordered = np.sort(score)
    low, high = np.searchsorted(ordered, score, "left"), np.searchsorted(ordered, score, "right")
    return 100.0 * (low + high) / (2 * max(len(score), 1))


def _placed(rows: Places, values: npt.ArrayLike, size: int, empty: float | None) -> npt.NDArray[np.object_]:
    """(size,) ``values`` at ``rows``, ``empty`` elsewhere."""
    placed = np.full(size, empty, dtype=object)
    placed[rows] = values
    return placed


def _value_each(matrix: Matrix) -> Floats:
    """(N,) money per person moved, in minor units: a user's own record, backed by ``PRIOR`` people at the market's mean."""
    moved, value = matrix.column("influence_all") / WEIGHT_UNIT, matrix.column("influence_value_all")
    if not value.any():
        return np.full(len(value), np.nan)
    each: Floats = (value + PRIOR * value.sum() / moved.sum()) / (moved + PRIOR)
    return each


def _attributes(snapshot: Snapshot, matrix: Matrix) -> dict[str, pa.Array]:
    """Attribute -> its value for each user of the matrix as of the snapshot."""
    if "attributes" not in snapshot:
        return {}
    rows = snapshot.engine.to_arrow(latest_attributes(snapshot)).to_pydict()
    values: dict[str, dict[str, str]] = {}
    for user, name, value in zip(rows["user_id"], rows["name"], rows["value"], strict=True):
        values.setdefault(name, {})[user] = value
    return {
        f"attribute_{name}": pa.array([values[name].get(user) for user in matrix.users], pa.string())
        for name in sorted(values)
    }
