"""The best rows that pass all checks, found without looking at everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.store.conditions import Check, Rows
from serving.store.index import unpacked

WORDY = 32
"""Users looked at through bitmaps in the time of one looked at alone."""

FEW = 4_096
"""Rows looked at first, since with fewer the calls take longer than the rows; if no more should pass, another order than
the batch's is made of these, and otherwise followed from its start."""


@dataclass(frozen=True)
class Ranking:
    """An order of the users.

    values  (rows,) float64  what they are ranked by, NaN where unknown
    order   (known,)         rows by falling value, equal ones rising; None: everybody in the order of the batch
    """

    values: NDArray[np.float64]
    order: NDArray[Any] | None


def best_by(ranking: Ranking, checks: Sequence[Check], size: int, need: int) -> Rows:
    """The first ``need`` rows in the order of ``ranking`` that pass all checks and have a value, or all of fewer."""
    checks = sorted(checks, key=_count)
    if need <= 0 or (checks and checks[0].count == 0):
        return np.empty(0, np.int64)
    if ranking.order is None:
        return _in_order(checks, size, need)
    share = _share(checks, size)
    if share * size > FEW and need < size:
        return _first(ranking.order, checks, need, int(need / share * 1.5) + FEW)
    rows = _in_order(checks, size, size)
    values = ranking.values[rows]
    rows, falling = rows[values == values], -values[values == values]  # noqa: PLR0124 - not those that are unknown
    if need < len(rows):
        # Equal ones at the end are all kept, so that the order of the batch decides between them.
        near = falling <= np.partition(falling, need - 1)[need - 1]
        rows, falling = rows[near], falling[near]
    best: Rows = rows[np.argsort(falling, kind="stable")[:need]]
    return best


def _in_order(checks: Sequence[Check], size: int, need: int) -> Rows:
    """The first ``need`` of the rows 0 to ``size`` that pass all checks, the rarest first; or all of fewer."""
    if not checks:
        return np.arange(min(size, need))
    # As many rows as should hold enough, if the conditions have nothing to do with each other.
    part = min(int(need / _share(checks, size) * 1.5) + FEW, size)
    first, others = checks[0], checks[1:]
    if first.rising and (not others or first.count * WORDY <= part):
        return _first(first.rows(), others, need)
    if first.count * (WORDY if all(check.wordy for check in checks) else 1) <= part:
        return np.sort(_first(first.rows(), others, size))[:need]
    inexact = [check for check in checks if not check.exact]
    start, words, end, found, missing = 0, part // 64 + 1, -(-size // 64), [], need
    while start < end and missing > 0:
        stop = min(start + words, end)
        bits = first.bits(start, stop)
        for check in others:
            bits = bits & check.bits(start, stop)
        rows = unpacked(bits) + start * 64
        for check in inexact:
            rows = rows[check.of(rows)]
        found.append(rows)
        missing -= len(rows)
        start, words = stop, words * 4
    return (found[0] if len(found) == 1 else np.concatenate(found))[:need]


def _count(check: Check) -> int:
    return check.count


def _share(checks: Sequence[Check], size: int) -> float:
    """The part of the users that should pass if the conditions have nothing to do with each other; > 0 if some pass each."""
    return max(prod(check.count / size for check in checks), 1e-12)


def _first(rows: Rows, checks: Sequence[Check], need: int, part: int = FEW) -> Rows:
    """The first ``need`` of ``rows`` that pass, looked at a growing part at a time."""
    if not checks:
        return rows[:need]
    start, found, missing = 0, [], need
    while start < len(rows) and missing > 0:
        passing = rows[start : start + part]
        for check in checks:
            passing = passing[check.of(passing)]
        found.append(passing)
        missing -= len(passing)
        start, part = start + part, part * 4
    return (np.concatenate(found) if found else rows)[:need]
