"""Shapes that can be worked out by head: stars, rings, chains, and two circles with one person between them."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from features.groups.shape import centralisation, separated_pairs, shape_of


def links(*pairs: tuple[int, int]) -> np.ndarray:
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def code(*sizes: int) -> np.ndarray:
    return np.repeat(np.arange(len(sizes)), sizes)


def test_d24_a_pyramid_is_centred_and_a_ring_is_not() -> None:
    star, ring = [(0, 1), (0, 2), (0, 3), (0, 4)], [(5, 6), (6, 7), (7, 8), (5, 8)]
    found = centralisation(code(5, 4, 2, 4), links(*star, *ring, (9, 10), (11, 12), (12, 13)))
    assert found[:2].tolist() == [1.0, 0.0]
    assert np.isnan(found[2])
    # Degrees 1, 2, 1, 0: the gaps to 2 are 1, 0, 1, 2 of (4 - 1)(4 - 2).
    assert found[3] == pytest.approx(4 / 6)


def test_d21_the_person_through_whom_others_are_connected() -> None:
    # Triangles 0-1-2 and 3-4-5, and 6 between them; 7 stands alone.
    shape = shape_of(
        code(8, 3), links((0, 1), (1, 2), (0, 2), (3, 4), (4, 5), (3, 5), (2, 6), (3, 6), (8, 9), (9, 10), (8, 10))
    )
    assert shape.broker.tolist() == [6, -1]
    # Of the 15 pairs of the six others, the nine across meet through 6 alone. 2 cuts two others from four: eight pairs.
    assert shape.broker_share.tolist() == [pytest.approx(9 / 15), 0.0]
    assert shape.brokers.tolist() == [3, 0]
    assert shape.ties.tolist() == [8, 3]
    assert shape.density.tolist() == [pytest.approx(8 / 28), 1.0]


def test_pairs_cut_off_are_those_of_a_count_without_each_node() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        n = int(rng.integers(1, 14))
        ends = rng.integers(0, n, (int(rng.integers(0, 18)), 2))
        ends = np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0).astype(np.int64)
        found, others = separated_pairs(n, ends)
        for node in range(n):
            rest = ends[(ends != node).all(axis=1)]
            assert found[node] == pairs(n, ends, without=node) - pairs(n, rest, without=node)
        assert others.sum() / 2 == pairs(n, ends)


def pairs(n: int, ends: np.ndarray, without: int | None = None) -> int:
    _, part = connected_components(coo_matrix((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(n, n)), directed=False)
    kept = np.array([node for node in range(n) if node != without], dtype=np.int64)
    size = np.bincount(part[kept], minlength=n)
    return int((size * (size - 1) // 2).sum())
