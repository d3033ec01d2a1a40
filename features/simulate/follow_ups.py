"""Implicit follow-ups in plain arrays: the measure that real and simulated markets are compared on."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_CHUNK = 4_000_000


@dataclass(frozen=True)
class FollowUps:
    """(m,) credits of follow-ups: who moved, when the moved one bought, and the weight; those of one follow-up add up to 1.

    ``rate``: share of all first purchases that are follow-ups.
    """

    rate: float
    influencer: Ints
    moment: Ints
    weight: Floats

    def within(self, low: int, high: int, n_users: int) -> Floats:
        """(n_users,) influence in [low, high) microseconds."""
        inside = (self.moment >= low) & (self.moment < high)
        held = np.bincount(self.influencer[inside], weights=self.weight[inside], minlength=n_users)
        return held.astype(np.float64)


def follow_ups(
    users: Ints, items: Ints, times: Ints, follower: Ints, influencer: Ints, *, window: int, gap: int
) -> FollowUps:
    """First purchases of an item later than ``gap`` and not later than ``window`` after a tie's own first purchase of it.

    ``users``, ``items``, ``times``: (n,) orders, users and items numbered from 0; ``follower``, ``influencer``: (e,) unique
    arcs; ``times``, ``window`` and ``gap`` in one unit.
    """
    n_items = int(items.max()) + 1
    by_time = np.argsort(times, kind="stable")
    key, first = np.unique((users * n_items + items)[by_time], return_index=True)
    first_time = times[by_time][first]
    owner, item = key // n_items, key % n_items
    by_influencer = np.argsort(influencer, kind="stable")
    reached, reaching = follower[by_influencer], influencer[by_influencer]
    start = np.searchsorted(reaching, owner, side="left")
    size = np.searchsorted(reaching, owner, side="right") - start
    before = np.concatenate([[0], np.cumsum(size)])
    edges = [*np.searchsorted(before, np.arange(0, before[-1], _CHUNK)), owner.size]
    causes, effects = [], []
    for low, high in pairwise(edges):
        cause = np.repeat(np.arange(low, high), size[low:high])
        arc = start[cause] + np.arange(cause.size) - (before[cause] - before[low])
        wanted = reached[arc] * n_items + item[cause]
        place = np.searchsorted(key, wanted).clip(max=key.size - 1)
        delay = first_time[place] - first_time[cause]
        moved = (key[place] == wanted) & (delay > gap) & (delay <= window)
        causes.append(cause[moved])
        effects.append(place[moved])
    cause = np.concatenate([np.zeros(0, dtype=np.int64), *causes])
    effect = np.concatenate([np.zeros(0, dtype=np.int64), *effects])
    claimants = np.bincount(effect, minlength=key.size)
    return FollowUps(float((claimants > 0).mean()), owner[cause], first_time[effect], 1 / claimants[effect])
