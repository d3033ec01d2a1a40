"""How good a ranking or a probability is, for one weighting of its rows or for thousands at once.

Weights are counts: a row of weight 3 equals the row written three times next to itself, a row of weight 0 is absent.
A bootstrap is therefore one matrix of weights over rows that are sorted once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.integer[Any]]
Task = Literal["koc", "churn"]

BINS = 15


@dataclass(frozen=True)
class Ranking:
    """The rows of one model at one date, sorted once.

    ``relevance``, ``score``: (n,) in the order given. ``best``: (n,) rows by falling score, equal scores in the order
    given. ``ideal``: the relevant rows by falling relevance. ``last``: (g,) places in ``best`` where a run of equal
    scores ends.
    """

    relevance: Floats
    score: Floats
    best: npt.NDArray[np.intp]
    ideal: npt.NDArray[np.intp]
    last: npt.NDArray[np.intp]

    @classmethod
    def of(cls, relevance: npt.ArrayLike, score: npt.ArrayLike) -> "Ranking":
        """relevance: (n,) >= 0; score: (n,), higher is better, no nan.

        Raises:
            ValueError: the lengths differ.
        """
        relevance, score = np.asarray(relevance, dtype=np.float64), np.asarray(score, dtype=np.float64)
        if relevance.shape != score.shape or relevance.ndim != 1:
            raise ValueError(f"relevance {relevance.shape} and score {score.shape} must be two vectors of one length")
        best = np.argsort(-score, kind="stable")
        ideal = np.argsort(-relevance, kind="stable")[: np.count_nonzero(relevance > 0)]
        falls = np.flatnonzero(np.diff(score[best]))
        last = np.append(falls, len(score) - 1) if len(score) else falls
        return cls(relevance, score, best, ideal, last)


@dataclass(frozen=True)
class Weighted:
    """A ranking under B weightings of its rows; ``weight``: (B, n) counts in the order of the rows given."""

    ranking: Ranking
    weight: Counts

    @cached_property
    def rows(self) -> Counts:
        """(B,) rows, each counted as often as it weighs."""
        rows: Counts = self.weight.sum(axis=1, dtype=np.int64)
        return rows

    @cached_property
    def sorted(self) -> Counts:
        """(B, n) weights, best score first."""
        return self.weight.take(self.ranking.best, axis=1)

    @cached_property
    def until(self) -> Counts:
        """(B, n) rows from the best down to this one, both included."""
        return self.sorted.cumsum(axis=1, dtype=np.int32 if self.rows.max(initial=0) < 2**31 else np.int64)

    def head(self, order: npt.NDArray[np.intp], rows: int) -> tuple[Counts, npt.NDArray[np.intp]]:
        """The first places of ``order`` that hold ``rows`` rows under every weighting.

        Returns:
            (B, m) running counts and the (m,) rows they belong to
        """
        length = rows + 8 * int(np.sqrt(rows)) + 8
        while True:
            chosen = order[:length]
            until = self.weight.take(chosen, axis=1).cumsum(axis=1, dtype=np.int64)
            if length >= len(order) or until[:, -1].min() >= rows:
                return until, chosen
            length *= 2


def _ratio(part: Floats, whole: npt.NDArray[Any], otherwise: float) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(part.shape, otherwise), where=whole != 0)
    return ratio


def _average_precision(weighted: Weighted) -> Floats:
    ranking = weighted.ranking
    places = np.flatnonzero(ranking.relevance[ranking.best] > 0)
    # Runs of equal scores without a relevant row change nothing, and most runs are such.
    run = np.searchsorted(ranking.last, places)
    closing = np.flatnonzero(np.diff(run, append=len(ranking.last)))
    found = weighted.sorted[:, places].cumsum(axis=1, dtype=np.int64)[:, closing]
    shown = weighted.until[:, ranking.last[run[closing]]]
    gained = np.diff(found, axis=1, prepend=0)
    precision = _ratio(found.astype(np.float64), shown, 0.0)
    positives = found[:, -1] if len(places) else np.zeros(len(found))
    return _ratio((gained * precision).sum(axis=1), positives, 0.0)


def _dcg(weighted: Weighted, order: npt.NDArray[np.intp], k: int) -> Floats:
    if not len(order):
        return np.zeros(len(weighted.weight))
    until, chosen = weighted.head(order, k)
    discount = np.concatenate([[0.0], np.cumsum(1 / np.log2(np.arange(2, k + 2)))])
    share = np.diff(discount[np.minimum(until, k)], axis=1, prepend=0.0)
    return share @ np.log2(1 + weighted.ranking.relevance[chosen])


def _ndcg(weighted: Weighted, k: int) -> Floats:
    ranking = weighted.ranking
    return _ratio(_dcg(weighted, ranking.best, k), _dcg(weighted, ranking.ideal, k), 0.0)


def _captured(weighted: Weighted, p: float) -> Floats:
    ranking = weighted.ranking
    if not len(ranking.best):
        return np.zeros(len(weighted.weight))
    # .07 * 100 is 7.000000000000001 in floats, and the highest 7 of 100 are meant.
    taken = np.ceil(p * weighted.rows - 1e-9).astype(np.int64)
    until, chosen = weighted.head(ranking.best, int(taken.max()))
    share = np.diff(np.minimum(until, taken[:, None]), axis=1, prepend=0)
    return _ratio(share @ ranking.relevance[chosen], weighted.weight @ ranking.relevance, 0.0)


def _auroc(weighted: Weighted) -> Floats:
    ranking = weighted.ranking
    places = np.flatnonzero(ranking.relevance[ranking.best] > 0)
    if not len(places):
        return np.full(len(weighted.weight), np.nan)
    run = np.searchsorted(ranking.last, places)
    weight = weighted.sorted[:, places]
    # Twice the middle rank of each positive; equal scores share one, so that ties count half.
    middle = weighted.until[:, ranking.last[run]].astype(np.int64)
    later = np.searchsorted(run, 1)
    middle[:, later:] += weighted.until[:, ranking.last[run[later:] - 1]]
    positives = weight.sum(axis=1, dtype=np.int64)
    pairs = positives * (weighted.rows - positives)
    # Mann and Whitney: ranks of the positives less those that they take among themselves.
    lost = ((weight * middle).sum(axis=1) - positives**2) / 2
    return _ratio(pairs - lost, pairs, np.nan)


def _ece(weighted: Weighted) -> Floats:
    ranking = weighted.ranking
    residual = (ranking.relevance > 0)[ranking.best] - ranking.score[ranking.best]
    # Running sums at the ends of runs; between them an edge of a bin takes its share of the run.
    until = np.zeros((len(weighted.weight), len(ranking.last) + 1))
    gap = np.zeros(until.shape)
    until[:, 1:] = weighted.until[:, ranking.last]
    gap[:, 1:] = (weighted.sorted * residual).cumsum(axis=1)[:, ranking.last]
    value = np.full(len(gap), np.nan)
    for b, rows in enumerate(weighted.rows):
        if rows:
            reached = np.interp(np.linspace(0, rows, BINS + 1), until[b], gap[b])
            value[b] = np.abs(np.diff(reached)).sum() / rows
    return value


def _brier(weighted: Weighted) -> Floats:
    ranking = weighted.ranking
    error = (ranking.score - (ranking.relevance > 0)) ** 2
    return _ratio(weighted.weight @ error, weighted.rows, np.nan)


def _value(
    values: Callable[[Weighted], Floats], relevance: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None
) -> float:
    ranking = Ranking.of(relevance, score)
    counts = np.ones(len(ranking.score), dtype=np.int64) if weight is None else np.asarray(weight, dtype=np.int64)
    return float(values(Weighted(ranking, counts[None, :]))[0])


def average_precision(relevance: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Mean precision over the rows with relevance > 0; equal scores are one threshold, as in scikit-learn.

    relevance: (n,) >= 0; score: (n,); weight: (n,) counts. In [0, 1]; 0.0 if nothing is relevant.
    """
    return _value(_average_precision, relevance, score, weight)


