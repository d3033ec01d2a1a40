"""Differences between two groups with their 95 % intervals: of proportions, of means, and of whole communities."""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

LEVEL = 0.95
_Z = NormalDist().inv_cdf(0.5 + LEVEL / 2)
RESAMPLES = 1_000
SEED = 0
CLUSTERED = "cluster bootstrap"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """``value``: the first group minus the second. ``low``, ``high``: of the interval, None where it cannot be told."""

    value: float
    low: float | None
    high: float | None
    method: str


def wilson(positives: int, people: int) -> tuple[float, float]:
    """The score interval of one proportion, people > 0 (Wilson 1927, JASA 22: 209-212)."""
    p, n, z2 = positives / people, people, _Z**2
    middle, half = 2 * n * p + z2, _Z * np.sqrt(z2 + 4 * n * p * (1 - p))
    return float((middle - half) / (2 * (n + z2))), float((middle + half) / (2 * (n + z2)))


def proportions(positives: tuple[int, int], people: tuple[int, int]) -> Difference:
    """The difference of two proportions, people > 0 each, with the hybrid score interval.

    Newcombe 1998, "Interval estimation for the difference between independent proportions: comparison of eleven methods",
    Statistics in Medicine 17: 873-890, method 10.
    """
    first, second = positives[0] / people[0], positives[1] / people[1]
    (low1, high1), (low2, high2) = wilson(positives[0], people[0]), wilson(positives[1], people[1])
    value = first - second
    low = value - float(np.hypot(first - low1, high2 - second))
    high = value + float(np.hypot(high1 - first, second - low2))
    return Difference(value, low, high, "newcombe")


def means(first: npt.ArrayLike, second: npt.ArrayLike) -> Difference:
    """The difference of two means with Welch's interval (Welch 1947, Biometrika 34: 28-35); one value or more each."""
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    value = float(one.mean() - two.mean())
    # Of one person nothing is known of the spread, and of equal amounts alone Welch's degrees of freedom are 0 / 0.
    if min(len(one), len(two)) < 2 or one.var() + two.var() == 0:
        return Difference(value, None, None, "welch")
    # Takes a second to load, which the start of the service need not wait for.
    from scipy import stats

    interval = stats.ttest_ind(one, two, equal_var=False).confidence_interval(LEVEL)
    return Difference(value, float(interval.low), float(interval.high), "welch")


def clustered(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> list[Difference]:
    """Differences of means per person where whole communities were assigned; a group: sums (C, K) and people (C,) of each.

    Percentile bootstrap that draws communities within each group, the same ones for all K sums (Davison and Hinkley 1997,
    Bootstrap Methods and their Application, section 3.8). Of fewer than two communities in a group there is no interval, nor
    where all draws are alike, as when nobody did anything: that is no proof that nothing would change.
    """
    values = _means(first, np.ones((1, len(first[1])))) - _means(second, np.ones((1, len(second[1]))))
    if min(len(first[1]), len(second[1])) < 2:
        return [Difference(float(value), None, None, CLUSTERED) for value in values[0]]
    rng = np.random.default_rng(SEED)
    draws = _drawn(rng, first) - _drawn(rng, second)
    low, high = np.percentile(draws, [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    found = zip(values[0].tolist(), low.tolist(), high.tolist(), strict=True)
    return [
        Difference(value, least, most, CLUSTERED) if least < most else Difference(value, None, None, CLUSTERED)
        for value, least, most in found
    ]


def _drawn(rng: np.random.Generator, group: tuple[Floats, Floats]) -> Floats:
    """(RESAMPLES, K) means per person of as many communities as there are, drawn with replacement."""
    size = len(group[1])
    counts = (np.bincount(rng.integers(0, size, size), minlength=size) for _ in range(RESAMPLES))
    return np.concatenate([_means(group, count[None, :].astype(np.float64)) for count in counts])


def _means(group: tuple[Floats, Floats], weight: Floats) -> Floats:
    """(B, K) means per person under weights (B, C) of communities."""
    sums, people = group
    found: Floats = (weight @ sums) / (weight @ people)[:, None]
    return found
