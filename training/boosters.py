"""LightGBM models of which each has not seen one group of people, fitted at the same time on one binning of their rows."""

from collections.abc import Mapping, Sequence

import lightgbm
import numpy as np
import numpy.typing as npt

from training.crossfit import Groups, Rows
from training.matrix import Floats, Matrix
from training.parallel import fit_each
from training.settings import TrainSettings


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


def mean_margins(boosters: Sequence[lightgbm.Booster], matrix: Matrix, columns: Sequence[str]) -> Floats:
    """(N,) mean raw margin of the boosters for all users of ``matrix``, read a part at a time."""
    margins = np.empty(len(matrix.users))
    for rows, x in matrix.parts(columns):
        margins[rows] = np.mean([booster.predict(x, raw_score=True) for booster in boosters], axis=0)
    return margins


def unseen_margins(boosters: Sequence[lightgbm.Booster], x: npt.NDArray[np.float32], groups: Groups) -> Floats:
    """(N,) raw margin that each row gets from the booster that has not seen its group; x: (N, F), groups: (N,)."""
    margins = np.empty(len(groups))
    for member, booster in enumerate(boosters):
        if (own := groups == member).any():
            margins[own] = booster.predict(x[own], raw_score=True)
    return margins