def ndcg_at_k(relevance: npt.ArrayLike, score: npt.ArrayLike, k: int, weight: npt.ArrayLike | None = None) -> float:
    """Discounted gain log2(1 + relevance) of the first k rows over that of the best order.

    relevance: (n,) >= 0; score: (n,), ties keep input order; weight: (n,) counts. In [0, 1]; 0.0 if nothing is relevant.
    """
    return _value(partial(_ndcg, k=k), relevance, score, weight)


def captured_at_p(relevance: npt.ArrayLike, score: npt.ArrayLike, p: float, weight: npt.ArrayLike | None = None) -> float:
    """Share of all relevance that the ceil(p x n) highest scores hold.

    relevance: (n,) >= 0; score: (n,), ties keep input order; p: in [0, 1]; weight: (n,) counts.
    In [0, 1]; 0.0 if nothing is relevant.
    """
    return _value(partial(_captured, p=p), relevance, score, weight)


def auroc(label: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Probability that a row with label > 0 scores above one without, ties counting half.

    label, score: (n,); weight: (n,) counts. In [0, 1]; nan if either kind of row is missing.
    """
    return _value(_auroc, label, score, weight)


def ece(label: npt.ArrayLike, probability: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Mean distance between predicted and observed share over 15 bins of exactly equal mass.

    label: (n,), positive if > 0; probability: (n,) in [0, 1]; weight: (n,) counts. A row, or a run of equal
    probabilities, on the edge of two bins is shared between them in proportion, so that the order of rows does not matter.
    In [0, 1]; nan without rows.
    """
    return _value(_ece, label, probability, weight)


def brier(label: npt.ArrayLike, probability: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
    """Mean squared distance of probability and outcome.

    label: (n,), positive if > 0; probability: (n,) in [0, 1]; weight: (n,) counts. In [0, 1]; nan without rows.
    """
    return _value(_brier, label, probability, weight)


@dataclass(frozen=True)
class Metric:
    """A metric by the name that reports use.

    ``values``: weighted rows -> (B,). ``higher_is_better``: the sign of progress. ``of_probability``: has a meaning for
    scores in [0, 1] alone. ``grows_with_noise``: a sum of distances, to which resampling adds.
    """

    name: str
    task: Task
    values: Callable[[Weighted], Floats]
    higher_is_better: bool = True
    of_probability: bool = False
    grows_with_noise: bool = False

    def __call__(self, relevance: npt.ArrayLike, score: npt.ArrayLike, weight: npt.ArrayLike | None = None) -> float:
        """relevance, score: (n,); weight: (n,) counts."""
        return _value(self.values, relevance, score, weight)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("average_precision", "koc", _average_precision),
        Metric("ndcg_at_100", "koc", partial(_ndcg, k=100)),
        Metric("ndcg_at_1000", "koc", partial(_ndcg, k=1000)),
        Metric("captured_at_1pct", "koc", partial(_captured, p=0.01)),
        Metric("captured_at_5pct", "koc", partial(_captured, p=0.05)),
        Metric("auroc", "churn", _auroc),
        Metric("ece", "churn", _ece, higher_is_better=False, of_probability=True, grows_with_noise=True),
        Metric("brier", "churn", _brier, higher_is_better=False, of_probability=True),
    )
}
