"""Levels, tiers and permissions of a few people, and the chance of the next level counted by hand."""

from typing import Any

import pytest

from features.blocks.levels import SHRINKAGE, levels, permissions, tiers
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def dated(*facts: tuple[str, str, str, float]) -> list[dict[str, Any]]:
    return [{"user_id": user, "name": name, "value": value, "valid_from": day(at)} for user, name, value, at in facts]


def test_d11_levels_rise_and_fall() -> None:
    facts = dated(
        ("a", "level", "V1", 1), ("a", "level", "V2", 10), ("a", "level", "V2", 20), ("a", "level", "V4", 38),
        ("b", "level", "V3", 5), ("b", "level", "V2", 35), ("c", "level", "rookie", 4), ("d", "level", "no such", 4),
        ("a", "level", "V9", 41),
    )  # fmt: skip
    found = by_user(levels, world(engine=shared_engine(), orders=[], attributes=facts))
    assert set(found) == {"a", "b", "c"}
    a = found["a"]
    assert (a["level_rank"], a["level_days"], a["level_ups_all"], a["level_ups_3d"], a["level_downs"]) == (4, 2.0, 2, 1, 0)
    assert (found["b"]["level_rank"], found["b"]["level_days"], found["b"]["level_downs"]) == (2, 5.0, 1)
    assert found["c"]["level_rank"] == 1


def test_days_at_a_level_count_from_when_it_began() -> None:
    facts = dated(("a", "level", "V2", 10), ("a", "level", "V2", 20))
    assert by_user(levels, world(engine=shared_engine(), orders=[], attributes=facts))["a"]["level_days"] == 30.0


def test_d64_the_next_level_is_a_count_of_those_who_were_there_a_horizon_ago() -> None:
    # Two of four at V1 rose within the horizon from day 30 on; a and b acted before it, and both rose.
    facts = [("a", "level", "V1", 1), ("b", "level", "V1", 1), ("c", "level", "V1", 1), ("d", "level", "V1", 1),
             ("a", "level", "V2", 31), ("b", "level", "V2", 39), ("e", "level", "V1", 32)]  # fmt: skip
    orders = [{"user_id": user, "ordered_at": day(at)} for user, at in (("a", 25), ("b", 25), ("c", 35), ("e", 35))]
    found = by_user(levels, world(engine=shared_engine(), orders=orders, attributes=dated(*facts)))
    overall = 2 / 4
    level_1 = (2 + SHRINKAGE * overall) / (4 + SHRINKAGE)
    some_acts = (2 + SHRINKAGE * level_1) / (2 + SHRINKAGE)
    no_act = (0 + SHRINKAGE * level_1) / (2 + SHRINKAGE)
    assert found["c"]["next_level"] == pytest.approx(some_acts)
    assert found["e"]["next_level"] == pytest.approx(some_acts)
    assert found["d"]["next_level"] == pytest.approx(no_act)
    # Nobody is known to have held more than V2.
    assert (found["a"]["next_level"], found["b"]["next_level"]) == (0.0, 0.0)


def test_without_a_horizon_of_history_nothing_is_foretold() -> None:
    facts = dated(("a", "level", "V1", 35))
    assert by_user(levels, world(engine=shared_engine(), orders=[], attributes=facts))["a"]["next_level"] is None


def test_d29_d11_paid_tiers_with_upgrades_and_lapses() -> None:
    facts = dated(
        ("a", "tier", "senior", 1), ("a", "tier", "normal", 20), ("a", "tier", "Premium", 30),
        ("b", "tier", "normal", 1), ("c", "tier", "premium", 2), ("c", "tier", "normal", 39),
    )  # fmt: skip
    found = by_user(tiers, world(engine=shared_engine(), orders=[], attributes=facts))
    assert found == {
        "a": {"tier_paid": 1, "tier_days": 10.0, "tier_upgrades": 2, "tier_lapses": 1},
        "b": {"tier_paid": 0, "tier_days": 39.0, "tier_upgrades": 0, "tier_lapses": 0},
        "c": {"tier_paid": 0, "tier_days": 1.0, "tier_upgrades": 1, "tier_lapses": 1},
    }


def test_permissions_hold_until_they_are_taken_back() -> None:
    facts = dated(
        ("a", "distributor_grant", "yes", 10), ("a", "event_grant", "no", 10),
        ("b", "distributor_grant", "yes", 10), ("b", "distributor_grant", "no", 30),
        ("c", "region", "yes", 10),
    )  # fmt: skip
    assert by_user(permissions, world(engine=shared_engine(), orders=[], attributes=facts)) == {
        "a": {"grants_now": 1, "grants_ended": 0, "grant_days": 30.0},
        "b": {"grants_now": 0, "grants_ended": 1, "grant_days": None},
    }
