"""What is fixed before anyone is moved: people, their ties, goods and lifetimes, and what follows from them."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from features.simulate.catalogue import Catalogue
from features.simulate.network import Network
from features.simulate.population import Population
from features.simulate.settings import MarketSettings

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

_MOST_RESPONSES = 1_000.0
_BISECTIONS = 30


@dataclass(frozen=True)
class Truth:
    """``churned``: (n,) second at which a user leaves for good, or ``lifetime.NEVER``."""

    people: Population
    network: Network
    catalogue: Catalogue
    churned: Ints
    settings: MarketSettings

    @cached_property
    def fit(self) -> NDArray[np.float32]:
        return self.people.fit

    @cached_property
    def reach(self) -> Floats:
        return self.network.reach

    @cached_property
    def leave(self) -> Ints:
        """(n,) second from which a user does nothing more that could be observed."""
        return np.minimum(self.churned, self.settings.end)

    @cached_property
    def responses_per_reach(self) -> float:
        """Responses that one share draws per unit of the sharer's reach, before each follower is counted once.

        Found by bisection, so that the distinct responders to an average share number ``responses_per_share``; at most
        ``_MOST_RESPONSES`` where too few follow the sharers.
        """
        sharing = self.people.rate * self.people.share_rate
        weight = sharing[self.network.influencer]
        wanted = self.settings.responses_per_share * float(sharing.sum())
        low, high = 0.0, _MOST_RESPONSES
        for _ in range(_BISECTIONS):
            middle = (low + high) / 2
            too_few = float(weight @ (1 - np.exp(-middle * self.network.intensity))) < wanted
            low, high = (middle, high) if too_few else (low, middle)
        return high

    def moved_per_day(self) -> Floats:
        """(n,) purchases along ties that a living user's fresh purchases cause on an average day."""
        along = np.bincount(self.network.influencer, weights=self.network.probability, minlength=self.people.size)
        return self._fresh_rate * along

    def responded_per_day(self) -> Floats:
        """(n,) people who respond to a living user's shares on an average day."""
        answering = 1 - np.exp(-self.responses_per_reach * self.network.intensity)
        answered = np.bincount(self.network.influencer, weights=answering, minlength=self.people.size)
        return self._fresh_rate * self.people.share_rate * answered

    def influence_per_day(self) -> Floats:
        """(n,) people whom a living user moves on an average day, along ties and by shares."""
        return self.moved_per_day() + self.responded_per_day()

    @property
    def _fresh_rate(self) -> Floats:
        return self.people.rate * (1 - self.settings.repeat_share)
