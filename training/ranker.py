"""The user ranker: LightGBM on influence within the horizon, from a user's features."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.boosters import fit_boosters, mean_margins, unseen_margins
from training.crossfit import Groups, Rows
from training.frame import Frame
from training.matrix import Floats
from training.settings import TrainSettings

POWER = 1.3
"""Of the Tweedie distribution, between counts (1) and amounts (2); for all models of influence, so that margins compare."""

TWEEDIE: Mapping[str, float | str] = {"objective": "tweedie", "tweedie_variance_power": POWER}
"""A Tweedie objective fits zeros and a long tail (Zhou, Qian and Yang, Tweedie gradient boosting, 2022)."""


@dataclass(frozen=True)
class Ranker:
    """An ensemble of which each member has not seen one group of people; ``columns`` are the features it reads, in order."""

    columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]

    def margin(self, frame: Frame, only: Rows | None = None) -> Floats:
        """(N,) mean raw margin of the frame's users, or of ``only`` (N,) some: the log of expected influence, which orders
        users."""
        return mean_margins(self.boosters, frame.matrix, self.columns, only)

    def contributions(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (n, F). SHAP values (n, F + 1), the last the base; each row sums to its margin."""
        shares: Floats = np.mean([booster.predict(x, pred_contrib=True) for booster in self.boosters], axis=0)
        return shares


def fit_ranker(
    x: npt.NDArray[np.float32],
    influence: Floats,
    groups: Groups,
    columns: Sequence[str],
    settings: TrainSettings,
    stands_for: Floats | None = None,
    blind: Rows | None = None,
) -> tuple[Ranker, Floats]:
    """The ranker, and the margin (N,) that each row got from the member that has not seen its person.

    x: (N, F); influence: (N,) >= 0; groups: (N,) of people; stands_for: (N,) how many rows each stands for, 1 unless given;
    blind: (N,) rows that no label chose, all unless given.

    Raises:
        TrainingError: nobody influenced anybody in the training rows.
    """
    if not np.any(influence > 0):
        raise TrainingError(
            f"none of {len(influence):,} training rows has influence > 0; map more evidence (ties, shares, referrers), or "
            "choose a longer horizon or attribution window"
        )

    boosters = fit_boosters(x, influence, groups, columns, settings, TWEEDIE, weight=stands_for, blind=blind)
    return Ranker(tuple(columns), boosters), unseen_margins(boosters, x, groups)
