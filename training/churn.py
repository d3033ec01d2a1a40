"""The churn model: calibrated probability that a recent buyer orders nothing within the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.calibrate import Calibration, fit_calibration
from training.crossfit import Groups, Rows, cross_fit
from training.frame import Frame
from training.matrix import Floats
from training.settings import TrainSettings


@dataclass(frozen=True)
class ChurnModel:
    """LightGBM, of which each member has not seen one group of people, and the calibration of what it says.

    ``columns`` are the features that it reads, in order. ``with_gnn``: its log-odds are averaged with those of the network.
    """

    columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]
    calibration: Calibration
    with_gnn: bool = False

    def probability(self, frame: Frame, gnn: Floats | None = None) -> Floats:
        """(N,) calibrated probability of no order, in (0, 1); gnn: (N,) log-odds of the network, where it takes part."""
        x = frame.matrix.select(self.columns)
        odds: Floats = np.mean([booster.predict(x, raw_score=True) for booster in self.boosters], axis=0)
        if self.with_gnn:
            if gnn is None:
                raise TypeError("this churn model was fitted with the network; pass its log-odds")
            odds = (odds + gnn) / 2
        return self.calibration.apply(probability_of(odds))

    def joined(self, unseen: Floats, gnn: Floats, churned: npt.NDArray[np.bool_]) -> "ChurnModel":
        """The same with the network beside it; unseen, gnn: (N,) log-odds of training rows from models that have not seen
        their person."""
        calibration = fit_calibration(probability_of((unseen + gnn) / 2), churned)
        return replace(self, calibration=calibration, with_gnn=True)


def fit_churn(
    x: npt.NDArray[np.float32],
    churned: npt.NDArray[np.bool_],
    groups: Groups,
    columns: Sequence[str],
    settings: TrainSettings,
) -> tuple[ChurnModel, Floats]:
    """The model, and (N,) log-odds of each row from the member that has not seen its person.

    x: (N, F) rows of the churn population; churned: (N,); groups: (N,) of people. The calibration is learned from the
    log-odds of unseen people. Learning it on a date after those that the model saw repeats the swing of that date at the
    next (``docs/decisions.md``).

    Raises:
        TrainingError: no rows, or in the rows of some member only stayers or only churners.
    """
    if not len(churned):
        raise TrainingError("nobody ordered in the two horizons before any training date; choose a later date")
    kept = [churned[groups != group] for group in range(settings.groups)]
    if any(rows.all() or not rows.any() for rows in kept):
        kind = "churner" if any(not rows.any() for rows in kept) else "stayer"
        raise TrainingError(
            f"no {kind} among {len(churned):,} training rows, or in one group of people only; choose another horizon, or "
            "earlier dates"
        )

    def fit(group: int, rows: Rows) -> lightgbm.Booster:
        data = lightgbm.Dataset(x[rows], churned[rows].astype(np.float32), feature_name=list(columns))
        return lightgbm.train(settings.lightgbm(settings.seed + group, objective="binary"), data, settings.rounds)

    def odds(booster: lightgbm.Booster, rows: Rows) -> Floats:
        return np.asarray(booster.predict(x[rows], raw_score=True)) if rows.any() else np.empty(0)

    boosters, unseen = cross_fit(fit, odds, groups, settings.groups, settings.threads)
    return ChurnModel(tuple(columns), boosters, fit_calibration(probability_of(unseen), churned)), unseen


def probability_of(odds: Floats) -> Floats:
    """(n,) probabilities of log-odds."""
    probability: Floats = 1 / (1 + np.exp(-odds))
    return probability
