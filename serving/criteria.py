"""What a list is asked for: how to rank, whom to leave out, how many."""

from dataclasses import dataclass, field
from enum import StrEnum

from serving.store.filters import CATEGORY, Condition, Filters

PRIOR = 1.0
"""People moved that a user's own record is weighed against: with less, the market's means say more."""


class RankBy(StrEnum):
    """What puts one candidate before another: people expected to be moved, money expected of these, how influence rises,
    what the person is expected to spend within a year, or the money expected less what rewards and contacts cost."""

    SCORE = "score"
    VALUE = "value"
    RISING = "rising"
    LIFETIME = "lifetime"
    NET = "net"


@dataclass(frozen=True)
class Criteria:
    """Which candidates: at most ``limit``, best first.

    ``by``: what to rank by. ``category``: weigh that by the share of influence expected in it. ``max_churn``: leave out
    likelier leavers, 0 to 1, and people who have not ordered for two horizons. ``stage``: one lifecycle stage. ``where``:
    filters of any column that hold beside these.
    """

    limit: int = 20
    by: RankBy = RankBy.SCORE
    category: str | None = None
    max_churn: float | None = None
    stage: str | None = None
    where: Filters = field(default_factory=dict)

    def filters(self) -> Filters:
        """``category``, ``max_churn`` and ``stage`` as filters."""
        found: dict[str, Condition] = {}
        if self.category is not None:
            found[CATEGORY] = self.category
        if self.max_churn is not None:
            found["churn_probability"] = {"max": self.max_churn}
        if self.stage is not None:
            found["stage"] = self.stage
        return found
