"""Demand runs with the local calendar."""

from datetime import date

import numpy as np

from features.simulate.season import DAY, Season
from features.simulate.settings import MarketSettings

# 2024-11-04 is a Monday; day 7 is the festival of 11-11, days 0 to 6 belong to its presale.
SEASON = Season(MarketSettings(start=date(2024, 11, 4), days=28))


def test_days_average_one_and_demand_inverts() -> None:
    np.testing.assert_allclose(SEASON.demand(np.array([0, 28 * DAY])), [0.0, 28.0])
    moments = np.arange(0, 28 * DAY, 4_321)
    np.testing.assert_allclose(SEASON.moment(SEASON.demand(moments)), moments, atol=1)


def test_festivals_presale_and_weekends() -> None:
    level = SEASON.day_level
    assert level[0] == 1.7
    assert level[7] == 6.0
    assert level[8] == 1.0
    assert level[12] == level[13] == 1.2
    sale = SEASON.is_sale(np.arange(28) * DAY)
    # 12-02 opens the presale of 12-12, beyond these days; 12-01 is day 27.
    assert sale.tolist() == [True] * 8 + [False] * 20
