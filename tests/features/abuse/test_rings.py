from itertools import permutations

import numpy as np

from features.abuse.rings import MOST_MEMBERS, core_members, mutual_rings, pair_counts


def rings(pairs: dict[tuple[int, int], int], size: int = 60) -> dict[int, int]:
    """Member -> ring, where ``pairs`` tell who helped whom how often."""
    helper, helped = (np.array(side) for side in zip(*pairs, strict=True))
    found = mutual_rings(helper, helped, np.array([*pairs.values()]), size)
    return {int(member): int(found[member]) for member in np.flatnonzero(found >= 0)}


def each_other(*members: int, times: int = 2) -> dict[tuple[int, int], int]:
    return dict.fromkeys(permutations(members, 2), times)


def test_four_who_help_each_other_twice_are_a_ring() -> None:
    assert rings(each_other(3, 5, 7, 9)) == {3: 3, 5: 3, 7: 3, 9: 3}


def test_one_favour_returned_three_friends_or_a_fan_are_none() -> None:
    assert rings(each_other(3, 5, 7, 9, times=1)) == {}
    assert rings(each_other(3, 5, 7)) == {}
    assert rings({(helper, 0): 9 for helper in range(1, 9)}) == {}
    one_way = {pair: times for pair, times in each_other(3, 5, 7, 9).items() if pair[0] < pair[1]}
    assert rings(one_way) == {}


def test_a_friend_of_one_member_is_outside_and_two_rings_are_two() -> None:
    both = each_other(3, 5, 7, 9) | each_other(10, 11, 12, 13) | each_other(3, 20)
    assert rings(both) == {3: 3, 5: 3, 7: 3, 9: 3, 10: 10, 11: 10, 12: 10, 13: 10}


def test_a_busy_community_is_no_ring() -> None:
    assert rings(each_other(*range(MOST_MEMBERS + 1))) == {}
    # A wheel of 20: each helps the three next on either side, far from everybody.
    wheel = {(a, (a + step) % 20): 2 for a in range(20) for step in (-3, -2, -1, 1, 2, 3)}
    assert rings(wheel) == {}


def test_cores_and_counts() -> None:
    helper, helped, times = pair_counts(np.array([2, 0, 2, 1]), np.array([1, 1, 1, 0]), 3)
    assert [*zip(helper, helped, times, strict=True)] == [(0, 1, 1), (1, 0, 1), (2, 1, 2)]
    from scipy.sparse import csr_matrix

    path_and_triangle = np.zeros((5, 5), int)
    for a, b in ((0, 1), (1, 2), (2, 0), (2, 3), (3, 4)):
        path_and_triangle[a, b] = path_and_triangle[b, a] = 1
    assert core_members(csr_matrix(path_and_triangle), 2).tolist() == [0, 1, 2]
