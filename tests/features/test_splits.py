from datetime import timedelta
from itertools import pairwise

from features.splits import training_dates
from tests.worlds import day

TEN = timedelta(days=10)


def test_dates_are_a_horizon_apart_latest_first_and_their_windows_end_by_the_date() -> None:
    dates = training_dates(day(40), TEN, day(0))
    assert dates == [day(30), day(20), day(10)]
    assert all(date + TEN <= day(40) for date in dates)


def test_the_earliest_date_leaves_half_a_horizon_of_history() -> None:
    assert training_dates(day(20), TEN, day(5)) == [day(10)]
    assert training_dates(day(20), TEN, day(5.1)) == []


def test_there_are_at_most_as_many_as_asked_for() -> None:
    assert training_dates(day(100), TEN, day(0), most=2) == [day(90), day(80)]
    assert len(training_dates(day(100), TEN, day(0))) == 6


def test_a_date_near_the_start_has_none() -> None:
    assert training_dates(day(5), TEN, day(0)) == []


def test_several_dates_within_a_horizon_overlap_and_keep_the_embargo() -> None:
    dates = training_dates(day(40), TEN, day(0), most=4, per_horizon=2)
    assert dates == [day(30), day(25), day(20), day(15)]
    # The latest window ends where the date begins: overlapping dates lie further back, never nearer.
    for per_horizon in (1, 2, 3, 7):
        found = training_dates(day(40), TEN, day(0), most=20, per_horizon=per_horizon)
        assert found[0] == day(30)
        assert all(date + TEN <= day(40) for date in found)
        assert all(later - earlier == TEN / per_horizon for later, earlier in pairwise(found))
        assert found[-1] >= day(5)
        assert found[-1] - TEN / per_horizon < day(5)
