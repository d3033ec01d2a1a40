"""The churn model: calibrated probability that a recent buyer orders nothing within the horizon."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import lightgbm
import numpy as np
import numpy.typing as npt

from features.errors import TrainingError
from training.boosters import fit_boosters, mean_margins, unseen_margins
from training.calibrate import Calibration, fit_calibration
from training.crossfit import Groups, Rows
from training.frame import Frame
from training.matrix import Floats
from training.roomy import let_go, roomy
from training.settings import TrainSettings


@dataclass(frozen=True)
class ChurnTrees:
    """LightGBM of which each member has not seen one group of people; ``columns`` are the features that it reads, in order.

    ``standing``: it reads where a buyer stands among the buyers of the date instead of the values. When a season or an
    outage moves everybody, values mislead one way and standings the other; their mean keeps the level best.
    """

    columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]
    standing: bool

    def odds(self, frame: Frame, only: Rows | None = None) -> Floats:
        """(N,) log-odds of no order, or of ``only`` (N,) some users; they mean something for members of the frame's churn
        population."""
        if not self.standing:
            return mean_margins(self.boosters, frame.matrix, self.columns, only)
        users = frame.users if only is None else frame.users[only]
        standing = replace(frame.matrix, users=users, x=standings(frame, self.columns, only), columns=self.columns)
        return mean_margins(self.boosters, standing, self.columns)


@dataclass(frozen=True)
class ChurnModel:
    """The mean log-odds of several ensembles, and the calibration of it."""

    trees: tuple[ChurnTrees, ...]
    calibration: Calibration

    def probability(self, frame: Frame, only: Rows | None = None) -> Floats:
        """(N,) calibrated probability of no order, in (0, 1), or of ``only`` (N,) some users; it means something for
        members of the churn population."""
        return self.calibration.apply(probability_of(np.mean([trees.odds(frame, only) for trees in self.trees], axis=0)))


def standings(frame: Frame, columns: Sequence[str], rows: Rows | None = None) -> npt.NDArray[np.float32]:
    """(N, F) percentile of members of the churn population among its known values, 0 to 1, else nan; `roomy`.

    rows: (N,) to be told of these users only, (rows.sum(), F).
    """
    buyers = frame.churn_population
    asked = np.ones(len(frame.users), bool) if rows is None else rows
    among = buyers[asked]
    x = roomy((len(columns), len(among))).T
    for index, column in enumerate(columns):
        values = frame.matrix.column(column)
        x[:, index] = np.nan
        x[among, index] = _percentile(values[asked & buyers], values[buyers])
        let_go(x)
    return x


def _percentile(x: Floats, of: Floats) -> Floats:
    """x: (n,), each one of the known values ``of``, or nan. (n,) mean rank of equal ones over their number; nan of nan."""
    known, times = np.unique(of[~np.isnan(of)], return_counts=True)
    percentile = np.append((np.cumsum(times) - (times - 1) / 2) / max(1, times.sum()), np.nan)
    # A nan sorts behind all known values.
    found: Floats = percentile[np.searchsorted(known, x)]
    return found


def fit_churn_trees(
    frames: Sequence[Frame],
    rows: Sequence[Rows],
    churned: Rows,
    groups: Groups,
    columns: Sequence[str],
    settings: TrainSettings,
    *,
    standing: bool = False,
) -> tuple[ChurnTrees, Floats]:
    """The trees, and (N,) the log-odds of each row from the member that has not seen its person.

    rows: per frame, which of its churn population teach; churned, groups: (N,) of these rows of all frames, one after the
    other.

    Raises:
        TrainingError: no rows, or in the rows of some member only stayers or only churners.
    """
    if not len(churned):
        raise TrainingError("nobody ordered in the two horizons before any training date; choose a later date")
    kept = [churned[groups != group] for group in range(settings.groups)]
    if any(labels.all() or not labels.any() for labels in kept):
        kind = "churner" if any(not labels.any() for labels in kept) else "stayer"
        raise TrainingError(
            f"no {kind} among {len(churned):,} training rows, or in one group of people only; choose another horizon, or "
            "earlier dates"
        )
    given = zip(frames, rows, strict=True)
    x = np.concatenate([standings(one, columns, of) if standing else one.matrix.select(columns, of) for one, of in given])

    boosters = fit_boosters(x, churned.astype(np.float64), groups, columns, settings, {"objective": "binary"})
    return ChurnTrees(tuple(columns), boosters, standing), unseen_margins(boosters, x, groups)


def calibrated(trees: Sequence[ChurnTrees], unseen: Sequence[Floats], churned: npt.NDArray[np.bool_]) -> ChurnModel:
    """The mean of ``trees``, calibrated.

    unseen: of each of ``trees`` (N,) log-odds of training rows from members that have not seen their person. Learning the
    calibration on a date after those that the model saw repeats the swing of that date at the next (``docs/decisions.md``).
    """
    return ChurnModel(tuple(trees), fit_calibration(probability_of(np.mean(unseen, axis=0)), churned))


def probability_of(odds: Floats) -> Floats:
    """(n,) probabilities of log-odds."""
    probability: Floats = 1 / (1 + np.exp(-odds))
    return probability
