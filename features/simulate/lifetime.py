"""How long users stay: gamma-mixed lifetimes whose hazard grows when the people whom a user follows leave."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.network import Network
from features.simulate.population import Population
from features.simulate.season import DAY
from features.simulate.settings import MarketSettings

NEVER = np.iinfo(np.int64).max
_WEEK = 7 * DAY


def draw_lifetimes(
    people: Population, network: Network, settings: MarketSettings, rng: np.random.Generator
) -> NDArray[np.int64]:
    """(n,) second at which each user leaves for good, after registration; ``NEVER`` if not within the observed time."""
    n = people.size
    # Established users have survived until the start: given that, their hazard is gamma with a longer scale.
    survived_days = np.maximum(-people.registered, 0) / DAY
    hazard = rng.gamma(settings.churn_shape, 1.0, n) / (settings.churn_scale_days + survived_days)
    following = np.maximum(np.bincount(network.follower, minlength=n), 1)
    gone = np.zeros(n)
    churned = np.full(n, NEVER, dtype=np.int64)
    for week in range(0, settings.end, _WEEK):
        begin = np.maximum(people.registered, week)
        exposed_days = np.maximum(min(week + _WEEK, settings.end) - begin, 0) / DAY
        risk = hazard * exposed_days * (1 + settings.churn_contagion * gone / following)
        leaving = np.flatnonzero((churned == NEVER) & (rng.random(n) < 1 - np.exp(-risk)))
        length = (exposed_days[leaving] * DAY).astype(np.int64)
        churned[leaving] = begin[leaving] + 1 + (rng.random(leaving.size) * np.maximum(length - 1, 0)).astype(np.int64)
        left_now = np.zeros(n, dtype=bool)
        left_now[leaving] = True
        gone += np.bincount(network.follower[left_now[network.influencer]], minlength=n)
    return churned
