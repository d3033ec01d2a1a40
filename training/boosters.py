"""LightGBM models of which each has not seen one group of people, fitted at the same time on one binning of their rows."""

from collections.abc import Callable, Mapping, Sequence

import lightgbm
import numpy as np
import numpy.typing as npt

from training.crossfit import Groups, Rows
from training.matrix import Floats, Matrix
from training.parallel import fit_each
from training.settings import TrainSettings

MANY_ROWS = 100_000
"""From which to read the trees out of LightGBM takes less time than it saves; see `training.forest`."""


def fit_boosters(
    x: npt.NDArray[np.float32],
    y: Floats,
    groups: Groups,
    columns: Sequence[str],
    settings: TrainSettings,
    params: Mapping[str, float | str],
    rounds: int | None = None,
    weight: Floats | None = None,
    blind: Rows | None = None,
) -> list[lightgbm.Booster]:
    """One booster for each of ``settings.groups``, fitted on the rows of the others.

    x: (N, F); y, groups: (N,); weight: (N,), 1 unless given. params, rounds: instead of those of ``settings``.
    blind: (N,) rows that are among these whatever their labels, all unless given. Bins are found on them: once, since it
    takes as long as the trees, and on no row that a label chose, or it would tell a member of its own group.
    """
    given = {**settings.lightgbm(settings.seed), **params}
    if blind is None or blind.all():
        data = lightgbm.Dataset(x, y, weight=weight, feature_name=list(columns), params=given).construct()
    else:
        bins = lightgbm.Dataset(x[blind], y[blind], feature_name=list(columns), params=given).construct()
        data = bins.create_valid(x, y, weight=weight, params=given).construct()

    def fit(member: int) -> lightgbm.Booster:
        others = data.subset(np.flatnonzero(groups != member)).construct()
        return lightgbm.train({**given, "seed": settings.seed + member}, others, rounds or settings.rounds)

    return fit_each(fit, range(settings.groups), settings.threads)


def predictor(boosters: Sequence[lightgbm.Booster], rows: int) -> Callable[[npt.NDArray[np.float32]], Floats]:
    """What tells (n, members) raw margins of (n, F), the same bits either way; rows: of how many it will be asked in all."""
    if rows >= MANY_ROWS:
        # Here, since few rows never need it, and it takes a second to load.
        from training.forest import Forest

        if forest := Forest.of(boosters):
            return forest.margins
    return lambda x: np.stack([booster.predict(x, raw_score=True) for booster in boosters], axis=1)


def mean_margins(
    boosters: Sequence[lightgbm.Booster], matrix: Matrix, columns: Sequence[str], only: Rows | None = None
) -> Floats:
    """(N,) mean raw margin of the boosters for all users of ``matrix``, or ``only`` (N,) some of them, read a part at a
    time."""
    margins = np.empty(len(matrix.users) if only is None else np.count_nonzero(only))
    predict = predictor(boosters, len(margins))
    for rows, x in matrix.parts(columns, only):
        margins[rows] = predict(x).mean(axis=1)
    return margins


def unseen_margins(boosters: Sequence[lightgbm.Booster], x: npt.NDArray[np.float32], groups: Groups) -> Floats:
    """(N,) raw margin that each row gets from the booster that has not seen its group; x: (N, F), groups: (N,)."""
    margins = np.empty(len(groups))
    for member, booster in enumerate(boosters):
        if (own := groups == member).any():
            margins[own] = predictor([booster], int(np.count_nonzero(own)))(x[own])[:, 0]
    return margins
