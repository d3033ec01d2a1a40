"""Who may not stand on a list together: people of one clique; and whom each one reaches."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from serving.lists.selection import Rows

Pairs = Callable[[Rows], tuple[Rows, npt.NDArray[np.int64]]]
"""Of rows: the ties that end at them, as (row, code of the person who may follow); a person who is a row has its number."""


class Cliques:
    """At most ``most`` of one clique: no ``most`` + 1 of those admitted are all tied with one another, in either direction.

    ``pairs``: see `Pairs`; asked once for each row that is looked at.
    """

    def __init__(self, most: int, pairs: Pairs) -> None:
        self.most = most
        self.pairs = pairs
        self._tied: dict[int, set[int]] = {}
        self._members: set[int] = set()

    def look_at(self, rows: Rows) -> None:
        for row, other in zip(*(side.tolist() for side in self.pairs(rows)), strict=True):
            self._tied.setdefault(row, set()).add(other)
            self._tied.setdefault(other, set()).add(row)

    def admits(self, row: int) -> bool:
        around = self._tied.get(row, set()) & self._members
        return not self._holds_clique(around, self.most)

    def add(self, row: int) -> None:
        self._members.add(row)

    def _holds_clique(self, people: set[int], count: int) -> bool:
        """Whether ``count`` of ``people`` are all tied with one another."""
        if count <= 1:
            return len(people) >= count
        return any(self._holds_clique(people & self._tied[one], count - 1) for one in people)


class Followers:
    """The audience of each row: those who may follow."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs

    def of(self, rows: Rows) -> Sequence[npt.NDArray[np.int64]]:
        to, people = self.pairs(rows)
        order = np.argsort(to, kind="stable")
        to, people = to[order], people[order]
        first, last = np.searchsorted(to, rows, "left"), np.searchsorted(to, rows, "right")
        return [people[start:end] for start, end in zip(first.tolist(), last.tolist(), strict=True)]
