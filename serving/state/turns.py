"""Who looks again at what is remembered of the database, where many read it."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Turns:
    """Of those who ask once ``soon`` seconds have passed since a look one is sent to look again, so that the others need not
    wait, nor crowd out whom they wait for; once ``oldest`` have passed it is everybody's turn.

    ``clock``: seconds; ``looked``: when somebody last did.
    """

    soon: float
    oldest: float
    clock: Callable[[], float]
    looked: float = -math.inf
    _sent: float = field(default=-math.inf, init=False)

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        return self.clock() - self.looked >= self.soon

    def mine(self) -> bool:
        """Whether the caller has to look, or wait for whoever does."""
        now = self.clock()
        age = now - self.looked
        if age < self.soon or (age < self.oldest and now - self._sent < self.soon):
            return False
        self._sent = now
        return True
