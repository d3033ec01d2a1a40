"""People of one community, who see what one of them posts in its group without being followers."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.truth import Truth

Ints = NDArray[np.int64]


def draw_mates(posters: Ints, mean: float, truth: Truth, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(k,) position of the poster and somebody of the same community, by activity: ``mean`` for each on average.

    The poster may be drawn as well, and people who are not there at the moment.
    """
    people = truth.people
    by_community = np.argsort(people.community, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(people.rate[by_community])])
    start = np.searchsorted(people.community[by_community], np.arange(people.community.max() + 2))
    of = np.repeat(np.arange(posters.size), rng.poisson(mean, posters.size))
    community = people.community[posters[of]]
    low, high = total[start[community]], total[start[community + 1]]
    place = np.searchsorted(total, low + rng.random(of.size) * (high - low), side="right") - 1
    return of, np.asarray(by_community[place.clip(0, people.size - 1)])
