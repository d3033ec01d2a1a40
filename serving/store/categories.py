"""Users ranked for one category: what a score expects, times the share of their influence that falls into it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from features.errors import ScoresError
from serving.criteria import PRIOR
from serving.store.arrays import Arrays
from serving.store.conditions import Among
from serving.store.filters import listed
from serving.store.index import packed
from serving.store.search import Ranking

Floats = NDArray[np.float64]


class Categories:
    """Influence by category of a batch of ``size`` users; arrays as in `serving.store.index.index_categories`."""

    def __init__(self, arrays: Arrays, size: int) -> None:
        self._arrays, self._size = arrays, size
        self.names = arrays.strings("category:names")

    def ranking(self, values: Floats, category: str) -> Ranking:
        """The order by ``values`` (rows,) times the share of the category, which are the values of the ranking.

        The share is a user's own record, backed by ``PRIOR`` people at the market's share, so that one lucky follow-up does
        not beat a long record, and people without a record are ranked too.

        Raises:
            ScoresError: nobody moved anybody in that category.
        """
        part = self._part(category)
        rows, moved, totals = (self._arrays[f"category:{what}"] for what in ("rows", "moved", "totals"))
        market = totals[self.names.index(category)] / totals.sum()
        moved_inside = np.bincount(rows[part], moved[part], self._size)
        share = (moved_inside + PRIOR * market) / (np.bincount(rows, moved, self._size) + PRIOR)
        score = values * share
        falling = np.argsort(-score, kind="stable")[: np.count_nonzero(~np.isnan(score))]
        return Ranking(score, falling.astype(np.int32))

    def with_record(self, categories: Sequence[str]) -> Among:
        """The users who moved somebody in one of ``categories``.

        Raises:
            ScoresError: nobody moved anybody in one of them.
        """
        passing, rows = np.zeros(self._size, dtype=bool), self._arrays["category:rows"]
        for category in categories:
            passing[rows[self._part(category)]] = True
        return Among(packed(passing), self._size)

    def _part(self, category: str) -> slice:
        """Where the rows of a category lie."""
        if category not in self.names:
            raise ScoresError(f"nobody moved anybody in category {category!r}; choose from {listed(category, self.names)}"
                              if self.names else
                              "the current scores know no category: their dataset maps no items.category")  # fmt: skip
        starts = self._arrays["category:starts"]
        place = self.names.index(category)
        return slice(int(starts[place]), int(starts[place + 1]))
