"""Accounts that act like clockwork: at one fixed interval, around the clock."""

import numpy as np
import numpy.typing as npt

from features.abuse.help_acts import HelpActs

Floats = npt.NDArray[np.float64]

LEAST_ACTS = 20
"""Acts from which the clock of an account can be told: by chance alone the mean phase of 20 gaps stays below .5."""

REGULAR = 0.85
"""Mean phase from which gaps are multiples of one period. People lie near 0; a program, late by seconds, above .99."""

AROUND_THE_CLOCK = 0.75
"""Entropy of the 24 hours, as a share of its maximum: with eight hours of sleep, evenly awake otherwise, it is .87, but who
helps friends does so in the evening; clockwork of a few hours' period has .9 and more. Below, an alarm clock would do."""

PERIODS = 4
"""The shortest gap may be up to so many periods, where acts in between found nothing to act on."""

_SECONDS_A_DAY, _HOURS = 86_400, 24
_SHORTEST = 60
_STEPS_A_PERIOD = 10


def bot_regularity(acts: HelpActs) -> Floats:
    """(users,) 0 to 1: how far the acts of each account keep to one period around the clock; 0 below ``LEAST_ACTS``.

    Timing tells programs from people (Chu, Gianvecchio, Wang and Jajodia, Who is tweeting on Twitter: human, bot, or
    cyborg?, ACSAC 2010, by the entropy of gaps). Here the phase of gaps takes the place of their entropy: helps are given
    only while something is open, so that gaps are multiples of the period and their entropy is high.
    """
    found = np.zeros(len(acts.users))
    counts = np.bincount(acts.actor, minlength=len(acts.users))
    often = np.flatnonzero(counts >= LEAST_ACTS)
    if not often.size:
        return found
    # Clocks that tell the hour or the day alone make everybody regular.
    resolution = int(np.gcd.reduce(np.diff(np.unique(acts.at)))) if np.unique(acts.at).size > 1 else _SECONDS_A_DAY
    start = np.searchsorted(acts.actor, often)
    for user, first in zip(often, start, strict=True):
        at = acts.at[first : first + counts[user]]
        found[user] = regularity(at, resolution) if hour_entropy(at) >= AROUND_THE_CLOCK else 0.0
    return found


def regularity(at: npt.NDArray[np.int64], resolution: int = 1) -> float:
    """How far the gaps between these sorted moments are multiples of one period: 0 to 1."""
    gaps = np.diff(at)
    gaps = gaps[gaps >= _SHORTEST]
    if gaps.size < LEAST_ACTS // 2:
        return 0.0
    best = 0.0
    for times in range(1, PERIODS + 1):
        period = gaps.min() / times
        if period >= max(_SHORTEST, _STEPS_A_PERIOD * resolution):
            best = max(best, float(np.cos(2 * np.pi * gaps / period).mean()))
    return best


def hour_entropy(at: npt.NDArray[np.int64]) -> float:
    """Entropy of the hour of day as a share of its maximum, 0 to 1."""
    share = np.bincount(at % _SECONDS_A_DAY // (_SECONDS_A_DAY // _HOURS), minlength=_HOURS) / max(at.size, 1)
    known = share[share > 0]
    return float(-(known * np.log(known)).sum() / np.log(_HOURS))
