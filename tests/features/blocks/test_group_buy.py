"""Four group buys of one opener."""

import pytest

from features.blocks.group_buy import group_buys_joined, group_buys_opened
from features.tables import Tables
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def group_buys() -> Tables:
    opened = [
        # id, opened, size, deadline, closed, succeeded
        ("filled", 38, 3, 41, 39, True),
        ("failed", 30, None, 35, None, False),
        ("open", 39, 4, 45, None, True),  # what the export says of it is not known yet
        ("forgotten", 0, 2, None, None, True),  # nothing says when this was known
    ]
    joined = [
        ("filled", "a", 38),
        ("filled", "b", 38.5),
        ("filled", "c", 39),
        ("failed", "b", 31),
        ("open", "d", 39.5),
        ("open", "e", 40),
        ("of nobody", "b", 39),
    ]
    return world(
        engine=shared_engine(),
        orders=[],
        group_buys=[
            {
                "group_buy_id": name,
                "initiator_id": "a",
                "size": size,
                "opened_at": day(at),
                "deadline": deadline and day(deadline),
                "closed_at": closed and day(closed),
                "succeeded": succeeded,
            }
            for name, at, size, deadline, closed, succeeded in opened
        ],
        group_buy_members=[{"group_buy_id": name, "user_id": user, "joined_at": day(at)} for name, user, at in joined],
    )


def test_opened() -> None:
    assert by_user(group_buys_opened, group_buys()) == {
        "a": pytest.approx(
            {
                "groups_opened_3d": 2,
                "groups_opened_10d": 3,
                "groups_opened_20d": 3,
                "groups_opened_all": 4,
                "groups_filled_all": 1,
                "groups_failed_all": 1,
                "group_success_rate": 0.5,
                "group_members_brought": 2 + 1 + 1,
                "group_fill": (3 + 2 + 1) / (3 + 4 + 2),  # of those whose size is known
            }
        )
    }


def test_nothing_is_known_of_a_group_buy_without_size_or_end() -> None:
    tables = world(
        engine=shared_engine(),
        orders=[],
        group_buys=[{"group_buy_id": "g", "initiator_id": "a", "opened_at": day(39), "size": None}],
        group_buy_members=[],
    )
    found = by_user(group_buys_opened, tables)["a"]
    assert (found["group_success_rate"], found["group_fill"], found["group_members_brought"]) == (None, None, 0)


def test_joined() -> None:
    found = by_user(group_buys_joined, group_buys())
    assert set(found) == {"b", "c", "d"}
    assert found["b"] == {
        "groups_joined_3d": 1,
        "groups_joined_10d": 2,
        "groups_joined_20d": 2,
        "groups_joined_all": 2,
        "openers_joined": 1,
    }
