"""Who lives in the market: registration, communities, tastes, activity, persuasiveness."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.season import DAY, Season
from features.simulate.settings import MarketSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Tastes = NDArray[np.float32]

ORIGINS = ("organic", "advert", "store", "invite")
_MAX_AGE_DAYS = 730
_COMMUNITY_SIGMA = 0.8
_SHARE_SPREAD = 0.8


@dataclass(frozen=True)
class Population:
    """(n,) facts of each user, times in seconds since the start (negative: before it).

    ``rate``: own purchases per average day; ``taste``: (n, categories) rows that add up to 1; ``share_rate``: chance
    that a fresh purchase is shared.
    """

    registered: Ints
    community: Ints
    taste: Tastes
    rate: Floats
    persuasiveness: Floats
    susceptibility: Floats
    share_rate: Floats

    @property
    def size(self) -> int:
        return self.registered.size

    @property
    def fit(self) -> Tastes:
        """(n, categories) how well a category suits a user, 1 for the favourite one."""
        return np.asarray(self.taste / self.taste.max(axis=1, keepdims=True))


def draw_population(settings: MarketSettings, season: Season, rng: np.random.Generator) -> Population:
    """Users in no particular order: a user's number says nothing about the user."""
    n = settings.users
    established = rng.random(n) < settings.established
    arrival = season.moment(rng.random(n) * season.demand(np.array([settings.end - 1]))[0])
    registered = np.where(established, -(rng.random(n) * _MAX_AGE_DAYS * DAY).astype(np.int64) - 1, arrival)

    n_communities = max(1, round(n / settings.community_size))
    sizes = rng.lognormal(0.0, _COMMUNITY_SIGMA, n_communities).cumsum()
    community = np.searchsorted(sizes / sizes[-1], rng.random(n), side="right").clip(max=n_communities - 1)

    weight = 1.0 / np.arange(1, settings.categories + 1) ** 0.5
    shared = rng.standard_gamma(np.broadcast_to(weight, (n_communities, settings.categories))).astype(np.float32)
    shared /= shared.sum(axis=1, keepdims=True)
    # A float32 gamma of a small shape may underflow to zero in every category; the floor keeps a row divisible.
    taste = rng.standard_gamma(0.4, (n, settings.categories), dtype=np.float32) + np.float32(1e-6)
    taste /= taste.sum(axis=1, keepdims=True)
    taste += shared[community]
    taste /= np.float32(2)

    persuasiveness = _mean_one(rng, settings.persuasion_sigma, n)
    sharing = _mean_one(rng, _SHARE_SPREAD, n) * np.sqrt(persuasiveness)
    sharing *= (rng.random(n) < settings.sharers) * settings.shares_per_order / sharing.mean()
    return Population(
        registered=registered,
        community=community,
        taste=taste,
        rate=rng.gamma(settings.activity_shape, settings.orders_per_year / 365 / settings.activity_shape, n),
        persuasiveness=persuasiveness,
        susceptibility=_mean_one(rng, settings.susceptibility_sigma, n),
        share_rate=np.minimum(sharing, 0.9),
    )


def _mean_one(rng: np.random.Generator, sigma: float, n: int) -> Floats:
    return rng.lognormal(-(sigma**2) / 2, sigma, n)
