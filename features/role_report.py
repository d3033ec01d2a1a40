"""How well roles are told where the truth is known: the confusion matrix and F1 by role."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from features.roles import ROLES

Ints = npt.NDArray[np.int64]


def confusion(truth: Sequence[str], told: Sequence[str]) -> Ints:
    """(roles, roles) users by the role they play (rows) and the one they are told to play, in the order of ``ROLES``."""
    place = {name: number for number, name in enumerate(ROLES)}
    found = np.zeros((len(ROLES), len(ROLES)), dtype=np.int64)
    np.add.at(found, ([place[name] for name in truth], [place[name] for name in told]), 1)
    return found


def f1_by_role(matrix: Ints) -> dict[str, float]:
    """Role -> F1, in [0, 1], of the roles that somebody plays or is told to play."""
    ends = matrix.sum(axis=0) + matrix.sum(axis=1)
    return {name: float(2 * matrix[row, row] / ends[row]) for row, name in enumerate(ROLES) if ends[row]}


def macro_f1(matrix: Ints) -> float:
    """Mean of `f1_by_role`: every role counts as much, however few play it."""
    return float(np.mean([*f1_by_role(matrix).values()]))


def as_text(matrix: Ints) -> str:
    """The matrix as lines of text, a row for each role played."""
    width = max(map(len, ROLES))
    head = " " * width + "".join(f" {name[:8]:>8}" for name in ROLES)
    rows = [f"{name:<{width}}" + "".join(f" {count:>8}" for count in row) for name, row in zip(ROLES, matrix, strict=True)]
    return "\n".join([head, *rows])
