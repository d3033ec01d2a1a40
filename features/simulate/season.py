"""When people buy: an hourly rhythm of day, week and festivals in local time."""

from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from features.simulate.settings import MarketSettings

HOUR = 3_600
DAY = 86_400

# Few buy at night, most after work; the relative level of each local hour.
_HOURS = np.array([3, 2, 1, 1, 1, 1, 2, 3, 5, 7, 8, 8, 8, 7, 7, 7, 7, 7, 8, 9, 11, 12, 10, 6], dtype=float)
_WEEKEND = 1.2
# (month, day): level of the day itself and of the ten days of presale before it.
_FESTIVALS = {(6, 18): (4.0, 1.5), (11, 11): (6.0, 1.7), (12, 12): (2.5, 1.2)}
_PRESALE_DAYS = 10


class Season:
    """Cumulative demand over the observed time, in average days: demand runs faster when people buy more."""

    def __init__(self, settings: MarketSettings) -> None:
        levels = np.array([_level(settings.start + timedelta(days=day)) for day in range(settings.days)])
        hourly = np.outer(levels, _HOURS / _HOURS.sum()).ravel()
        self.day_level: NDArray[np.float64] = levels
        self._demand = np.concatenate([[0.0], np.cumsum(hourly)]) * settings.days / levels.sum()
        self._seconds = np.arange(self._demand.size) * float(HOUR)

    def demand(self, seconds: NDArray[np.int64]) -> NDArray[np.float64]:
        """Demand accumulated from the start to each moment, in average days."""
        return np.asarray(np.interp(seconds, self._seconds, self._demand))

    def moment(self, demand: NDArray[np.float64]) -> NDArray[np.int64]:
        """The second at which so much demand has accumulated; the inverse of ``demand``."""
        return np.interp(demand, self._demand, self._seconds).astype(np.int64)

    def is_sale(self, seconds: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Whether the local day of a moment belongs to a festival or its presale."""
        return np.asarray(self.day_level[seconds // DAY] > _WEEKEND + 1e-9)


def _level(day: date) -> float:
    level = _WEEKEND if day.weekday() >= 5 else 1.0
    for (month, number), (peak, presale) in _FESTIVALS.items():
        ahead = (date(day.year, month, number) - day).days
        if ahead == 0:
            level *= peak
        elif 0 < ahead <= _PRESALE_DAYS:
            level *= presale
    return level
