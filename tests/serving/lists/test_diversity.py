from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.lists.diversity import Cliques, Followers
from serving.lists.selection import take

Tie = tuple[int, int]


def pairs_of(ties: list[Tie]):  # type: ignore[no-untyped-def]
    def pairs(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [(to, follower) for to, follower in ties if to in rows.tolist()]
        to, follower = np.array(found, dtype=np.int64).reshape(-1, 2).T
        return to, follower

    return pairs


@pytest.mark.parametrize(("most", "expected"), [(1, [0, 3, 4]), (2, [0, 1, 3, 4]), (3, [0, 1, 2, 3, 4])])
def test_d69_no_more_than_most_of_a_triangle(most: int, expected: list[int]) -> None:
    # 0, 1 and 2 all know one another, in one direction each; 3 knows 2 alone.
    ties = [(0, 1), (1, 2), (2, 0), (3, 2)]
    assert take(np.arange(5), 5, keeper=Cliques(most, pairs_of(ties))).tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=40), st.integers(1, 3))
def test_nobody_is_left_out_without_need_and_no_clique_is_larger(ties: list[Tie], most: int) -> None:
    ties = [(a, b) for a, b in ties if a != b]
    tied = {frozenset(tie) for tie in ties}
    chosen = take(np.arange(10), 10, keeper=Cliques(most, pairs_of(ties))).tolist()

    def is_clique(people: tuple[int, ...]) -> bool:
        return all(frozenset(two) in tied for two in combinations(people, 2))

    assert not any(is_clique(people) for people in combinations(chosen, most + 1))
    for left in set(range(10)) - set(chosen):
        before = [row for row in chosen if row < left]
        assert any(is_clique((*people, left)) for people in combinations(before, most))


def test_the_audience_of_each_row() -> None:
    found = Followers(pairs_of([(2, 7), (0, 5), (2, 6)])).of(np.array([0, 1, 2]))
    assert [people.tolist() for people in found] == [[5], [], [7, 6]]
