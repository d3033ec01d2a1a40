"""Acquaintances at join, sizes of communities and teams of a few people."""

from typing import Any

from features.blocks.acquaintances import acquaintances, community_sizes, team
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def joins(*rows: tuple[str, str, float, float | None, str | None]) -> list[dict[str, Any]]:
    return [
        {
            "community_id": community,
            "user_id": user,
            "joined_at": day(at),
            "left_at": left and day(left),
            "inviter_id": inviter,
        }
        for community, user, at, left, inviter in rows
    ]


def test_d20_people_known_on_joining() -> None:
    rows = joins(
        ("c", "founder", 1, None, None),
        ("c", "friend", 2, None, None),
        ("c", "stranger", 3, None, None),
        ("c", "later", 4, None, None),  # the tie to founder begins after the join
        ("c", "two", 5, 20, None),
        ("d", "stranger", 1, None, None),  # the founder of d has nobody to know
        ("d", "two", 2, None, None),
    )
    ties = [
        {"user_id": "friend", "influencer_id": "founder", "since": day(0)},
        {"user_id": "founder", "influencer_id": "friend", "since": None},
        {"user_id": "later", "influencer_id": "founder", "since": day(6)},
        {"user_id": "founder", "influencer_id": "two", "since": None},  # either way
        {"user_id": "two", "influencer_id": "friend", "since": day(1)},
        {"user_id": "stranger", "influencer_id": "two", "since": None},  # who comes after
    ]
    found = by_user(acquaintances, world(engine=shared_engine(), orders=[], memberships=rows, ties=ties))
    assert found == {
        "friend": {"joins_knowing_nobody": 0, "known_at_join_mean": 1.0, "communities_alone": 0},
        "stranger": {"joins_knowing_nobody": 1, "known_at_join_mean": 0.0, "communities_alone": 1},
        "later": {"joins_knowing_nobody": 1, "known_at_join_mean": 0.0, "communities_alone": 1},
        # Founder, friend and stranger in c, the stranger in d.
        "two": {"joins_knowing_nobody": 0, "known_at_join_mean": 2.0, "communities_alone": 0},
    }


def test_d56_communities_by_size_band() -> None:
    sizes = {"c40": 40, "c41": 41, "c50": 50, "c150": 150, "c500": 500}
    rows = joins(*((c, "me" if n == 0 else f"{c}-{n}", 1, None, None) for c, size in sizes.items() for n in range(size)))
    rows += joins(("c40", "gone", 1, 3, None))
    found = by_user(community_sizes, world(engine=shared_engine(), orders=[], memberships=rows))
    assert found["me"] == {
        "communities_to_40": 1, "communities_to_49": 1, "communities_to_149": 1, "communities_to_499": 1,
        "communities_from_500": 1, "community_smallest": 40.0,
    }  # fmt: skip
    assert "gone" not in found
    assert found["c150-7"]["communities_to_499"] == 1


def test_d64_a_team_and_what_it_misses_to_the_next_size() -> None:
    rows = joins(
        ("c", "a", 1, None, "boss"), ("d", "a", 1, None, "boss"), ("c", "b", 2, None, "boss"), ("c", "x", 2, 9, "boss"),
        ("c", "boss", 1, None, "boss"), ("c", "y", 3, None, "a"),
    )  # fmt: skip
    found = by_user(team, world(engine=shared_engine(), orders=[], memberships=rows))
    assert found == {"boss": {"team_size": 2, "team_missing": 1.0}, "a": {"team_size": 1, "team_missing": 2.0}}
