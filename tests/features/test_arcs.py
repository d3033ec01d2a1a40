"""Ties as numbers, on graphs small enough to check by head."""

import numpy as np
import pytest

from features.arcs import arcs_of, either_way, ends_of
from tests.features.blocks.by_user import prepared, shared_engine
from tests.worlds import day, world


def test_people_are_numbered_by_their_ids_and_ties_sorted() -> None:
    ties = [("zoe", "ann"), ("ann", "bob"), ("bob", "ann"), ("bob", "bob"), ("ann", "bob")]
    rows = [{"user_id": user, "influencer_id": influencer} for user, influencer in ties]
    orders = [{"user_id": "ann", "ordered_at": day(1)}]
    names, arcs = arcs_of(prepared(world(engine=shared_engine(), orders=orders, ties=rows)))
    assert names.to_pylist() == ["ann", "bob", "zoe"]
    assert ends_of(arcs, 3).tolist() == [[0, 1], [1, 0], [2, 0]]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_two_ties_between_two_people_are_one_pair(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.arcs.AT_ONCE", at_once)
    arcs = np.array([[0, 1], [1, 0], [2, 0], [2, 1], [3, 2]]) @ np.array([4, 1])
    pairs, ties = either_way(arcs, 4)
    assert ends_of(pairs, 4).tolist() == [[0, 1], [0, 2], [1, 2], [2, 3]]
    assert ties.tolist() == [2, 1, 1, 1]


def test_nobody_knows_nobody() -> None:
    pairs, ties = either_way(np.empty(0, np.int64), 0)
    assert (len(pairs), len(ties), ends_of(pairs, 0).shape) == (0, 0, (0, 2))
