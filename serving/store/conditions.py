"""One condition on users, as arrays that answer quickly: how many pass, who, and whether given ones do."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import FilterError
from serving.store.columns import Label, Number
from serving.store.filters import Condition, listed
from serving.store.index import Bits, packed, unpacked

Rows = NDArray[Any]
"""(n,) of integers: rows of the batch."""
Passing = NDArray[np.bool_]


class Check(ABC):
    """Who passes one condition.

    count   rows that pass, or about so many
    exact   whether the bits of ``bits`` are all who pass, and not some more
    rising  whether ``rows`` come in the order of the batch
    wordy   whether ``bits`` are kept, and not worked out of each row
    """

    count: int
    exact: bool = True
    rising: bool = True
    wordy: bool = True

    @abstractmethod
    def bits(self, start: int, stop: int) -> Bits:
        """Words ``start`` to ``stop`` of a bitmap in which everybody who passes is set."""

    @abstractmethod
    def of(self, rows: Rows) -> Passing:
        """(n,) whether each of ``rows`` passes."""

    @abstractmethod
    def rows(self) -> Rows:
        """All rows that pass."""

    @abstractmethod
    def everybody(self) -> Passing:
        """(rows of the batch,) whether each passes."""


class AnyOf(Check):
    """Users with one of some labels; codes: of the labels, each once."""

    def __init__(self, column: Label, codes: Sequence[int]) -> None:
        self._column, self._codes = column, codes
        self.count = sum(column.starts[code + 1] - column.starts[code] for code in codes)
        self._common = [column.common[code] for code in codes]
        self.rising, self.wordy = len(codes) == 1, min(self._common, default=-1) >= 0

    def bits(self, start: int, stop: int) -> Bits:
        column = self._column
        if not self.wordy:
            return packed(self._hit(column.codes[start * 64 : stop * 64]))
        found: Bits = column.bitmaps[self._common[0], start:stop]
        for which in self._common[1:]:
            found = found | column.bitmaps[which, start:stop]
        return found

    def of(self, rows: Rows) -> Passing:
        return self._hit(self._column.codes[rows])

    def rows(self) -> Rows:
        column = self._column
        lists = [column.rows[column.starts[code] : column.starts[code + 1]] for code in self._codes]
        return lists[0] if len(lists) == 1 else np.concatenate(lists)

    def everybody(self) -> Passing:
        return self._hit(self._column.codes)

    def _hit(self, codes: NDArray[Any]) -> Passing:
        if len(self._codes) == 1:
            one: Passing = codes == self._codes[0]
            return one
        wanted = np.zeros(len(self._column.starts), dtype=bool)
        wanted[list(self._codes)] = True
        hit: Passing = wanted[codes]
        return hit


class Between(Check):
    """Users whose number lies within two ends, these included; an unknown number passes nothing."""

    exact = False
    rising = False

    def __init__(self, column: Number, lowest: float, highest: float) -> None:
        self._column, self._lowest, self._highest = column, lowest, highest
        self._above, self._below = column.bin_of(lowest), column.bin_of(highest) + 1
        # Within a bin at each end as in the middle of it.
        bins = max(self._below - max(self._above, 0), 0)
        self.count = min(column.known, column.known * bins // max(len(column.edges), 1))
        if bins <= 2:
            self.count = max(column.place_after(highest) - column.place_of(lowest), 0)

    def bits(self, start: int, stop: int) -> Bits:
        bitmaps = self._column.bitmaps
        # The lowest edge is the lowest value: at or above it are all whose value is known.
        found: Bits = bitmaps[max(self._above, 0), start:stop]
        return found & ~bitmaps[self._below, start:stop] if self._below < len(bitmaps) else found

    def of(self, rows: Rows) -> Passing:
        return self._hit(self._column.values[rows])

    def rows(self) -> Rows:
        column = self._column
        return column.rising[column.place_of(self._lowest) : column.place_after(self._highest)]

    def everybody(self) -> Passing:
        return self._hit(self._column.values)

    def _hit(self, values: NDArray[np.float64]) -> Passing:
        if self._lowest == -np.inf:
            return values <= self._highest
        found: Passing = values >= self._lowest
        return found if self._highest == np.inf else found & (values <= self._highest)


class Among(Check):
    """Users of a set that is worked out once; bits: of those who belong to it."""

    def __init__(self, bits: Bits, size: int) -> None:
        self._bits, self._size = bits, size
        self.count = int(np.bitwise_count(bits).sum())

    def bits(self, start: int, stop: int) -> Bits:
        return self._bits[start:stop]

    def of(self, rows: Rows) -> Passing:
        found: Passing = (self._bits.view(np.uint8)[rows >> 3] >> (rows & 7).astype(np.uint8) & 1).astype(bool)
        return found

    def rows(self) -> Rows:
        return unpacked(self._bits)

    def everybody(self) -> Passing:
        return np.unpackbits(self._bits.view(np.uint8), count=self._size, bitorder="little").astype(bool)


def check_label(column: Label, condition: Condition, offered: Sequence[str] | None = None) -> Check:
    """What a condition means for a column of labels; ``offered``: the values that may be asked for, by default all.

    Raises:
        FilterError: it is a range, or names a value that nobody has.
    """
    name, told = column.name, column.labels if offered is None else offered
    if isinstance(condition, Mapping):
        some_of = listed("", told)
        raise FilterError(f"{name} holds no numbers, so {dict(condition)} says nothing; choose from {some_of}")
    codes = []
    for value in condition if isinstance(condition, Sequence) and not isinstance(condition, str) else (condition,):
        label = _label(value)
        if label not in column.code_of or (offered is not None and label is not None and label not in offered):
            raise FilterError(f"no user has {name} {label!r}; choose from {listed(str(label), told)}")
        codes.append(column.code_of[label])
    return AnyOf(column, sorted(set(codes)))


def check_number(column: Number, condition: Condition) -> Check:
    """What a condition means for a column of numbers: a range, a number or some.

    Raises:
        FilterError: it is none of these.
    """
    match condition:
        case Mapping() if condition and set(condition) <= {"min", "max"}:
            ends = condition.get("min", -np.inf), condition.get("max", np.inf)
            if all(map(_is_number, ends)):
                return Between(column, *ends)
        case Sequence() if not isinstance(condition, str) and all(value is None or _is_number(value) for value in condition):
            unknown = np.isnan(column.values) & (None in condition)
            return Among(packed(np.isin(column.values, [value for value in condition if value is not None]) | unknown),
                         len(column.values))  # fmt: skip
        case None:
            return check_number(column, [None])
        case _ if _is_number(condition):
            return Between(column, condition, condition)  # type: ignore[arg-type]
    raise FilterError(
        f"{column.name} holds numbers, which {condition!r} does not ask for; give "
        '{"min": NUMBER, "max": NUMBER}, or one of the two'
    )


def _label(value: object) -> str | None:
    """A value as it stands in the tables, where all labels are texts."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else value if value is None else str(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
