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
    x: npt.NDArray[np.float32],
    label: npt.NDArray[np.bool_],
    half: npt.NDArray[np.bool_],
    columns: Sequence[str],
    settings: TrainSettings,
) -> ChurnModel:
    """x: (N, F) rows of all training dates; label: (N,); half: (N,) in which half of the people a row belongs.

    The calibration is learned from what a model of each half says of the other; the model that is kept learns from all.
    To calibrate on the latest date alone repeats its swing at the next: over 18 test dates of five public sets that had
    a mean ECE of .076, the two halves .057 (``docs/decisions.md``).

    Raises:
        TrainingError: no rows, only stayers, only churners, or only one half.
    """
    if not len(label):
        raise TrainingError("nobody ordered in the two horizons before any training date; choose a later date")
    if label.all() or not label.any():
        kind = "no churner" if not label.any() else "no stayer"
        raise TrainingError(f"{kind} among {len(label):,} training rows; choose another horizon, or earlier dates")
    if half.all() or not half.any():
        raise TrainingError(f"all {len(label):,} training rows are of one person; calibration needs more people")

    def fit(of: npt.NDArray[np.bool_]) -> lightgbm.Booster:
        rows = lightgbm.Dataset(x[of], label[of].astype(np.float32), feature_name=list(columns))
        return lightgbm.train(settings.lightgbm(settings.seed, objective="binary"), rows, settings.rounds)

    one, other, final = fit_each(fit, [half, ~half, np.ones_like(half)], settings.threads)
    unseen = np.empty(len(label))
    unseen[~half], unseen[half] = one.predict(x[~half]), other.predict(x[half])
    return ChurnModel(tuple(columns), final, fit_calibration(unseen, label))
