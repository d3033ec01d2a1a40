"""The straight line from validated tables to a judged, fitted model, one call a line."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.tables import Tables
from training.backtest import evaluate_all, judge
from training.bundle import Bundle
from training.extras.all import EXTRAS
from training.extras.contract import fit_extras
from training.folds import Fold, Panel, training_folds
from training.frame import TIES_AT_ONCE
from training.hybrid import fit_hybrid
from training.intervals import Evaluation, Record
from training.metrics import Task
from training.profile import Profile
from training.recipe import Recipe, require_same_data
from training.settings import TrainSettings
from training.timeline import Timeline

PROFILED = 20_000
"""People, about, drawn of more, whose features and scores tell the distributions that later ones are compared with."""


@dataclass(frozen=True)
class Trained:
    """A bundle, the backtest before it, and the folds that the bundle's models learned from."""

    bundle: Bundle
    records: Sequence[Record]
    evaluations: Mapping[Task, Sequence[Evaluation]]
    folds: Sequence[Fold]


def train(
    tables: Tables,
    settings: TrainSettings,
    progress: Callable[[str], None] = lambda _: None,
    *,
    also: Sequence[datetime] = (),
    like: Recipe | None = None,
) -> Trained:
    """Judge the models on the dataset's test dates, then fit the served one on all that is known now.

    also: dates to judge on besides where the dataset names none. like: of the run that this one has to repeat.

    Raises:
        ReproductionError: the data is not that of ``like``.
        TrainingError: not enough history for any training date, or nothing to learn in it.
        ImmatureLabelError: the label window of a test date is not closed in the data.
    """
    timeline = Timeline(tables, progress)
    as_of = tables.observed_until
    if like:
        require_same_data(like, as_of.isoformat())
    evaluations = evaluate_all([timeline], settings, also=also)
    records = judge(evaluations, settings)
    # First, since labels of the training dates read its ledger.
    today = timeline.frame(as_of)
    timeline.forget(as_of)
    folds = training_folds(timeline, as_of, settings)
    if like:
        require_same_data(like, as_of.isoformat(), fingerprint(folds))
    progress("fitting the model to be served")
    panel = Panel.of(folds, settings)
    hybrid = fit_hybrid(panel, settings, influence=timeline.has_influence, churn=timeline.has_churn)
    metrics = [record.to_dict() for record in records]
    extras = fit_extras(EXTRAS, timeline, folds, as_of, settings, progress)
    progress("profile of features and scores")
    some = np.random.default_rng(settings.seed).random(len(today.users)) < PROFILED / max(PROFILED, len(today.users))
    profile = Profile.of(today, hybrid.said(today, some), some, before=folds[0].frame)
    bundle = Bundle(tables.dataset, as_of, settings.to_dict(), fingerprint(folds), metrics, hybrid, profile, extras)
    return Trained(bundle, records, evaluations, folds)


def fingerprint(folds: Sequence[Fold]) -> str:
    """SHA-256 of all training rows: dates, users, ties, features and labels, in a fixed order."""
    digest = hashlib.sha256()
    for fold in folds:
        digest.update(fold.as_of.isoformat().encode())
        matrix, ties, labels = fold.frame.matrix, fold.frame.ties, fold.labels
        for names in (matrix.columns, matrix.users, ties.columns):
            digest.update("\n".join(names).encode())
        for column in matrix.columns:
            digest.update(matrix.column(column).tobytes())
        for values in (ties.followers, ties.influencers, labels.influence, labels.follows):
            digest.update(values.tobytes())
        for start in range(0, len(ties), TIES_AT_ONCE):
            digest.update(ties.select(ties.columns, slice(start, start + TIES_AT_ONCE)).tobytes())
        digest.update("\n".join(ties.strangers.to_pylist()).encode())
        if bought := fold.frame.purchases:
            for values in (bought.users, bought.subjects, bought.age_days):
                digest.update(values.tobytes())
        for flags in (labels.churned, fold.frame.churn_population):
            digest.update(flags.tobytes())
    return digest.hexdigest()
