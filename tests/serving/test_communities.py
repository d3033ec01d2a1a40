"""Churn of communities, checked by head."""

from types import SimpleNamespace

import numpy as np
import pytest

from features.prepare import prepare
from features.snapshot import take_snapshot
from serving.communities import community_churn
from serving.store.schemas import COMMUNITIES_SCHEMA
from tests.worlds import day, world

USERS = np.array(["a", "b", "c", "d"], dtype=object)
FRAME = SimpleNamespace(users=USERS, churn_population=np.array([True, True, False, True]))
SAID = SimpleNamespace(churn=np.array([0.25, 0.75, 0.9, 0.5]))


def membership(user: str, community: str, joined: float, left: float | None = None) -> dict[str, object]:
    return {"user_id": user, "community_id": community, "joined_at": day(joined), "left_at": day(left) if left else None}


def snapshot(*memberships: dict[str, object]) -> object:
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(1)} for user in USERS]
    return prepare(take_snapshot(world(orders=orders, memberships=list(memberships)), day(10)))


def test_expected_leavers_are_summed_over_those_who_are_still_members() -> None:
    known = snapshot(
        membership("a", "mothers", 1),
        membership("a", "mothers", 3),  # joined again: one person
        membership("b", "mothers", 2),
        membership("c", "mothers", 2),  # has not ordered lately: no probability
        membership("d", "mothers", 2, left=5),
        membership("d", "book club", 4, left=12),  # leaves after the date
        membership("c", "silent", 4),
    )
    assert community_churn(FRAME, SAID, known).to_pylist() == [
        {"community_id": "book club", "members": 1, "rated": 1, "expected_leavers": 0.5, "leave_rate": 0.5},
        {"community_id": "mothers", "members": 3, "rated": 2, "expected_leavers": pytest.approx(1.0), "leave_rate": 0.5},
        {"community_id": "silent", "members": 1, "rated": 0, "expected_leavers": 0.0, "leave_rate": None},
    ]


def test_without_memberships_or_churn_there_are_no_rows() -> None:
    orders = [{"user_id": "a", "item_id": "x", "ordered_at": day(1)}]
    nobody = prepare(take_snapshot(world(orders=orders), day(10)))
    assert community_churn(FRAME, SAID, nobody).equals(COMMUNITIES_SCHEMA.empty_table())
    assert not len(community_churn(FRAME, SimpleNamespace(churn=None), snapshot(membership("a", "mothers", 1))))
