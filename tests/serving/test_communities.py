"""Communities of a batch, checked by head."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from serving.communities import communities_of
from serving.store.schemas import COMMUNITIES_SCHEMA, TIES_SCHEMA
from tests.worlds import day, world

USERS = np.array(["a", "b", "c", "d"], dtype=object)
FRAME: Any = SimpleNamespace(users=USERS, churn_population=np.array([True, True, False, True]))
SAID: Any = SimpleNamespace(churn=np.array([0.25, 0.75, 0.9, 0.5]))
SCORED = pa.table({"user_id": list("dabc"), "koc_score": [4.0, 3.0, 2.0, 1.0], "stage": ["active"] * 4})
CHURN = ("community_id", "members", "rated", "expected_leavers", "leave_rate")


def membership(user: str, community: str, joined: float, left: float | None = None, role: str = "member") -> dict[str, Any]:
    joined_at, left_at = day(joined), day(left) if left else None
    return {"user_id": user, "community_id": community, "joined_at": joined_at, "left_at": left_at, "role": role}


def snapshot(*memberships: dict[str, Any]) -> Snapshot:
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(1)} for user in USERS]
    return prepare(take_snapshot(world(orders=orders, memberships=list(memberships)), day(10)))


def carried(*ties: tuple[str, str, float]) -> pa.Table:
    """Ties: who may follow, whom, and how many follow-ups are expected."""
    columns: list[list[Any]] = [list(column) for column in zip(*ties, strict=True)] if ties else [[], [], []]
    names = ("user_id", "influencer_id", "expected_follow_ups")
    return pa.table({**dict(zip(names, columns, strict=True)), "strength": [1.0] * len(ties)}, schema=TIES_SCHEMA)


def by_community(*memberships: dict[str, Any], users: pa.Table = SCORED, ties: pa.Table | None = None) -> dict[str, Any]:
    found = communities_of(FRAME, SAID, snapshot(*memberships), users, carried() if ties is None else ties)
    return {row["community_id"]: row for row in found.to_pylist()}


def test_expected_leavers_are_summed_over_those_who_are_still_members() -> None:
    found = by_community(
        membership("a", "mothers", 1),
        membership("a", "mothers", 3),  # joined again: one person
        membership("b", "mothers", 2),
        membership("c", "mothers", 2),  # has not ordered lately: no probability
        membership("d", "mothers", 2, left=5),
        membership("d", "book club", 4, left=12),  # leaves after the date
        membership("c", "silent", 4),
    )
    assert [tuple(found[name][column] for column in CHURN) for name in ("book club", "mothers", "silent")] == [
        ("book club", 1, 1, 0.5, 0.5),
        ("mothers", 3, 2, pytest.approx(1.0), 0.5),
        ("silent", 1, 0, 0.0, None),
    ]


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_d67_the_best_candidate_moves_the_people_of_this_very_group(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("serving.communities.TIES_AT_ONCE", at_once)
    members = [membership(user, "mothers", 1) for user in "abc"] + [membership("d", "club", 1), membership("a", "club", 1)]
    ties = carried(("b", "c", 0.2), ("a", "c", 0.2), ("c", "a", 0.3), ("d", "a", 0.9), ("x", "b", 5.0))
    found = by_community(*members, ties=ties)
    # c moves .4 inside, a only .3 there and .9 in the club, b nobody but a stranger.
    assert (found["mothers"]["candidate_id"], found["mothers"]["candidate_moves"]) == ("c", pytest.approx(0.4))
    assert (found["club"]["candidate_id"], found["club"]["candidate_moves"]) == ("a", pytest.approx(0.9))
    assert found["mothers"]["leaderless"]


def test_without_expectations_the_best_score_is_the_candidate_among_those_who_act() -> None:
    members = [membership(user, "mothers", 1) for user in "abcd"]
    told = by_community(*members)["mothers"]
    assert (told["candidate_id"], told["candidate_moves"]) == ("d", None)
    asleep = SCORED.set_column(2, "stage", pa.array(["dormant", "active", "active", "active"]))
    assert by_community(*members, users=asleep)["mothers"]["candidate_id"] == "a"
    assert by_community(*members, users=SCORED.drop_columns("koc_score"))["mothers"]["candidate_id"] is None


def test_d81_clusters_have_candidates_where_no_community_is_known() -> None:
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(1)} for user in USERS]
    nobody = prepare(take_snapshot(world(orders=orders), day(10)))
    users = SCORED.append_column("cluster_id", pa.array(["cluster:a", "cluster:a", "cluster:a", None], pa.string()))
    (row,) = communities_of(FRAME, SAID, nobody, users, carried()).to_pylist()
    assert (row["community_id"], row["source"], row["members"], row["candidate_id"]) == ("cluster:a", "cluster", 3, "d")
    assert row["leaderless"] is None
    assert communities_of(FRAME, SAID, nobody, SCORED, carried()).equals(COMMUNITIES_SCHEMA.empty_table())


def test_without_churn_nobody_is_rated() -> None:
    silent: Any = SimpleNamespace(churn=None)
    (row,) = communities_of(FRAME, silent, snapshot(membership("a", "mothers", 1)), SCORED, carried()).to_pylist()
    assert (row["rated"], row["expected_leavers"], row["leave_rate"]) == (0, 0.0, None)
