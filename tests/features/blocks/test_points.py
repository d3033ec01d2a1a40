"""Points of a few people by what they were granted for."""

from features.blocks.points import points
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

GRANTS = [
    ("a", "points", 100, "spending", 39),
    ("a", "points", 30, "posting", 25),
    ("a", "points", 20, "moments", 5),
    ("a", "points", 50, "birthday", 5),
    ("a", "points", -80, "spending", 38),  # spent
    ("a", "coupon", 500, "sharing", 39),
    ("b", "points", 5, "check_in", 35),
    ("b", "points", 5, "check_in", 41),  # later
    ("c", "coupon", 500, None, 39),
]


def test_d10_points_are_told_apart_by_what_earned_them() -> None:
    rows = [
        {"user_id": user, "kind": kind, "amount": amount, "source": source, "granted_at": day(at)}
        for user, kind, amount, source, at in GRANTS
    ]
    found = by_user(points, world(engine=shared_engine(), orders=[], rewards=rows))
    assert set(found) == {"a", "b"}
    a, b = found["a"], found["b"]
    assert [a[f"points_{w}"] for w in ("3d", "10d", "20d", "all")] == [100, 100, 130, 200]
    assert [a[f"points_{name}_all"] for name in ("spending", "check_in", "sharing", "posting")] == [100, 0, 20, 30]
    assert [a[f"points_posting_{w}"] for w in ("10d", "20d")] == [0, 30]
    assert a["points_task_share"] == 0.25
    assert (b["points_check_in_10d"], b["points_all"], b["points_task_share"]) == (5, 5, 1.0)


def test_rewards_without_kinds_are_points() -> None:
    rows = [{"user_id": "a", "amount": 7, "source": "order", "granted_at": day(30)}]
    found = by_user(points, world(engine=shared_engine(), orders=[], rewards=rows))
    assert (found["a"]["points_all"], found["a"]["points_spending_all"]) == (7, 7)
