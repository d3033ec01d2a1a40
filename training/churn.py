"""The churn model: calibrated probability that a recent buyer orders nothing within the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.calibrate import Calibration, fit_calibration
from training.matrix import Floats
from training.parallel import fit_each
from training.settings import TrainSettings


@dataclass(frozen=True)
class ChurnModel:
    """LightGBM and the calibration of its probabilities; ``columns`` are the features it reads, in order."""

    columns: tuple[str, ...]
    booster: lightgbm.Booster
    calibration: Calibration

    def probability(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (N, F). Calibrated probability of no order (N,), in [0, 1]."""
        return self.calibration.apply(np.asarray(self.booster.predict(x)))


def fit_churn(
    dates: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]], columns: Sequence[str], settings: TrainSettings
) -> ChurnModel:
    """dates: per training date, latest first, features (N, F) and labels (N,).

    The calibration is learned on the latest date from a model of the older ones, so that it corrects for how the world
    moves; the model that is kept then learns from all dates. With one date, two halves of its users take their places.

    Raises:
        TrainingError: no rows, only stayers, or only churners.
    """
    if not dates:
        raise TrainingError("nobody ordered in the two horizons before any training date; choose a later date")
    everything = np.concatenate([label for _, label in dates])
    if everything.all() or not everything.any():
        kind = "no churner" if not everything.any() else "no stayer"
        raise TrainingError(f"{kind} among {len(everything):,} training rows; choose another horizon, or earlier dates")
    if len(dates) == 1:
        x, label = dates[0]
        held, older = (x[::2], label[::2]), [(x[1::2], label[1::2])]
    else:
        held, older = dates[0], list(dates[1:])
    without_held, final = fit_each(lambda rows: _fit(rows, columns, settings), [older, dates], settings.threads)
    calibration = fit_calibration(np.asarray(without_held.predict(held[0])), held[1])
    return ChurnModel(tuple(columns), final, calibration)


def _fit(
    dates: Sequence[tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]], columns: Sequence[str], settings: TrainSettings
) -> lightgbm.Booster:
    x, label = np.concatenate([x for x, _ in dates]), np.concatenate([label for _, label in dates])
    rows = lightgbm.Dataset(x, label.astype(np.float32), feature_name=list(columns))
    return lightgbm.train(settings.lightgbm(settings.seed, objective="binary"), rows, settings.rounds)
