"""Spaces and attendance of a few people."""

from features.blocks.spaces import attendance, spaces
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

COMMUNITIES = [{"community_id": name, "space": name} for name in ("offline", "community", "online")]


def test_d04_coverage_is_three_only_with_evidence_in_each_space() -> None:
    joined = [("all", "offline"), ("all", "community"), ("all", "online"), ("two", "offline"), ("two", "online"),
              ("near", "community")]  # fmt: skip
    memberships = [{"community_id": community, "user_id": user, "joined_at": day(1)} for user, community in joined]
    orders = [
        {"user_id": "near", "channel": "app", "ordered_at": day(5)},
        {"user_id": "shop", "channel": "store", "ordered_at": day(5)},
        {"user_id": "unknown", "channel": None, "ordered_at": day(5)},
    ]
    engagements = [
        {"user_id": "near", "kind": "offline_event", "happened_at": day(6), "community_id": None},
        {"user_id": "talker", "kind": "message", "happened_at": day(6), "community_id": "community"},
        {"user_id": "late", "kind": "offline_event", "happened_at": day(50), "community_id": None},
    ]
    tables = world(
        engine=shared_engine(), orders=orders, memberships=memberships, communities=COMMUNITIES, engagements=engagements
    )
    found = by_user(spaces, tables)
    assert {user: row["spaces_covered"] for user, row in found.items()} == {
        "all": 3, "two": 2, "near": 3, "shop": 1, "unknown": 1, "talker": 1,
    }  # fmt: skip
    assert (found["shop"]["space_offline"], found["shop"]["space_online"]) == (1, 0)
    assert (found["two"]["space_community"], found["talker"]["space_community"]) == (0, 1)


def test_d13_days_met_in_person() -> None:
    acts = [("a", "offline_event", 39), ("a", "meetup", 39.1), ("a", "offline_event", 10), ("a", "live", 38),
            ("b", "post", 39), ("c", "offline_event", 41)]  # fmt: skip
    engagements = [{"user_id": user, "kind": kind, "happened_at": day(at)} for user, kind, at in acts]
    found = by_user(attendance, world(engine=shared_engine(), orders=[], engagements=engagements))
    assert set(found) == {"a"}
    # A meetup and an event of one day are one day in person.
    assert [found["a"][f"offline_days_{w}"] for w in ("3d", "10d", "20d", "all")] == [1, 1, 1, 2]
    assert found["a"]["offline_idle_days"] == 1.0
