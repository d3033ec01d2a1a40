"""The columns of a batch that filters can name, over the arrays of its index."""

from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.store.arrays import Arrays
from serving.store.filters import ColumnInfo
from serving.store.index import Bits


class Label:
    """A column of few values; arrays as in `serving.store.index`, those of all users read when they are first asked for."""

    def __init__(self, name: str, arrays: Arrays) -> None:
        self.name, self._arrays = name, arrays
        self.labels = arrays.strings(f"labels:{name}")
        self.info = ColumnInfo(name, "label", tuple(self.labels))
        self.starts: list[int] = arrays[f"starts:{name}"].tolist()
        self.common: list[int] = arrays[f"common:{name}"].tolist()
        self.code_of: dict[str | None, int] = {label: code for code, label in enumerate(self.labels)}
        self.code_of[None] = len(self.labels)

    @cached_property
    def codes(self) -> NDArray[Any]:
        return self._arrays[f"codes:{self.name}"]

    @cached_property
    def rows(self) -> NDArray[np.int32]:
        return self._arrays[f"rows:{self.name}"]

    @cached_property
    def bitmaps(self) -> Bits:
        return self._arrays[f"bitmaps:{self.name}"]


class Number:
    """A column of numbers; arrays as in `serving.store.index`, read when they are first asked for."""

    def __init__(self, name: str, arrays: Arrays) -> None:
        self.name, self._arrays = name, arrays
        self.known = arrays.length(f"rising:{name}")

    @cached_property
    def values(self) -> NDArray[np.float64]:
        return self._arrays[f"values:{self.name}"]

    @cached_property
    def rising(self) -> NDArray[np.int32]:
        return self._arrays[f"rising:{self.name}"]

    @cached_property
    def edges(self) -> list[float]:
        found: list[float] = self._arrays[f"edges:{self.name}"].tolist()
        return found

    @cached_property
    def bitmaps(self) -> Bits:
        return self._arrays[f"bitmaps:{self.name}"]

    @cached_property
    def info(self) -> ColumnInfo:
        ends = [float(self.values[self.rising[end]]) for end in (0, -1)] if self.known else [None, None]
        return ColumnInfo(self.name, "number", (), *ends)

    def bin_of(self, value: float) -> int:
        """The last edge at or below ``value``; -1 where all lie above."""
        return bisect_right(self.edges, value) - 1

    def place_of(self, value: float) -> int:
        """How many users have less."""
        return bisect_left(self.rising, value, key=self.values.__getitem__)

    def place_after(self, value: float) -> int:
        """How many users have as much or less."""
        return bisect_right(self.rising, value, key=self.values.__getitem__)
