import time

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from serving.lists.diversity import Followers
from serving.lists.selection import BLOCK, Limit, take, take_apart


def limit(codes: list[int], room: list[int]) -> Limit:
    return Limit(np.array(codes, dtype=np.int64), np.array(room, dtype=np.int64))


def test_the_best_are_taken_as_far_as_quotas_leave_room() -> None:
    order = np.arange(6)
    assert take(order, 3).tolist() == [0, 1, 2]
    # Rows 0, 1 and 3 are of one region with two places, 2 and 4 of another with one, and 5 of none.
    assert take(order, 5, [limit([0, 0, 1, 0, 1, -1], [2, 1])]).tolist() == [0, 1, 2, 5]


def test_the_order_decides_and_not_the_row() -> None:
    assert take(np.array([4, 2, 0]), 5, [limit([0, 0, 0, 0, 0], [2])]).tolist() == [4, 2]


@given(st.data())
def test_the_same_rows_as_one_by_one(data: st.DataObject) -> None:
    size = data.draw(st.integers(0, 60))
    rows = data.draw(st.permutations(range(40)))
    groups = st.lists(st.integers(-1, 4), min_size=40, max_size=40)
    rooms = st.lists(st.integers(0, 6), min_size=5, max_size=5)
    limits = [limit(data.draw(groups), data.draw(rooms)) for _ in range(data.draw(st.integers(0, 2)))]
    expected: list[int] = []
    left = [one.room.tolist() for one in limits]
    for row in rows:
        of = [int(one.codes[row]) for one in limits]
        if len(expected) < size and all(code < 0 or room[code] > 0 for code, room in zip(of, left, strict=True)):
            expected.append(row)
            for code, room in zip(of, left, strict=True):
                if code >= 0:
                    room[code] -= 1
    assert take(np.array(rows), size, limits).tolist() == expected


def test_rows_beyond_the_first_block_are_found() -> None:
    codes = np.zeros(3 * BLOCK, dtype=np.int64)
    codes[-1] = 1
    assert take(np.arange(3 * BLOCK), 3, [Limit(codes, np.array([2, 1]))]).tolist() == [0, 1, 3 * BLOCK - 1]


def audience(*people: list[int]) -> Followers:
    def pairs(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [(row, one) for row in rows.tolist() for one in people[row]]
        return tuple(np.array(found, dtype=np.int64).reshape(-1, 2).T)  # type: ignore[return-value]

    return Followers(pairs)


def test_overlapping_audiences_come_later() -> None:
    # The second reaches only people of the first: 4 x 0. Of those of the third half are new: 3 x 1/2. The fourth has nobody.
    score = np.array([5.0, 4.0, 3.0, 1.0])
    chosen = take_apart(np.arange(4), score, 3, audience([1, 2], [1, 2], [2, 3], []))
    assert chosen.tolist() == [0, 2, 3]


@given(st.data())
def test_every_next_one_has_the_highest_gain(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 12))
    score = np.sort(np.array(data.draw(st.lists(st.integers(1, 9), min_size=count, max_size=count)), dtype=float))[::-1]
    people = data.draw(st.lists(st.lists(st.integers(0, 8), unique=True, max_size=5), min_size=count, max_size=count))
    size = data.draw(st.integers(1, count))
    reached: set[int] = set()
    left, expected = list(range(count)), []
    while left and len(expected) < size:
        gains = {
            row: score[row] * (len(set(people[row]) - reached) / len(people[row]) if people[row] else 1) for row in left
        }
        best = max(left, key=lambda row: (gains[row], -row))
        expected.append(best)
        left.remove(best)
        reached |= set(people[best])
    assert take_apart(np.arange(count), score, size, audience(*people)).tolist() == expected


def test_ten_thousand_of_a_million_are_taken_at_once() -> None:
    random, rows = np.random.default_rng(0), 1_000_000
    region, community = random.integers(0, 30, rows), random.integers(-1, 20_000, rows)
    room = np.full(30, 500)
    room[3] = 100_000  # never filled, so that the whole order is looked through
    limits = [Limit(region, room), Limit(community, np.ones(20_000, dtype=np.int64))]
    start = time.perf_counter()
    chosen = take(np.arange(rows), 10_000, limits)
    assert time.perf_counter() - start < 1.0
    assert len(chosen) == 10_000
    assert np.bincount(community[chosen][community[chosen] >= 0]).max() == 1
