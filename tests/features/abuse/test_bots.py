import numpy as np
import pytest

from features.abuse.bots import REGULAR, bot_regularity, hour_entropy, regularity
from features.abuse.help_acts import HelpActs

HOUR, DAY = 3_600, 86_400


def acts_of(at: np.ndarray) -> HelpActs:
    k = at.size
    zeros = np.zeros(k, np.int64)
    return HelpActs(np.array(["a", "b"]), zeros, zeros + 1, zeros, np.sort(at), zeros > 0, zeros == 0)


def test_a_clock_is_regular_also_where_it_found_nothing_to_do() -> None:
    rng = np.random.default_rng(0)
    clock = np.arange(100) * 5 * HOUR + rng.normal(0, 3, 100).astype(int)
    assert regularity(clock) > 0.99
    assert regularity(clock[rng.random(100) < 0.4]) > 0.99
    assert bot_regularity(acts_of(clock)).tolist() == [pytest.approx(1, abs=0.01), 0]


def test_people_are_not_regular() -> None:
    rng = np.random.default_rng(1)
    found = [regularity(np.sort(rng.integers(0, 60 * DAY, count))) for count in (20, 40, 200) for _ in range(100)]
    assert max(found) < REGULAR - 0.1


def test_an_alarm_clock_is_not_around_the_clock() -> None:
    daily = np.arange(60) * DAY + 20 * HOUR
    assert regularity(daily) == pytest.approx(1)
    assert hour_entropy(daily) == 0
    assert bot_regularity(acts_of(daily))[0] == 0


def test_a_table_that_knows_the_hour_alone_makes_nobody_a_bot() -> None:
    rng = np.random.default_rng(2)
    hours = np.unique(rng.integers(0, 24 * 30, 120)) * HOUR
    assert regularity(hours) == pytest.approx(1)
    assert bot_regularity(acts_of(hours))[0] == 0


def test_few_acts_tell_nothing() -> None:
    assert bot_regularity(acts_of(np.arange(19) * 5 * HOUR))[0] == 0
