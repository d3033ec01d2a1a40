"""The columns of a batch that filters can name, over the arrays of its index."""

from bisect import bisect_left, bisect_right

from serving.store.arrays import Arrays
from serving.store.filters import ColumnInfo


class Label:
    """A column of few values; arrays as in `serving.store.index`."""

    def __init__(self, name: str, arrays: Arrays) -> None:
        self.labels = arrays.strings(f"labels:{name}")
        self.info = ColumnInfo(name, "label", tuple(self.labels))
        self.codes, self.rows = arrays[f"codes:{name}"], arrays[f"rows:{name}"]
        self.starts: list[int] = arrays[f"starts:{name}"].tolist()
        self.common: list[int] = arrays[f"common:{name}"].tolist()
        self.bitmaps = arrays[f"bitmaps:{name}"]
        self.code_of: dict[str | None, int] = {label: code for code, label in enumerate(self.labels)}
        self.code_of[None] = len(self.labels)


class Number:
    """A column of numbers; arrays as in `serving.store.index`."""

    def __init__(self, name: str, arrays: Arrays) -> None:
        self.values, self.rising = arrays[f"values:{name}"], arrays[f"rising:{name}"]
        self.edges: list[float] = arrays[f"edges:{name}"].tolist()
        self.bitmaps = arrays[f"bitmaps:{name}"]
        self.known = len(self.rising)
        ends = [float(self.values[self.rising[end]]) for end in (0, -1)] if self.known else [None, None]
        self.info = ColumnInfo(name, "number", (), *ends)

    def bin_of(self, value: float) -> int:
        """The last edge at or below ``value``; -1 where all lie above."""
        return bisect_right(self.edges, value) - 1

    def place_of(self, value: float) -> int:
        """How many users have less."""
        return bisect_left(self.rising, value, key=self.values.__getitem__)

    def place_after(self, value: float) -> int:
        """How many users have as much or less."""
        return bisect_right(self.rising, value, key=self.values.__getitem__)
