"""What can be bought: items of Zipf popularity within categories, coming out over time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.population import Population
from features.simulate.season import DAY
from features.simulate.settings import MarketSettings

Ints = NDArray[np.int64]

CATEGORY_NAMES = (
    "skincare", "makeup", "fragrance", "haircare", "baby", "toys", "snacks", "drinks", "fresh", "kitchen",
    "home", "textiles", "women", "men", "shoes", "bags", "sport", "digital", "health", "pets",
)  # fmt: skip
_NEW_SHARE = 0.5
_NOVELTY_DAYS = 45
_NOVELTY_FLOOR = 0.4
_DRAWS = 12
_CHUNK = 1_000_000


@dataclass(frozen=True)
class Catalogue:
    """(m,) facts of each item; item ``i`` has category ``i // per_category`` and popularity rank ``i % per_category``.

    ``launched``: seconds since the start, negative before it; ``price`` and ``margin``: fen;
    ``popularity``: (per_category,) cumulative; ``number``: what an item is called outside, in no particular order.
    """

    per_category: int
    launched: Ints
    price: Ints
    margin: Ints
    popularity: NDArray[np.float64]
    number: Ints

    @property
    def category(self) -> Ints:
        return np.asarray(np.arange(self.launched.size) // self.per_category)

    def choose(self, buyers: Ints, moments: Ints, people: Population, rng: np.random.Generator) -> Ints:
        """(k,) one item for each buyer and moment: a category of the buyer's taste, then an item that is out by then."""
        chosen = np.empty(buyers.size, dtype=np.int64)
        # Few buyers need few tastes: small steps of the simulation call this hundreds of times.
        known, row = np.unique(buyers, return_inverse=True) if buyers.size < people.size / 4 else (slice(None), buyers)
        cumulative = np.cumsum(people.taste[known], axis=1, dtype=np.float32)
        cumulative /= cumulative[:, -1:]
        for low in range(0, buyers.size, _CHUNK):
            part = slice(low, low + _CHUNK)
            dice = rng.random(buyers[part].size, dtype=np.float32)
            category = (cumulative[row[part]] <= dice[:, None]).sum(axis=1).clip(max=cumulative.shape[1] - 1)
            chosen[part] = self._choose_within(category, moments[part], rng)
        return chosen

    def _choose_within(self, category: Ints, moments: Ints, rng: np.random.Generator) -> Ints:
        # Rank 0 is never new, so that a draw which met only unlaunched items still ends with something on sale.
        chosen = category * self.per_category
        waiting = np.arange(category.size)
        for _ in range(_DRAWS):
            rank = np.searchsorted(self.popularity, rng.random(waiting.size), side="right")
            item = category[waiting] * self.per_category + rank.clip(max=self.per_category - 1)
            age_days = (moments[waiting] - self.launched[item]) / DAY
            interest = _NOVELTY_FLOOR + (1 - _NOVELTY_FLOOR) * np.exp(-np.maximum(age_days, 0) / _NOVELTY_DAYS)
            taken = (age_days >= 0) & (rng.random(waiting.size) < interest)
            chosen[waiting[taken]] = item[taken]
            waiting = waiting[~taken]
        return chosen


def draw_catalogue(settings: MarketSettings, rng: np.random.Generator) -> Catalogue:
    """Half of the items are out before the start, the others come out evenly over the observed time."""
    per_category = max(10, round(settings.users * settings.items_per_user / settings.categories))
    n_items = per_category * settings.categories
    old = -(rng.random(n_items) * 365 * DAY).astype(np.int64) - 1
    new = (rng.random(n_items) * settings.end).astype(np.int64)
    rank = np.arange(n_items) % per_category
    launched = np.where((rng.random(n_items) < _NEW_SHARE) & (rank > 0), new, old)
    level = np.repeat(rng.lognormal(np.log(8_000), 0.6, settings.categories), per_category)
    # Prices end in 90 fen, as on a shop's shelf.
    price = (level * rng.lognormal(0, 0.5, n_items) / 100).astype(np.int64).clip(min=1) * 100 + 90
    margin = (price * rng.uniform(0.15, 0.5, n_items)).astype(np.int64)
    weights = np.cumsum(1.0 / np.arange(1, per_category + 1) ** settings.popularity_exponent)
    return Catalogue(per_category, launched, price, margin, weights / weights[-1], rng.permutation(n_items))


def category_names(count: int) -> list[str]:
    """Names of the first ``count`` categories; beyond the list they are numbered."""
    return [CATEGORY_NAMES[i] if i < len(CATEGORY_NAMES) else f"category-{i}" for i in range(count)]
