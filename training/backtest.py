"""Models and baselines judged on several past dates, each seeing only what was known then."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.errors import LeakageError, TrainingError
from features.labels import require_mature
from training.baselines import churn_baselines, koc_baselines
from training.churn import ChurnModel, fit_churn
from training.intervals import Evaluation, Record, bootstrap_records
from training.matrix import Floats, Matrix
from training.metrics import Task
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings
from training.timeline import Labels, Timeline

SERVED = "lightgbm"
"""The model that the product serves."""

SCOPES: Mapping[str, tuple[str, ...]] = {"lightgbm_own": ("own",), "lightgbm": ("own", "graph")}
"""Learned models -> the scopes of the features that they read."""


@dataclass(frozen=True)
class Fold:
    """The training rows of one date: features, and labels as they were known when the model was fitted."""

    as_of: datetime
    matrix: Matrix
    labels: Labels


def training_folds(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> list[Fold]:
    """Rows to learn from for a model that is used at ``as_of``, latest date first.

    Raises:
        TrainingError: no date before ``as_of`` has a closed label window and enough history.
        LeakageError: a label window reaches past ``as_of``.
    """
    dates = timeline.training_dates(as_of, settings.dates)
    horizon = timeline.tables.dataset.time.horizon
    if not dates:
        first = timeline.first_event(as_of)
        raise TrainingError(
            f"no training date before {as_of:%Y-%m-%d}: one needs half a horizon of history and a closed window "
            f"of {horizon.days} days, and the first order or response is {f'of {first:%Y-%m-%d}' if first else 'later'}; "
            "choose a later date or a shorter horizon"
        )
    if late := [date for date in dates if date + horizon > as_of]:
        dates_late = ", ".join(f"{date:%Y-%m-%d}" for date in late)
        raise LeakageError(f"the label windows of {dates_late} reach past {as_of:%Y-%m-%d}; train on earlier dates")
    return [Fold(date, timeline.matrix(date), timeline.labels(date, known_at=as_of)) for date in dates]


def model_columns(model: str, matrix: Matrix) -> tuple[str, ...]:
    """Feature columns that a learned model reads, in the order of the dictionary."""
    return tuple(column for scope, columns in matrix.scopes.items() if scope in SCOPES[model] for column in columns)


def fit_koc(folds: Sequence[Fold], model: str, settings: TrainSettings) -> Ranker:
    """Fit a learned KOC model on all users of all folds."""
    columns = model_columns(model, folds[0].matrix)
    x = np.concatenate([fold.matrix.select(columns) for fold in folds])
    return fit_ranker(x, np.concatenate([fold.labels.influence for fold in folds]), columns, settings)


def fit_leave(folds: Sequence[Fold], model: str, settings: TrainSettings) -> ChurnModel:
    """Fit a learned churn model on the churn population of all folds."""
    columns = model_columns(model, folds[0].matrix)
    x = np.concatenate([fold.matrix.select(columns)[fold.labels.churn_known] for fold in folds])
    label = np.concatenate([fold.labels.churned[fold.labels.churn_known] for fold in folds])
    _, person = np.unique(np.concatenate([f.matrix.users[f.labels.churn_known] for f in folds]), return_inverse=True)
    return fit_churn(x, label, person % 2 == 0, columns, settings)


def evaluate(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> dict[Task, Evaluation]:
    """Task -> scores of every model at one test date and what happened afterwards."""
    require_mature(timeline.tables, as_of)
    folds = training_folds(timeline, as_of, settings)
    matrix, snapshot, dataset = timeline.matrix(as_of), timeline.snapshot(as_of), timeline.tables.dataset
    truth = timeline.labels(as_of)
    found: dict[Task, Evaluation] = {}
    if timeline.has_influence:
        scores = koc_baselines(matrix, snapshot)

        def influence(model: str) -> Floats:
            timeline.progress(f"{as_of:%Y-%m-%d}: {model} of influence")
            ranker = fit_koc(folds, model, settings)
            return ranker.margin(matrix.select(ranker.columns))

        scores |= _each_model(matrix, influence)
        found["koc"] = Evaluation(dataset.name, as_of, matrix.users, truth.influence, scores)
    if timeline.has_churn:
        of = truth.churn_known
        scores = {name: score[of] for name, score in churn_baselines(matrix, snapshot).items()}

        def leaving(model: str) -> Floats:
            timeline.progress(f"{as_of:%Y-%m-%d}: {model} of churn")
            churn = fit_leave(folds, model, settings)
            return churn.probability(matrix.select(churn.columns)[of])

        scores |= _each_model(matrix, leaving)
        found["churn"] = Evaluation(dataset.name, as_of, matrix.users[of], truth.churned[of].astype(float), scores)
    return found


def evaluate_all(timelines: Sequence[Timeline], settings: TrainSettings) -> dict[Task, list[Evaluation]]:
    """All models on all test dates of all datasets.

    Raises:
        TrainingError: the history is too short for any test date.
        ImmatureLabelError: the label window of a test date is not closed in the data.
    """
    by_task: dict[Task, list[Evaluation]] = {"koc": [], "churn": []}
    for timeline in timelines:
        dataset = timeline.tables.dataset
        dates = sorted(set(dataset.time.test_dates)) or timeline.default_test_dates()
        if not dates:
            raise TrainingError(
                f"the history of dataset {dataset.name!r} is too short to judge a model with a horizon of "
                f"{dataset.time.horizon.days} days; shorten time.horizon, or wait for more data"
            )
        for as_of in dates:
            require_mature(timeline.tables, as_of)
        for as_of in dates:
            for task, evaluation in evaluate(timeline, as_of, settings).items():
                by_task[task].append(evaluation)
    return by_task


def judge(evaluations: Mapping[Task, Sequence[Evaluation]], settings: TrainSettings) -> list[Record]:
    """Metrics with intervals; differences are of the served model minus each other one, paired by user."""
    records = []
    for task, judged in evaluations.items():
        if judged:
            differences = [(SERVED, model) for model in _common(judged) if model != SERVED]
            records += bootstrap_records(
                judged, task, differences=differences, resamples=settings.resamples, seed=settings.seed
            )
    return records


def backtest(timelines: Sequence[Timeline], settings: TrainSettings) -> list[Record]:
    """Judge all models on all test dates of all datasets; raises as `evaluate_all` does."""
    return judge(evaluate_all(timelines, settings), settings)


def _each_model(matrix: Matrix, fitted: Callable[[str], Floats]) -> dict[str, Floats]:
    """Scores of every learned model; models that read the same features (no tie is mapped) are fitted once."""
    scores: dict[tuple[str, ...], Floats] = {}
    for model in SCOPES:
        columns = model_columns(model, matrix)
        if columns not in scores:
            scores[columns] = fitted(model)
    return {model: scores[model_columns(model, matrix)] for model in SCOPES}


def _common(evaluations: Sequence[Evaluation]) -> list[str]:
    return [model for model in evaluations[0].scores if all(model in e.scores for e in evaluations)]
