"""Values of metrics with 95 % intervals, per date and pooled, for models and for differences between models.

Percentile bootstrap over users (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): a user drawn
twice counts twice at every date of the dataset, which is what clusters pooled values by user.
"""

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from features.errors import TrainingError
from training.metrics import METRICS, Counts, Floats, Metric, Ranking, Task, Weighted

POOLED = "pooled"
LEVELS = (2.5, 97.5)
MIN_RESAMPLES = 200
# Rows x models x resamples: 10 s on one core. Beyond it there are fewer resamples, down to MIN_RESAMPLES.
MAX_WORK = 1_000_000_000
# Weights held at once; small enough to stay in a core's cache.
CHUNK = 1 << 20

Where = tuple[str, str]
Draws = dict[Where, dict[tuple[str, str], Floats]]


@dataclass(frozen=True)
class Evaluation:
    """What several models said about the users of one dataset at one date, and what happened.

    ``users``: (n,) distinct ids; ``relevance``: (n,) >= 0, influence or the churn label; ``scores``: model -> (n,),
    higher is better, probabilities where metrics of probabilities are wanted. ``about``: what else is known of each user at
    the date, (n,); see `training.judged.about_users`.
    """

    dataset: str
    as_of: datetime
    users: npt.NDArray[Any]
    relevance: npt.NDArray[Any]
    scores: Mapping[str, npt.NDArray[Any]]
    about: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    @property
    def where(self) -> Where:
        """Dataset and date as records name them; midnight is left out."""
        return self.dataset, self.as_of.isoformat().removesuffix("T00:00:00")


def as_entry(values: Mapping[str, Any]) -> dict[str, Any]:
    """A value with its interval as JSON: nan becomes null, and only differences have ``minus``."""
    plain = {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in values.items()}
    return plain if plain["minus"] is not None else {key: value for key, value in plain.items() if key != "minus"}


@dataclass(frozen=True)
class Record:
    """One value with its 95 % interval; a difference (``minus`` is set) is ``model`` minus ``minus``.

    ``dataset``, ``as_of``: a dataset's name and an ISO date, or ``pooled``. ``users``: distinct users; ``positives``:
    those of them with relevance > 0 at any date. Undefined values are nan.
    """

    dataset: str
    as_of: str
    task: Task
    model: str
    metric: str
    value: float
    ci_low: float
    ci_high: float
    users: int
    positives: int
    seed: int
    minus: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """As one entry of ``koc backtest --json``: nan becomes null, and only differences have ``minus``."""
        return as_entry(asdict(self))


