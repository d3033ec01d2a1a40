"""Who may influence whom: homophilous ties of heavy-tailed degree, each with its true influence."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.population import Population
from features.simulate.settings import MarketSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

ALWAYS = np.iinfo(np.int64).min
_ACTIVE_ARE_POPULAR = 0.5
_MUTUAL_STRENGTH = 1.5
_OUTSIDE_STRENGTH = 0.6
_MAX_INTENSITY = 0.7
_CHUNK = 1_000_000


@dataclass(frozen=True)
class Network:
    """(e,) arcs sorted by influencer, then follower.

    ``since``: seconds, ``ALWAYS`` where no date is kept; ``live_from``: from when the tie really carries influence.
    ``intensity``: expected follow-ups per fresh purchase of the influencer, if the category fits the follower perfectly.
    ``fit``: mean fit of the influencer's tastes to the follower, in (0, 1].
    ``start``: (n + 1,) where each influencer's arcs begin.
    """

    influencer: Ints
    follower: Ints
    mutual: NDArray[np.bool_]
    since: Ints
    live_from: Ints
    intensity: Floats
    fit: Floats
    start: Ints

    @property
    def reach(self) -> Floats:
        """(n,) sum of the intensities of each influencer's arcs."""
        return np.bincount(self.influencer, weights=self.intensity, minlength=self.start.size - 1).astype(np.float64)

    @property
    def probability(self) -> Floats:
        """(e,) chance that a fresh purchase of the influencer makes the follower buy the item too."""
        return np.asarray(1 - np.exp(-self.intensity * self.fit))

    def draw_arcs(self, influencers: Ints, rng: np.random.Generator) -> Ints:
        """(k,) one arc of each given influencer, in proportion to intensity; every influencer must have reach."""
        total = np.concatenate([[0.0], np.cumsum(self.intensity)])
        low, high = self.start[influencers], self.start[influencers + 1]
        target = total[low] + rng.random(influencers.size) * (total[high] - total[low])
        return np.asarray((np.searchsorted(total, target, side="right") - 1).clip(low, high - 1))


def draw_network(people: Population, settings: MarketSettings, rng: np.random.Generator) -> Network:
    """Ties first (communities, taste, popularity), then their dates, then what they carry."""
    n = people.size
    follower, influencer = _draw_pairs(people, settings, rng)
    mirrored = rng.random(follower.size) < settings.reciprocity
    arcs = np.sort(np.concatenate([influencer * n + follower, follower[mirrored] * n + influencer[mirrored]]))
    # np.unique goes through a hash table here and takes several times as long.
    arcs = arcs[np.diff(arcs, prepend=-1) > 0]
    influencer, follower = arcs // n, arcs % n
    mutual = np.isin(follower * n + influencer, arcs, assume_unique=True)

    met = np.maximum(people.registered[influencer], people.registered[follower])
    live_from = met + ((settings.end - met) * rng.random(arcs.size) ** 3).astype(np.int64)
    # One pair has one date, whichever way the arc points.
    low, high = np.minimum(influencer, follower), np.maximum(influencer, follower)
    pair, same = np.unique(low * n + high, return_inverse=True)
    earliest = np.full(pair.size, np.iinfo(np.int64).max)
    np.minimum.at(earliest, same, live_from)
    undated = (met < 0) & (rng.random(pair.size) < settings.undated_ties)[same]
    live_from = np.where(undated, met, earliest[same])

    followers = np.bincount(influencer, minlength=n)
    following = np.bincount(follower, minlength=n)
    intensity = rng.gamma(2.0, 0.5, arcs.size) * people.persuasiveness[influencer] * people.susceptibility[follower]
    intensity *= np.where(mutual, _MUTUAL_STRENGTH, 1.0)
    intensity *= np.where(people.community[influencer] == people.community[follower], 1.0, _OUTSIDE_STRENGTH)
    intensity /= followers[influencer] ** settings.hub_discount * following[follower] ** settings.attention_discount
    fit = _mean_fit(people, influencer, follower)
    # What one average purchase moves is set directly, so that markets of any size move alike.
    moved = float(people.rate[influencer] @ (intensity * fit)) / float(people.rate.sum())
    intensity = np.minimum(intensity * settings.follow_ups_per_order / moved, _MAX_INTENSITY)
    return Network(
        influencer=influencer,
        follower=follower,
        mutual=mutual,
        since=np.where(undated, ALWAYS, live_from),
        live_from=live_from,
        intensity=intensity,
        fit=fit,
        start=np.searchsorted(influencer, np.arange(n + 1)),
    )


def _draw_pairs(people: Population, settings: MarketSettings, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(k,) followers and whom they follow: of two candidates, met by popularity, the one of the more similar taste."""
    n = people.size
    popularity = (people.rate / people.rate.mean()) ** _ACTIVE_ARE_POPULAR
    popularity *= rng.lognormal(0.0, settings.popularity_sigma, n)
    order = np.argsort(people.community, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(popularity[order])])
    bounds = np.searchsorted(people.community[order], np.arange(people.community.max() + 2))
    sigma = settings.follows_sigma
    count = rng.poisson(settings.follows_per_user * rng.lognormal(-(sigma**2) / 2, sigma, n))
    follower = np.repeat(np.arange(n), count)
    inside = rng.random(follower.size) < settings.within_community
    low = np.where(inside, total[bounds[people.community[follower]]], 0.0)
    high = np.where(inside, total[bounds[people.community[follower] + 1]], total[-1])

    def meet() -> Ints:
        place = np.searchsorted(total, low + rng.random(follower.size) * (high - low), side="right") - 1
        return np.asarray(order[place.clip(0, n - 1)])

    one, other = meet(), meet()
    closer = _similarity(people, follower, other) > _similarity(people, follower, one)
    influencer = np.where(closer, other, one)
    real = influencer != follower
    return follower[real], influencer[real]


def _similarity(people: Population, left: Ints, right: Ints) -> Floats:
    """(k,) dot products of tastes."""
    return _rowwise(people.taste, left, people.taste, right)


def _mean_fit(people: Population, influencer: Ints, follower: Ints) -> Floats:
    return _rowwise(people.taste, influencer, people.fit, follower)


def _rowwise(a: NDArray[np.float32], left: Ints, b: NDArray[np.float32], right: Ints) -> Floats:
    result = np.empty(left.size)
    for low in range(0, left.size, _CHUNK):
        part = slice(low, low + _CHUNK)
        result[part] = np.einsum("ij,ij->i", a[left[part]], b[right[part]])
    return result
