"""Each stage of a customer's life, at its borders. The horizon is 10 days."""

from datetime import timedelta

import pytest

from features.blocks.lifecycle import STAGES, lifecycle
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

LIVES = {
    "joined today": ((39,), "newcomer"),
    "joined a horizon ago": ((30, 39), "newcomer"),
    "joined before that": ((29.9, 39), "active"),
    "joined long before that": ((0, 15, 39), "active"),
    "last seen a horizon ago": ((0, 15, 30), "active"),
    "back in time": ((10, 35), "active"),
    "back after two horizons": ((9.9, 35), "returned"),
    "back since the horizon began": ((1, 30, 39), "returned"),
    "back earlier than that": ((1, 25, 39), "active"),
    "silent for over a horizon": ((0, 29.9), "cooling"),
    "silent for two horizons": ((20,), "cooling"),
    "silent for more": ((0, 19.9), "dormant"),
    "gone again": ((-40, 0, 5), "dormant"),
}


@pytest.mark.parametrize("life", LIVES)
def test_stage(life: str) -> None:
    days, stage = LIVES[life]
    orders = [{"user_id": "a", "ordered_at": day(at)} for at in days]
    found = by_user(lifecycle, world(engine=shared_engine(), orders=orders))
    assert found == {"a": {"stage": STAGES.index(stage)}}


def test_a_user_silent_since_before_the_lookback_is_not_listed_and_so_reads_as_dormant() -> None:
    orders = [{"user_id": "a", "ordered_at": day(5)}, {"user_id": "b", "ordered_at": day(39)}]
    tables = world(engine=shared_engine(), settings={"lookback": timedelta(days=30)}, orders=orders)
    assert set(by_user(lifecycle, tables)) == {"b"}
    assert STAGES[0] == "dormant"
