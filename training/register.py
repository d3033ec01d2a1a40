"""Runs in MLflow: a backtest, or a trained bundle with its evidence, registered as the challenger."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow.parquet as pq

from training.bundle import bundle_checksum
from training.card import CARD_FILE, model_card
from training.intervals import POOLED, Record
from training.judged import JUDGED_FILE, SERVED, judged_table
from training.pipeline import Trained
from training.plots import headlines, importance_plot, intervals_plot, reliability_plot, weights_plot
from training.recipe import RECIPE_FILE, Recipe, recipe_of, require_same_bundle
from training.stack import Stack
from training.tracking import CHALLENGER, Run, Tracker


def log_backtest(records: Sequence[Record], params: Mapping[str, object], tracker: Tracker) -> str:
    """Log a backtest with its parameters and plots as one run, without a model; returns the name of the run."""
    datasets = dict.fromkeys(record.dataset for record in records if record.dataset != POOLED)
    name = f"backtest of {', '.join(datasets)}"
    with tracker.run(name) as run:
        run.params(params)
        _log_records(run, records)
    return name


def register(trained: Trained, tracker: Tracker, tags: Mapping[str, str] | None = None, like: Recipe | None = None) -> int:
    """Log parameters, metrics per date, features, plots and the bundle as one run; returns the registered version.

    ``tags``: of the run, besides dataset, date and fingerprint. ``like``: of the run that this one has to repeat; such a
    version challenges nobody, and the alias stays.

    Raises:
        ReproductionError: the bundle is not that of ``like``; nothing is registered.
    """
    bundle = trained.bundle
    name = f"{bundle.dataset.name} as of {bundle.as_of:%Y-%m-%d}"
    about = {"dataset": bundle.dataset.name, "as_of": bundle.as_of.isoformat(), "fingerprint": bundle.fingerprint}
    with tracker.run(name, {**about, **(tags or {})}) as run:
        run.params({**bundle.settings, "horizon_days": bundle.dataset.time.horizon.days, "credit": bundle.dataset.credit})
        run.params({"training_dates": ", ".join(f"{fold.as_of:%Y-%m-%d}" for fold in trained.folds)})
        _log_records(run, trained.records)
        run.text(CARD_FILE, model_card(trained))
        hybrid = bundle.hybrid
        run.document("features.json", list(hybrid.gnn.columns))
        for name, extra in bundle.extras.models.items():
            run.metrics({f"extras/{name}/{metric}": value for metric, value in extra.report().items()})
        if skipped := bundle.extras.skipped:
            run.document("extras-skipped.json", dict(skipped))
        if hybrid.stack:
            weights = dict(zip(hybrid.stack.views, hybrid.stack.weights, strict=True))
            run.params({f"weight_{view}": weight for view, weight in weights.items()})
            run.figure("hybrid-weights.png", weights_plot(weights, _spreads(trained, hybrid.stack)))
        trees = {"ranker": hybrid.ranker, "ties": hybrid.ties, "churn": hybrid.churn and hybrid.churn.trees[0]}
        for name, model in trees.items():
            if model:
                run.figure(f"{name}-importance.png", importance_plot(*_gains(model.boosters)))
        if hybrid.churn:
            run.figure("churn-reliability.png", reliability_plot(*_judged_churn(trained)))
        with tempfile.TemporaryDirectory() as folder:
            pq.write_table(judged_table(trained.evaluations), Path(folder) / JUDGED_FILE)
            run.files(Path(folder) / JUDGED_FILE)
            saved = bundle.save(Path(folder) / "bundle")
            recipe = recipe_of(trained, bundle_checksum(saved))
            run.document(RECIPE_FILE, recipe.to_dict())
            if like:
                require_same_bundle(like, recipe.bundle)
            run.tags({"bundle": recipe.bundle, "lock": recipe.lock, "code": recipe.code})
            version = tracker.register(run, saved, aliases=() if like else (CHALLENGER,))
            run.tags({"version": str(version)})
            return version


def _log_records(run: Run, records: Sequence[Record]) -> None:
    run.records(records)
    for metric in headlines(records):
        run.figure(f"{metric}.png", intervals_plot(records, metric))


def _gains(boosters: Sequence[lightgbm.Booster]) -> tuple[list[str], np.ndarray]:
    """Names and mean gains of the features of an ensemble."""
    return boosters[0].feature_name(), np.mean([booster.feature_importance("gain") for booster in boosters], axis=0)


def _spreads(trained: Trained, stack: Stack) -> dict[str, float]:
    """View -> standard deviation of what it said on the test dates, of those that were judged there."""
    judged = trained.evaluations["koc"]
    said = {view: [each.scores[view] for each in judged if view in each.scores] for view in stack.views}
    return {view: float(np.mean([scores.std() for scores in each])) for view, each in said.items() if each}


def _judged_churn(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the served churn model over all test dates, from the models of the backtest."""
    label = np.concatenate([judged.relevance for judged in trained.evaluations["churn"]])
    return label, np.concatenate([judged.scores[SERVED] for judged in trained.evaluations["churn"]])
