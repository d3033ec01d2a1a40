"""Who comes to own what, so that an order counts as caused only if its buyer would not have the item otherwise."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import Orders

Ints = NDArray[np.int64]

_MUCH_SMALLER = 10


class Ownership:
    """(user, item) pairs that somebody owns by the end; grows as orders are added."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items
        self._keys: list[Ints] = []

    def add(self, orders: Orders) -> None:
        """The buyers of these orders own what they bought."""
        if not orders.user.size:
            return
        keys = np.sort(orders.user * self._n_items + orders.item)
        # Hundreds of small additions stay one list beside the large one, which is not sorted again for each.
        if len(self._keys) > 1 and self._keys[-1].size < self._keys[0].size // _MUCH_SMALLER:
            keys = np.sort(np.concatenate([self._keys.pop(), keys]))
        self._keys.append(keys)

    def lacks(self, user: Ints, item: Ints) -> NDArray[np.bool_]:
        """(k,) whether each user does not own the item."""
        key = user * self._n_items + item
        lacking = np.ones(key.size, dtype=bool)
        for keys in self._keys:
            place = np.searchsorted(keys, key).clip(max=keys.size - 1)
            lacking &= keys[place] != key
        return lacking

    def first_of_each(self, candidates: Orders) -> Ints:
        """Positions of the earliest candidate of each (user, item) that nobody owns yet, by user and item."""
        by_time = np.argsort(candidates.moment, kind="stable")
        _, first = np.unique((candidates.user * self._n_items + candidates.item)[by_time], return_index=True)
        position = by_time[first]
        return np.asarray(position[self.lacks(candidates.user[position], candidates.item[position])])
