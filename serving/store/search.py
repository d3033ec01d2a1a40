"""The best rows that pass all checks, found without looking at everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.store.conditions import Check, Rows
from serving.store.index import unpacked

RARE = 32
"""A condition that one in so many users passes is asked first, and the others of these users alone."""

FEW = 4_096
"""Rows that are quickly put into another order once they are known; also those looked at first."""


@dataclass(frozen=True)
class Ranking:
    """An order of the users.

    values  (rows,) float64  what they are ranked by, NaN where unknown
    order   (known,)         rows by falling value, equal ones rising; None where this is the order of the batch
    """

    values: NDArray[np.float64]
    order: NDArray[Any] | None


def best_rows(checks: Sequence[Check], size: int, need: int) -> Rows:
    """The first ``need`` of the rows 0 to ``size`` that pass all checks, or all of fewer."""
    checks = sorted(checks, key=lambda check: check.count)
    if not checks:
        return np.arange(min(size, need))
    if checks[0].count == 0:
        return np.empty(0, np.int64)
    if checks[0].count * RARE <= size:
        if checks[0].rising:
            return _from(checks[0].rows(), checks[1:], need)
        return np.sort(_from(checks[0].rows(), checks[1:], size))[:need]
    inexact = [check for check in checks if not check.exact]
    end = -(-size // 64)
    # As many words as should hold enough, then four times as many as that at a time.
    words = int((need / (size * _share(checks, size)) * 1.5 * size + FEW) // 64) + 1
    start, found, missing = 0, [], need
    while start < end and missing > 0:
        stop = min(start + words, end)
        bits = checks[0].bits(start, stop)
        for check in checks[1:]:
            bits = bits & check.bits(start, stop)
        rows = unpacked(bits) + start * 64
        for check in inexact:
            rows = rows[check.of(rows)]
        found.append(rows)
        missing -= len(rows)
        start, words = stop, words * 4
    return (found[0] if len(found) == 1 else np.concatenate(found))[:need]


def best_by(ranking: Ranking, checks: Sequence[Check], size: int, need: int) -> Rows:
    """The first ``need`` rows in the order of ``ranking`` that pass all checks and have a value, or all of fewer."""
    order = np.arange(size) if ranking.order is None else ranking.order
    checks = sorted(checks, key=lambda check: check.count)
    if checks and (checks[0].count * RARE <= size or size * _share(checks, size) <= FEW or need >= size):
        rows = best_rows(checks, size, size)
        values = ranking.values[rows]
        falling = np.argsort(-values, kind="stable")[: np.count_nonzero(~np.isnan(values))]
        return rows[falling[:need]]
    return _from(order, checks, need)


def _share(checks: Sequence[Check], size: int) -> float:
    """The part of the users that should pass if the conditions have nothing to do with each other; > 0 if some pass each."""
    return prod(check.count / size for check in checks)


def _from(rows: Rows, checks: Sequence[Check], need: int) -> Rows:
    """The first ``need`` of ``rows`` that pass, looked at a growing part at a time."""
    if not checks:
        return rows[:need]
    start, part, found, missing = 0, FEW, [], need
    while start < len(rows) and missing > 0:
        passing = rows[start : start + part]
        for check in checks:
            passing = passing[check.of(passing)]
        found.append(passing)
        missing -= len(passing)
        start, part = start + part, part * 8
    return (np.concatenate(found) if found else rows)[:need]
