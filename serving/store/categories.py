"""Users ranked for one category: what a score expects, times the share of their influence that falls into it."""

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.errors import FilterError
from serving.criteria import PRIOR
from serving.store.arrays import Arrays
from serving.store.conditions import Among
from serving.store.filters import listed
from serving.store.index import packed
from serving.store.search import Ranking

Floats = NDArray[np.float64]

AFFINITY = 30.0
"""People moved that a user's own record is weighed against, at what the user and the people around buy: records by category
are thin, and taste tells more (docs/value.md)."""

BOUGHT = 3.0
"""Subjects bought that own purchases, and those of the people around, are weighed against."""

EVIDENCE = 3.0
"""People moved in a category from which on a record in it is taken for one."""


class Categories:
    """Influence by category of a batch of ``size`` users; arrays as in `serving.store.index.index_categories`."""

    def __init__(self, arrays: Arrays, size: int) -> None:
        self._arrays, self._size = arrays, size
        self.names = arrays.strings("category:names")

    def ranking(self, values: Floats, category: str) -> Ranking:
        """The order by ``values`` (rows,) times the share of the category, which are the values of the ranking.

        The share is a user's own record, backed by ``AFFINITY`` people at the user's affinity, so that one lucky follow-up
        does not beat a long record, and people without a record are ranked too. Affinity is the mean of the category's
        shares in what the user and what the people around bought, each backed by ``BOUGHT`` subjects at the category's share
        in all influence. Where nothing is known of purchases, ``PRIOR`` people at that share back the record.

        Raises:
            FilterError: nobody moved anybody in that category.
        """
        part = self._part(category)
        rows, moved, totals = (self._arrays[f"category:{what}"] for what in ("rows", "moved", "totals"))
        market = totals[self.names.index(category)] / totals.sum()
        bought, around = self._shares("bought", part, market), self._shares("around", part, market)
        behind = AFFINITY if any(known.any() for known in self._taste.values()) else PRIOR
        moved_inside = np.bincount(rows[part], moved[part], self._size)
        share = (moved_inside + behind * (bought + around) / 2) / (np.bincount(rows, moved, self._size) + behind)
        score = values * share
        falling = np.argsort(-score, kind="stable")[: np.count_nonzero(~np.isnan(score))]
        return Ranking(score, falling.astype(np.int32))

    def with_record(self, categories: Sequence[str]) -> Among:
        """The users who moved somebody in one of ``categories``.

        Raises:
            FilterError: nobody moved anybody in one of them.
        """
        passing = np.zeros(self._size, dtype=bool)
        for category in categories:
            passing |= self.moved(category) > 0
        return Among(packed(passing), self._size)

    def moved(self, category: str) -> Floats:
        """(rows,) people whom each user moved in the category.

        Raises:
            FilterError: nobody moved anybody in it.
        """
        part = self._part(category)
        rows, moved = self._arrays["category:rows"], self._arrays["category:moved"]
        found: Floats = np.bincount(rows[part], moved[part], self._size).astype(np.float64)
        return found

    def unknown(self, category: str, known: Sequence[str]) -> FilterError:
        """The error for a category without a record; ``known``: those that it may tell of."""
        if not self.names:
            return FilterError("the current scores know no category: their dataset maps no items.category")
        return FilterError(f"nobody moved anybody in category {category!r}; choose from {listed(category, known)}")

    @cached_property
    def _taste(self) -> Mapping[str, NDArray[np.float32]]:
        """What users, and the people around them, bought by category; zeros in batches that were written without."""
        names = {what: f"category:{what}" for what in ("bought", "around")}
        none = np.zeros(len(self._arrays["category:rows"]), np.float32)
        return {what: self._arrays.get(name, none) for what, name in names.items()}

    def _shares(self, what: str, part: slice, market: float) -> Floats:
        """(rows,) share of a category in ``what`` of each user, backed by ``BOUGHT`` at the market's share."""
        rows, known = self._arrays["category:rows"], self._taste[what]
        inside, whole = np.bincount(rows[part], known[part], self._size), np.bincount(rows, known, self._size)
        share: Floats = (inside + BOUGHT * market) / (whole + BOUGHT)
        return share

    def _part(self, category: str) -> slice:
        """Where the rows of a category lie."""
        if category not in self.names:
            raise self.unknown(category, self.names)
        starts = self._arrays["category:starts"]
        place = self.names.index(category)
        return slice(int(starts[place]), int(starts[place + 1]))
