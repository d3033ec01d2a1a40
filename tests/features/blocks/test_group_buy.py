"""Four group buys of one opener."""

import pytest

from features.blocks.group_buy import group_buy_speed, group_buys_joined, group_buys_opened, help_rules
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


def test_d05_a_group_of_three_within_a_day_has_size_deadline_opener_joiners_and_an_end() -> None:
    opened = [("quick", 30, 30.25, True), ("slow", 35, 35.75, True), ("empty", 38, None, False)]
    tables = world(
        engine=shared_engine(),
        orders=[],
        group_buys=[
            {
                "group_buy_id": name,
                "initiator_id": "a",
                "size": 3,
                "opened_at": day(at),
                "deadline": day(at + 1),
                "closed_at": closed and day(closed),
                "succeeded": succeeded,
            }
            for name, at, closed, succeeded in opened
        ],
        group_buy_members=[
            {"group_buy_id": name, "user_id": user, "joined_at": day(at)}
            for name, user, at in [("quick", "b", 30.1), ("quick", "c", 30.25), ("slow", "b", 35.5), ("slow", "d", 35.75)]
        ],
    )
    assert by_user(group_buy_speed, tables)["a"] == pytest.approx(
        {
            "group_fill_hours": 12.0,
            "group_fill_time": 0.5,
            "groups_in_time": 2,
            "groups_failed_3d": 1,
            "groups_failed_10d": 1,
            "groups_failed_20d": 1,
        }
    )
    counted = by_user(group_buys_opened, tables)["a"]
    assert (counted["groups_filled_all"], counted["groups_failed_all"], counted["group_members_brought"]) == (2, 1, 4)
    assert by_user(group_buys_joined, tables)["b"]["groups_joined_all"] == 2


def test_d06_help_beyond_the_rules() -> None:
    helped = [
        ("a", "b", "kettle", 10.0),
        ("a", "b", "kettle", 20.0),  # once per product
        ("a", "b", "pan", 20.1),
        ("b", "a", "pot", 21.0),
        *((f"friend {n}", "c", "cup", 15 + n / 10) for n in range(4)),  # four friends on one day
        *((f"friend {n}", "c", "jug", 16 + n / 10) for n in range(3)),
    ]
    responses = [
        {"sharer_id": to, "responder_id": by, "item_id": item, "action": "help", "responded_at": day(at)}
        for to, by, item, at in helped
    ]
    responses.append(
        {"sharer_id": "a", "responder_id": "b", "item_id": "kettle", "action": "click", "responded_at": day(22)}
    )
    found = by_user(help_rules, world(engine=shared_engine(), share_responses=responses))
    assert found["a"] == {
        "helps_received": 3, "helps_repeated": 1, "helps_given": 1, "helps_given_repeated": 0, "help_days_over": 0,
        "helped_a_day_max": 1, "helpers": 1, "helpers_returned": 1, "helpers_returned_share": 1.0,
    }  # fmt: skip
    assert (found["b"]["helps_given_repeated"], found["b"]["helps_repeated"]) == (1, 0)
    assert (found["c"]["help_days_over"], found["c"]["helped_a_day_max"], found["c"]["helpers_returned_share"]) == (
        1,
        4,
        None,
    )
