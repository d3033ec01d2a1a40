import pyarrow as pa
import pytest

from features.snapshot import Snapshot
from features.tables import Tables
from serving.extra_columns import EXTRA_COLUMNS, extra_columns
from serving.extra_contract import ExtraColumns, extra
from serving.scores import user_facts
from tests.worlds import day, world
from training.frame import Frame
from training.timeline import Timeline


@extra({"orders": ("amount",)})
def luck(snapshot: Snapshot, frame: Frame) -> pa.Table:  # noqa: ARG001
    """Some luck.

    luck         float64  the more the better
    luck_reason  string   why
    """
    return pa.table({"user_id": ["d", "b", "a"], "luck": [4.0, 2.0, 1.0], "luck_reason": ["?", "two", "one"]})


def shop(**order: int) -> Tables:
    orders = [{"user_id": user, "item_id": "i", "ordered_at": day(number), **order} for number, user in enumerate("cba")]
    return world(orders=orders, until=day(5))


def test_columns_come_in_the_order_of_the_frame() -> None:
    timeline = Timeline(shop(amount=100))
    found = extra_columns(timeline.snapshot(day(5)), timeline.frame(day(5)), (luck,))
    assert timeline.frame(day(5)).users.tolist() == ["a", "b", "c"]
    assert {name: column.to_pylist() for name, column in found.items()} == {
        "luck": [1.0, 2.0, None],
        "luck_reason": ["one", "two", None],
    }


def test_without_their_tables_there_are_none() -> None:
    timeline = Timeline(shop())
    assert not luck.available(timeline.snapshot(day(5)))
    assert extra_columns(timeline.snapshot(day(5)), timeline.frame(day(5)), (luck,)) == {}


def test_they_are_among_what_is_so_of_each_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.extra_columns.EXTRA_COLUMNS", (luck,))
    timeline = Timeline(shop(amount=100))
    assert user_facts(timeline.frame(day(5)), timeline.snapshot(day(5)))["luck"].to_pylist() == [1.0, 2.0, None]


@pytest.mark.parametrize("maker", EXTRA_COLUMNS, ids=lambda maker: maker.name)
def test_each_lists_columns_that_nobody_else_has(maker: ExtraColumns) -> None:
    others = {name for other in EXTRA_COLUMNS if other is not maker for name in other.columns}
    assert maker.columns
    assert others.isdisjoint(maker.columns)
