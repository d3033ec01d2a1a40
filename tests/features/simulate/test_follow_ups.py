"""Implicit follow-ups: worlds of three users that can be counted by head."""

import numpy as np

from features.simulate.follow_ups import FollowUps, follow_ups


def found(orders: list[tuple[int, int, int]], arcs: list[tuple[int, int]], *, window: int = 10, gap: int = 0) -> FollowUps:
    users, items, times = np.array(orders).T
    follower, influencer = np.array(arcs).reshape(-1, 2).T
    return follow_ups(users, items, times, follower, influencer, window=window, gap=gap)


def test_later_than_gap_and_not_later_than_window() -> None:
    for delay, counts in ((0, False), (2, False), (3, True), (10, True), (11, False)):
        events = found([(0, 7, 100), (1, 7, 100 + delay)], [(1, 0)], gap=2)
        assert events.rate == (0.5 if counts else 0.0), delay


def test_credit_is_shared_and_only_first_purchases_count() -> None:
    orders = [(0, 0, 1), (1, 0, 2), (2, 0, 3), (0, 0, 4), (2, 0, 5)]
    events = found(orders, [(2, 0), (2, 1)])
    assert events.rate == 1 / 3
    assert sorted(zip(events.influencer, events.moment, events.weight, strict=True)) == [(0, 3, 0.5), (1, 3, 0.5)]
    assert events.within(3, 4, 3).tolist() == [0.5, 0.5, 0]
    assert events.within(4, 9, 3).tolist() == [0, 0, 0]


def test_ties_point_one_way_and_items_are_kept_apart() -> None:
    assert found([(0, 0, 1), (1, 0, 2)], [(0, 1)]).rate == 0
    assert found([(0, 0, 1), (1, 1, 2)], [(1, 0)]).rate == 0
    assert found([(0, 0, 1), (1, 0, 2)], []).rate == 0
