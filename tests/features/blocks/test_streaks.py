from dataclasses import replace
from typing import Any

import pytest

from features.blocks.streaks import check_ins
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

HOUR = 1 / 24


def found(*days: float, kind: str = "check_in", zone: str = "UTC") -> dict[str, Any]:
    rows = [{"user_id": "a", "kind": kind, "happened_at": day(at)} for at in days]
    tables = world(engine=shared_engine(), engagements=rows, orders=[{"user_id": "a", "ordered_at": day(1)}])
    tables = replace(tables, dataset=tables.dataset.model_copy(update={"zone": zone}))
    return by_user(check_ins, tables).get("a", {})


def test_d27_days_with_a_check_in_are_counted_in_the_week_and_in_a_row() -> None:
    # The date is the start of day 40: the last seven days are 33 to 39.
    seen = found(10, 11, 12, 13, 32, 33, 37, 38, 38.5, 39)
    assert seen == {
        "checkin_days_3d": 3,  # 37 is within three days of 40
        "checkin_days_10d": 5,
        "checkin_days_20d": 5,
        "checkin_days_all": 9,
        "checkin_week": 4,
        "checkin_streak": 3,
        "checkin_streak_max": 4,
    }


@pytest.mark.parametrize(("last", "streak"), [(39, 3), (38, 3), (37, 0)])
def test_d27_a_streak_is_broken_by_a_whole_day_without(last: float, streak: int) -> None:
    assert found(last - 2, last - 1, last)["checkin_streak"] == streak


def test_d27_days_are_local() -> None:
    # At 23 and 1 o'clock in UTC; in Shanghai, eight hours later, both lie on one day.
    moments = (30 - HOUR, 30 + HOUR)
    assert found(*moments)["checkin_days_all"] == 2
    assert found(*moments, zone="Asia/Shanghai")["checkin_days_all"] == 1
    # In Shanghai the date falls on the morning of day 40, in which nobody need have checked in yet.
    assert found(38, 39, zone="Asia/Shanghai")["checkin_streak"] == 2


@pytest.mark.parametrize(("kind", "counts"), [("check-in", True), ("Check In", True), ("checkin", True), ("post", False)])
def test_kinds_are_read_however_they_are_spelled(kind: str, counts: bool) -> None:
    assert bool(found(39, kind=kind)) == counts
