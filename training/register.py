"""A trained bundle with its evidence in MLflow, registered as the challenger."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import lightgbm
import numpy as np

from training.backtest import SERVED
from training.pipeline import Trained
from training.plots import importance_plot, reliability_plot
from training.tracking import Tracker


def register(trained: Trained, tracker: Tracker) -> int:
    """Log parameters, metrics per date, features, plots and the bundle as one run; returns the registered version."""
    bundle = trained.bundle
    name = f"{bundle.dataset.name} as of {bundle.as_of:%Y-%m-%d}"
    tags = {"dataset": bundle.dataset.name, "as_of": bundle.as_of.isoformat(), "fingerprint": bundle.fingerprint}
    with tracker.run(name, tags) as run:
        run.params({**bundle.settings, "horizon_days": bundle.dataset.time.horizon.days, "credit": bundle.dataset.credit})
        run.params({"training_dates": ", ".join(f"{fold.as_of:%Y-%m-%d}" for fold in trained.folds)})
        run.records(trained.records)
        hybrid = bundle.hybrid
        run.document("features.json", list(hybrid.gnn.columns))
        if hybrid.stack:
            run.params(
                {f"weight_{view}": weight for view, weight in zip(hybrid.stack.views, hybrid.stack.weights, strict=True)}
            )
        for name, model in {"ranker": hybrid.ranker, "churn": hybrid.churn}.items():
            if model:
                run.figure(f"{name}-importance.png", importance_plot(model.columns, _gains(model.boosters)))
        if hybrid.churn:
            run.figure("churn-reliability.png", reliability_plot(*_judged_churn(trained)))
        with tempfile.TemporaryDirectory() as folder:
            return tracker.register(run, bundle.save(Path(folder) / "bundle"))


def _gains(boosters: Sequence[lightgbm.Booster]) -> np.ndarray:
    gains: np.ndarray = np.mean([booster.feature_importance("gain") for booster in boosters], axis=0)
    return gains


def _judged_churn(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the served churn model over all test dates, from the models of the backtest."""
    label = np.concatenate([judged.relevance for judged in trained.evaluations["churn"]])
    return label, np.concatenate([judged.scores[SERVED] for judged in trained.evaluations["churn"]])
