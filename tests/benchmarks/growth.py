"""What a table of measured costs says: how steps grow with size, and how far they are from their floors."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Cost:
    """What one step took at one size: ``seconds``, ``cpu_seconds`` and ``peak_gb`` of the process.

    ``floor``: what it is held against, in words, and ``floor_cpu_seconds`` that took in the same run; None without one.
    """

    step: str
    users: int
    seconds: float
    cpu_seconds: float
    peak_gb: float
    floor: str | None = None
    floor_cpu_seconds: float | None = None

    @property
    def times_floor(self) -> float | None:
        """CPU seconds over those of the floor; None without one, or where it took no time that can be measured."""
        return self.cpu_seconds / self.floor_cpu_seconds if self.floor_cpu_seconds else None


def exponent(costs: Mapping[int, float]) -> float | None:
    """costs: size -> cost > 0. The slope of log cost on log size by least squares: 1 for a cost that grows as the size does.

    None for fewer than two sizes.
    """
    if len(costs) < 2:
        return None
    sizes, spent = np.log([*costs]), np.log([*costs.values()])
    return float(np.polyfit(sizes, spent, 1)[0])


def exponents(costs: Sequence[Cost], least: float = 0.0) -> dict[str, float | None]:
    """Step -> exponent of its CPU seconds over the sizes where it took more than ``least`` of them."""
    steps = dict.fromkeys(cost.step for cost in costs)
    return {
        step: exponent({cost.users: cost.cpu_seconds for cost in costs if cost.step == step and cost.cpu_seconds > least})
        for step in steps
    }


def report(costs: Sequence[Cost], machine: Mapping[str, Any]) -> dict[str, Any]:
    """All of it, as written to JSON."""
    return {
        "machine": dict(machine),
        "costs": [asdict(cost) | {"times_floor": cost.times_floor} for cost in costs],
        "exponents": exponents(costs),
    }
