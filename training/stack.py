"""How much each view of influence counts: weights learned on what each model said of people whom it had not seen."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from training.matrix import Floats
from training.ranker import POWER

RIDGE = 5.0
"""How much equal weights count, over the number of rows with influence: few of them say little against equal weights."""


@dataclass(frozen=True)
class Stack:
    """A straight line over the margins of ``views``: ``weights`` (M,) >= 0 and ``bias``.

    ``centre``: (M,) mean margin of the training rows, from which a view speaks for or against a user.
    """

    views: tuple[str, ...]
    weights: tuple[float, ...]
    centre: tuple[float, ...]
    bias: float

    def margin(self, margins: Floats) -> Floats:
        """margins: (N, M) of the views -> (N,), the log of expected influence."""
        combined: Floats = margins @ np.array(self.weights) + self.bias
        return combined


def fit_stack(views: Sequence[str], margins: Floats, influence: npt.NDArray[np.float64]) -> Stack:
    """Stacked generalisation (Wolpert, 1992; weights >= 0 as in Breiman, Stacked Regressions, 1996).

    margins: (N, M), of each row from models that have not seen its person; influence: (N,) >= 0, not all 0. The Tweedie
    deviance of the combined margin (relative to influence of mean 1) is lowest, held towards equal weights of standardised
    margins.
    """
    centre, spread = margins.mean(axis=0), margins.std(axis=0)
    # The deviation of equal numbers is not always 0 in floats.
    spread = np.where(spread > 1e-9, spread, 1.0)
    z, mean = (margins - centre) / spread, float(influence.mean())
    y, equal = influence / mean, np.full(len(views), 1.0 / len(views))
    ridge = RIDGE / int((influence > 0).sum())

    def loss(parameters: Floats) -> tuple[float, Floats]:
        weights, bias = parameters[:-1], parameters[-1]
        margin = np.clip(z @ weights + bias, -30.0, 30.0)
        low, high = np.exp((1 - POWER) * margin), np.exp((2 - POWER) * margin)
        slope = high - y * low
        value = np.mean(high / (2 - POWER) - y * low / (1 - POWER)) + ridge * np.sum((weights - equal) ** 2)
        return float(value), np.append(z.T @ slope / len(y) + 2 * ridge * (weights - equal), slope.mean())

    start = np.append(equal, 0.0)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(0.0, None)] * len(views) + [(None, None)]).x
    weights = found[:-1] / spread
    return Stack(
        tuple(views), tuple(weights.tolist()), tuple(centre.tolist()), float(found[-1] - weights @ centre + np.log(mean))
    )
