"""Communities that the sources give, neighbourhoods by address, and clusters of people who know each other."""

from typing import Any

import pyarrow as pa

from features.groups.members import Members, detected_clusters, members_of
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from tests.worlds import day, world


def known(**tables: Any) -> Snapshot:
    return prepare(take_snapshot(world(**({"orders": []} | tables)), day(40)))


def listed(members: Members) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in members.rows.to_pylist():
        found.setdefault(row["community_id"], []).append(row["user_id"])
    return found


def test_d03_one_person_is_in_many_communities() -> None:
    rows = [("wechat", "a", None), ("club", "a", None), ("club", "b", None), ("club", "c", 9), ("wechat", "b", 50)]
    memberships = [
        {"community_id": community, "user_id": user, "joined_at": day(1), "left_at": left and day(left)}
        for community, user, left in rows
    ]
    again = {"community_id": "wechat", "user_id": "a", "joined_at": day(3), "left_at": None}
    members = members_of(known(memberships=[*memberships, again]))
    assert listed(members) == {"club": ["a", "b"], "wechat": ["a", "b"]}
    assert members.sizes.tolist() == [2, 2]
    assert members.source.to_pylist() == ["given", "given"]


def test_d12_people_of_one_compound_are_a_neighbourhood() -> None:
    facts = [("a", "compound", "Rose Garden", 1), ("b", "compound", "Rose Garden", 1), ("c", "compound", "Lake View", 1),
             ("b", "compound", "Lake View", 20), ("d", "region", "Rose Garden", 1)]  # fmt: skip
    attributes = [{"user_id": u, "name": name, "value": value, "valid_from": day(at)} for u, name, value, at in facts]
    members = members_of(known(attributes=attributes))
    assert listed(members) == {"compound:Lake View": ["b", "c"], "compound:Rose Garden": ["a"]}
    assert members.source.to_pylist() == ["neighbourhood", "neighbourhood"]


def circle(*people: str) -> list[dict[str, Any]]:
    return [{"user_id": a, "influencer_id": b} for a in people for b in people if a < b]


def test_d81_clusters_that_organise_themselves_are_found() -> None:
    ties = [*circle("a", "b", "c", "d"), *circle("w", "x", "y", "z"), {"user_id": "d", "influencer_id": "w"},
            {"user_id": "m", "influencer_id": "n"}]  # fmt: skip
    found = detected_clusters(known(ties=ties))
    assert dict(zip(*found.to_pydict().values(), strict=True)) == {
        **dict.fromkeys("abcd", "cluster:a"), "m": None, "n": None, **dict.fromkeys("wxyz", "cluster:w"),
    }  # fmt: skip
    assert listed(members_of(known(ties=ties), found)) == {"cluster:a": list("abcd"), "cluster:w": list("wxyz")}
    assert detected_clusters(known(ties=ties[::-1])).equals(found)


def test_clusters_stand_in_only_where_no_memberships_are_given() -> None:
    clusters = pa.table({"user_id": ["a", "b"], "cluster_id": ["cluster:a", None]})
    given = known(memberships=[{"community_id": "club", "user_id": "a", "joined_at": day(1)}])
    assert listed(members_of(given, clusters)) == {"club": ["a"]}
    assert listed(members_of(known(), clusters)) == {"cluster:a": ["a"]}
    assert not len(members_of(known()))
    assert not len(detected_clusters(known()))
