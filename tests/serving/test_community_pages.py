"""Pages of communities, as keys see them."""

from pathlib import Path
from typing import Any

import pytest

from features.errors import ScoresError
from serving.access.principal import Principal, Scope
from serving.community_pages import SortBy, Wanted, page
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore
from tests.serving.batches import communities_table, write_users

ROWS: list[dict[str, Any]] = [
    {"community_id": "g1", "kind": "club", "origin": "event", "size_band": "to_40", "members": 30, "value_per_head": 900.0,
     "leaderless": True, "candidate_id": "a", "broker_id": "c", "survival_90d": 0.2},
    {"community_id": "g2", "kind": "wecom_group", "origin": "relation", "size_band": "to_499", "members": 300,
     "value_per_head": 50.0, "leaderless": False, "leader_id": "c", "candidate_id": "b", "survival_90d": 0.9},
    {"community_id": "g3", "kind": "club", "origin": "relation", "size_band": "to_40", "members": 20, "value_per_head": None,
     "leaderless": None, "candidate_id": "c", "survival_90d": 0.5},
]  # fmt: skip
USERS = [
    {"user_id": "a", "community_id": "g1", "attribute_region": "Hangzhou"},
    {"user_id": "b", "community_id": "g2", "attribute_region": "Hangzhou"},
    {"user_id": "c", "community_id": "g3", "attribute_region": "Wuhan"},
]


@pytest.fixture
def batch(tmp_path: Path) -> Batch:
    write_users(ScoreStore(tmp_path), USERS, communities=communities_table(ROWS))
    return ScoreStore(tmp_path).open()


def ids(batch: Batch, **wanted: Any) -> list[str]:
    return page(batch, Wanted(**wanted)).rows["community_id"].to_pylist()


def test_d71_d70_the_small_rich_group_comes_first(batch: Batch) -> None:
    assert ids(batch) == ["g1", "g2", "g3"]
    assert ids(batch, by=SortBy.MEMBERS) == ["g2", "g1", "g3"]
    assert ids(batch, by=SortBy.SURVIVAL, rising=True) == ["g1", "g3", "g2"]


def test_d56_d67_filters_by_band_and_leader(batch: Batch) -> None:
    assert ids(batch, size_band="to_40") == ["g1", "g3"]
    assert ids(batch, leaderless=True) == ["g1"]
    assert ids(batch, leaderless=False) == ["g2"]
    assert ids(batch, kind="club", origin="relation") == ["g3"]
    with pytest.raises(ScoresError, match="no community has kind 'mcn'; choose from club, wecom_group"):
        page(batch, Wanted(kind="mcn"))


def test_pages_follow_each_other(batch: Batch) -> None:
    first = page(batch, Wanted(limit=2))
    assert (len(first.rows), first.total, first.next) == (2, 3, 2)
    last = page(batch, Wanted(limit=2, start=2))
    assert (last.rows["community_id"].to_pylist(), last.next) == (["g3"], None)
    assert page(batch, Wanted(start=9)).total == 3


def test_a_key_sees_groups_of_its_people_and_no_other_names(batch: Batch) -> None:
    key = Principal("k1", "hangzhou", frozenset({Scope.READ}), {"attribute_region": ("Hangzhou",)})
    found = page(batch, Wanted(), key)
    assert found.rows.select(["community_id", "leader_id", "broker_id", "candidate_id"]).to_pylist() == [
        {"community_id": "g1", "leader_id": None, "broker_id": None, "candidate_id": "a"},
        {"community_id": "g2", "leader_id": None, "broker_id": None, "candidate_id": "b"},
    ]
    nobody = Principal("k2", "nowhere", frozenset({Scope.READ}), {"attribute_region": ("Lhasa",)})
    assert page(batch, Wanted(), nobody).total == 0
