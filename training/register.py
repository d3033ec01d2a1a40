"""A trained bundle with its evidence in MLflow, registered as the challenger."""

import tempfile
from pathlib import Path

import numpy as np

from training.backtest import SERVED
from training.pipeline import Trained
from training.plots import importance_plot, reliability_plot
from training.ranker import Ranker
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
        if model := bundle.ranker or bundle.churn:
            run.document("features.json", list(model.columns))
        if bundle.ranker:
            run.figure("ranker-importance.png", importance_plot(bundle.ranker.columns, _gains(bundle.ranker)))
        if bundle.churn:
            gain = bundle.churn.booster.feature_importance("gain")
            run.figure("churn-importance.png", importance_plot(bundle.churn.columns, gain))
            run.figure("churn-reliability.png", reliability_plot(*_judged_churn(trained)))
        with tempfile.TemporaryDirectory() as folder:
            return tracker.register(run, bundle.save(Path(folder) / "bundle"))


def _gains(ranker: Ranker) -> np.ndarray:
    gains: np.ndarray = np.mean([booster.feature_importance("gain") for booster in ranker.boosters], axis=0)
    return gains


def _judged_churn(trained: Trained) -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of the served churn model over all test dates, from the models of the backtest."""
    label = np.concatenate([judged.relevance for judged in trained.evaluations["churn"]])
    return label, np.concatenate([judged.scores[SERVED] for judged in trained.evaluations["churn"]])
