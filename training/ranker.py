"""The KOC ranker: LightGBM on influence within the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.matrix import Floats
from training.parallel import fit_each
from training.settings import TrainSettings

TWEEDIE_POWER = 1.3


@dataclass(frozen=True)
class Ranker:
    """An ensemble over seeds; ``columns`` are the features it reads, in order."""

    columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]

    def margin(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (N, F). Mean raw margin (N,), the log of expected influence; it orders users."""
        margins: Floats = np.mean([booster.predict(x, raw_score=True) for booster in self.boosters], axis=0)
        return margins

    def influence(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (N, F). Expected influence (N,) within the horizon, > 0: the exponential of the margin."""
        return np.exp(self.margin(x))

    def contributions(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (N, F). SHAP values (N, F + 1), the last the base; each row sums to the margin."""
        shares: Floats = np.mean([booster.predict(x, pred_contrib=True) for booster in self.boosters], axis=0)
        return shares


def fit_ranker(x: npt.NDArray[np.float32], influence: Floats, columns: Sequence[str], settings: TrainSettings) -> Ranker:
    """x: (N, F); influence: (N,) >= 0. A Tweedie objective (Zhou, Qian and Yang, 2022) fits its zeros and long tail.

    Raises:
        TrainingError: nobody influenced anybody in the training rows.
    """
    if not np.any(influence > 0):
        raise TrainingError(
            f"none of {len(influence):,} training rows has influence > 0; map more evidence (ties, shares, referrers), or "
            "choose a longer horizon or attribution window"
        )
    objective = {"objective": "tweedie", "tweedie_variance_power": TWEEDIE_POWER}

    def fit(seed: int) -> lightgbm.Booster:
        rows = lightgbm.Dataset(x, influence, feature_name=list(columns))
        return lightgbm.train(settings.lightgbm(seed, **objective), rows, settings.rounds)

    seeds = range(settings.seed, settings.seed + settings.seeds)
    return Ranker(tuple(columns), fit_each(fit, seeds, settings.threads))
