"""What users buy of their own accord, before anyone moves anyone."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.season import DAY, Season
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

_SECOND_BITS = 32


@dataclass(frozen=True)
class Purchases:
    """(k,) own purchases sorted by user, then time. ``fresh``: chosen anew, not one's earlier item again."""

    user: Ints
    item: Ints
    moment: Ints
    fresh: NDArray[np.bool_]


def draw_purchases(truth: Truth, season: Season, rng: np.random.Generator) -> Purchases:
    """A Poisson process per living user in demand time, and a welcome order for part of the newcomers."""
    people, settings, leave = truth.people, truth.settings, truth.leave
    begin = np.maximum(people.registered, 0)
    low = season.demand(begin)
    span = season.demand(leave) - low
    user = np.repeat(np.arange(people.size), rng.poisson(people.rate * span))
    moment = season.moment(low[user] + rng.random(user.size) * span[user])
    welcomed = np.flatnonzero((people.registered >= 0) & (rng.random(people.size) < settings.welcome_share))
    welcome = people.registered[welcomed] + (rng.random(welcomed.size) * DAY).astype(np.int64)
    user, moment = np.concatenate([user, welcomed]), np.concatenate([moment, welcome])
    alive = moment < leave[user]
    key = np.sort((user[alive] << _SECOND_BITS) + np.maximum(moment[alive], begin[user[alive]]))
    user, moment = key >> _SECOND_BITS, key & ((1 << _SECOND_BITS) - 1)

    place = np.arange(user.size)
    position = place - np.searchsorted(user, np.arange(people.size))[user]
    again = (position > 0) & (rng.random(user.size) < settings.repeat_share)
    origin = np.where(again, place - position + (rng.random(user.size) * position).astype(np.int64), place)
    while not np.array_equal(origin[origin], origin):
        origin = origin[origin]
    fresh = ~again
    item = np.empty(user.size, dtype=np.int64)
    item[fresh] = truth.catalogue.choose(user[fresh], moment[fresh], people, rng)
    return Purchases(user, item[origin], moment, fresh)
