"""Columns of a batch that lists read: who is new, what is at risk, where people belong."""

import pytest

from serving.category_record import category_record
from serving.scores import user_facts
from tests.worlds import day, world
from training.timeline import Timeline


def test_where_people_belong() -> None:
    orders = [
        {"user_id": user, "item_id": "i", "ordered_at": day(at), "amount": 100}
        for user, at in (("a", 1), ("b", 2), ("c", 3))
    ]
    orders += [{"user_id": "b", "item_id": "t", "ordered_at": day(4), "amount": 100}]
    orders += [{"user_id": "c", "item_id": "t", "ordered_at": day(5), "amount": 100}]
    tables = world(
        orders=orders,
        items=[{"item_id": "i", "category": "tea"}, {"item_id": "t", "category": "toys"}],
        ties=[{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "b"}],
        memberships=[
            {"user_id": user, "community_id": group, "joined_at": day(0), "left_at": left}
            for user, group, left in (("a", "g2", None), ("a", "g1", None), ("b", "g2", None), ("c", "g3", day(1)))
        ],
        until=day(40),
    )  # fmt: skip
    timeline = Timeline(tables)
    frame = timeline.frame(day(10))
    facts = user_facts(frame, timeline.snapshot(day(10)))
    assert frame.users.tolist() == ["a", "b", "c"]
    assert facts["audience"].to_pylist() == [1, 1, 0]
    # a moved b to tea; b moved c to tea and to toys, and of equal ones the first counts.
    assert facts["main_category"].to_pylist() == ["tea", "tea", None]
    # g2 has two members, g1 one, and c has left.
    assert facts["community_id"].to_pylist() == ["g2", "g2", None]


@pytest.mark.parametrize("column", ["main_category", "community_id", "audience"])
def test_what_no_table_tells_is_not_there(column: str) -> None:
    timeline = Timeline(world(orders=[{"user_id": "a", "item_id": "i", "ordered_at": day(1)}], until=day(40)))
    assert column not in user_facts(timeline.frame(day(10)), timeline.snapshot(day(10))).column_names


def test_d26_what_is_known_of_each_user_by_category() -> None:
    bought = (("a", "i", 1), ("b", "i", 2), ("b", "t", 3), ("c", "t", 9), ("c", "none", 9))
    orders = [{"user_id": user, "item_id": item, "ordered_at": day(at)} for user, item, at in bought]
    tables = world(
        orders=orders,
        items=[{"item_id": "i", "category": "tea"}, {"item_id": "t", "category": "toys"}],
        ties=[{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "a"}],
        until=day(40),
    )
    found = category_record(Timeline(tables).snapshot(day(10))).read_all().to_pylist()
    assert [tuple(row.values()) for row in found] == [
        ("a", "tea", 1.0, 1, 1),
        ("b", "tea", 0.0, 1, 0),
        ("a", "toys", 0.0, 0, 2),
        ("b", "toys", 0.0, 1, 0),
        ("c", "toys", 0.0, 1, 0),
    ]