@dataclass(frozen=True)
class _Panel:
    """The evaluations of one dataset; ``places``: per evaluation, the columns of its rows in weights over all ``users``."""

    evaluations: Sequence[Evaluation]
    rankings: Sequence[Mapping[str, Ranking]]
    places: Sequence[npt.NDArray[np.intp]]
    users: int
    positive: npt.NDArray[np.bool_]

    @classmethod
    def of(cls, evaluations: Sequence[Evaluation]) -> "_Panel":
        codes, known = pd.factorize(np.concatenate([np.asarray(e.users, dtype=object) for e in evaluations]), sort=True)
        places, rankings, positive = [], [], np.zeros(len(known), dtype=bool)
        for evaluation, own in zip(
            evaluations, np.split(codes, np.cumsum([len(e.users) for e in evaluations])[:-1]), strict=True
        ):
            # By user, so that neither values with ties nor resamples depend on the order of rows.
            order = np.argsort(own, kind="stable")
            relevance = np.asarray(evaluation.relevance, dtype=np.float64)[order]
            places.append(own[order])
            positive[own[order][relevance > 0]] = True
            rankings.append({m: Ranking.of(relevance, np.asarray(s)[order]) for m, s in evaluation.scores.items()})
        return cls(evaluations, rankings, places, len(known), positive)

    def values(self, weight: Counts, metrics: Sequence[Metric]) -> Draws:
        """weight: (B, users) -> per date, model and metric (B,)."""
        values: Draws = {}
        for evaluation, rankings, places in zip(self.evaluations, self.rankings, self.places, strict=True):
            own = weight.take(places, axis=1)
            at = values.setdefault(evaluation.where, {})
            for model, ranking in rankings.items():
                weighted = Weighted(ranking, own)
                probability = bool(np.all((ranking.score >= 0) & (ranking.score <= 1)))
                at |= {(model, m.name): m.values(weighted) for m in metrics if probability or not m.of_probability}
        return values

    def draws(self, metrics: Sequence[Metric], resamples: int, seed: int) -> Draws:
        """Row 0 is the value itself, rows 1 to ``resamples`` those of resampled users."""
        # The name seeds the stream: another dataset beside this one does not change its intervals.
        rng = np.random.default_rng([seed, zlib.crc32(self.evaluations[0].dataset.encode())])
        rows = max(1, CHUNK // self.users)
        weights = (_resample(rng, min(rows, resamples - start), self.users) for start in range(0, resamples, rows))
        once = np.ones((1, self.users), dtype=np.int16)
        parts = [self.values(weight, metrics) for weight in chain([once], weights)]
        return {at: {key: np.concatenate([part[at][key] for part in parts]) for key in parts[0][at]} for at in parts[0]}


def _resample(rng: np.random.Generator, rows: int, users: int) -> Counts:
    """(rows, users) how often each user is drawn when ``users`` are drawn with replacement."""
    drawn = rng.integers(0, users, (rows, users)) + np.arange(rows)[:, None] * users
    return np.bincount(drawn.ravel(), minlength=rows * users).reshape(rows, users).astype(np.int16)


def _check(evaluations: Sequence[Evaluation], task: Task, differences: Sequence[tuple[str, str]]) -> None:
    seen: set[Where] = set()
    for evaluation in evaluations:
        place = f"{task} at {' '.join(evaluation.where)}"
        if evaluation.where in seen:
            raise TrainingError(f"{place} is evaluated twice; give each dataset and date once")
        seen.add(evaluation.where)
        if not len(evaluation.users):
            raise TrainingError(f"{place} has no users; choose a test date with events before it")
        if (distinct := len(set(evaluation.users))) < len(evaluation.users):
            raise TrainingError(f"{place} has {len(evaluation.users)} rows for {distinct} users; give one row per user")
        for name, values in {"relevance": evaluation.relevance, **evaluation.scores}.items():
            if len(values) != len(evaluation.users):
                raise TrainingError(f"{place}: {name} has {len(values)} rows for {len(evaluation.users)} users; align them")
            if bad := int((~np.isfinite(np.asarray(values, dtype=np.float64))).sum()):
                raise TrainingError(f"{place}: {bad} values of {name} are not finite; fill them before evaluating")
    known = {model for evaluation in evaluations for model in evaluation.scores}
    if missing := {model for pair in differences for model in pair} - known if evaluations else set():
        raise TrainingError(
            f"no {task} scores of {', '.join(sorted(missing))} to compare; choose from {', '.join(sorted(known))}"
        )


def _pools(draws: Draws) -> Iterator[tuple[Where, dict[tuple[str, str], Floats]]]:
    """Every date, every dataset and all; a pool has the models that all of its dates have, so that its values compare."""
    pools: dict[Where, list[Where]] = defaultdict(list)
    for dataset, as_of in draws:
        pools[dataset, as_of].append((dataset, as_of))
    for dataset, as_of in draws:
        pools[dataset, POOLED].append((dataset, as_of))
    pools[POOLED, POOLED] = list(draws)
    for where, parts in pools.items():
        common = [key for key in draws[parts[0]] if all(key in draws[part] for part in parts)]
        yield where, {key: np.mean([draws[part][key] for part in parts], axis=0) for key in common}


def _interval(values: Floats, metric: Metric, minus: str | None) -> tuple[float, float, float]:
    """values: (1 + B,), the value itself first -> value, low, high; resamples where it is undefined are left out."""
    defined = values[1:][~np.isnan(values[1:])]
    if np.isnan(values[0]) or not len(defined):
        return float("nan"), float("nan"), float("nan")
    if metric.grows_with_noise:
        # Resamples lie above the value as the value lies above the truth; around the value they show its spread.
        defined = defined + (values[0] - defined.mean())
    low, high = np.percentile(defined, LEVELS)
    return float(values[0]), float(low if minus else max(low, 0.0)), float(high)


def bootstrap_records(
    evaluations: Sequence[Evaluation],
    task: Task,
    *,
    differences: Sequence[tuple[str, str]] = (),
    resamples: int = 1000,
    seed: int = 0,
    metrics: Sequence[Metric] | None = None,
) -> list[Record]:
    """Every metric of ``task`` for every model at every date, per dataset and over all, then the differences.

    A pooled value is the mean over its (dataset, date) evaluations. All models, dates of a dataset and differences share
    the same resamples, datasets are resampled independently. Metrics of probabilities are left out for a model with a score
    outside of [0, 1]. Equal scores are ordered by user id.

    differences: pairs (model, minus); left out at dates that lack one of the two. resamples: lowered for large data so that
    rows x models x resamples stays within ``MAX_WORK``, never below 200. metrics: by default all of ``task``.

    Raises:
        TrainingError: an evaluation has no, repeated or misaligned users, a value is not finite, or a difference names
            a model that has no scores.
    """
    _check(evaluations, task, differences)
    metrics = [metric for metric in METRICS.values() if metric.task == task] if metrics is None else metrics
    by_name = {metric.name: metric for metric in metrics}
    work = sum(len(evaluation.users) * len(evaluation.scores) for evaluation in evaluations)
    resamples = min(resamples, max(MIN_RESAMPLES, MAX_WORK // max(1, work)))
    datasets = dict.fromkeys(evaluation.dataset for evaluation in evaluations)
    panels = {name: _Panel.of([e for e in evaluations if e.dataset == name]) for name in datasets}
    counts = {(name, POOLED): (panel.users, int(panel.positive.sum())) for name, panel in panels.items()}
    counts[POOLED, POOLED] = (sum(users for users, _ in counts.values()), sum(found for _, found in counts.values()))
    for evaluation in evaluations:
        counts[evaluation.where] = len(evaluation.users), int((np.asarray(evaluation.relevance) > 0).sum())
    draws = {at: values for panel in panels.values() for at, values in panel.draws(metrics, resamples, seed).items()}

    def record(where: Where, values: Floats, model: str, metric: str, minus: str | None = None) -> Record:
        interval = _interval(values, by_name[metric], minus)
        return Record(*where, task, model, metric, *interval, *counts[where], seed, minus)

    pools = list(_pools(draws)) if draws else []
    own = [record(where, values, *key) for where, pool in pools for key, values in pool.items()]
    paired = [
        record(where, pool[model, metric.name] - pool[minus, metric.name], model, metric.name, minus)
        for where, pool in pools
        for model, minus in differences
        for metric in metrics
        if (model, metric.name) in pool and (minus, metric.name) in pool
    ]
    return own + paired
