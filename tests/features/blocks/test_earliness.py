"""Who was early: two subjects, four buyers."""

import pytest

from features.blocks.earliness import earliness
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

BOUGHT = {"a": (("x", 0), ("y", 38), ("x", 39)), "b": (("x", 10),), "c": (("x", 10),), "d": (("x", 38), (None, 39))}


def test_positions_of_adoptions() -> None:
    orders = [{"user_id": u, "item_id": item, "ordered_at": day(at)} for u, rows in BOUGHT.items() for item, at in rows]
    none = {"first_adoptions_3d": 0, "first_adoptions_10d": 0, "first_adoptions_20d": 0, "subject_popularity": 4.0}
    # b and c came at one moment: both are second, and each has the other and d not before them.
    second = {**none, "subject_age_days": 10.0, "adoption_position": 0.25, "later_buyers": 2.0}
    assert by_user(earliness, world(engine=shared_engine(), orders=orders)) == {
        "a": pytest.approx(
            {
                "first_adoptions_3d": 1,
                "first_adoptions_10d": 1,
                "first_adoptions_20d": 1,
                "subject_age_days": 0.0,
                "adoption_position": 0.0,
                "later_buyers": (3 + 0) / 2,
                "subject_popularity": (4 + 1) / 2,
            }
        ),
        "b": pytest.approx(second),
        "c": pytest.approx(second),
        "d": pytest.approx({**none, "subject_age_days": 38.0, "adoption_position": 0.75, "later_buyers": 0.0}),
    }


def test_the_fourth_buyer_is_not_among_the_first_three() -> None:
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(38 + n / 10)} for n, user in enumerate("abcd")]
    found = by_user(earliness, world(engine=shared_engine(), orders=orders))
    assert {user: row["first_adoptions_3d"] for user, row in found.items()} == {"a": 1, "b": 1, "c": 1, "d": 0}
