"""Degrees and structure of a triangle, a star, a path and a mutual pair, against values worked out by head."""

from math import log10

import numpy as np
import pyarrow as pa
import pytest

from features.blocks.ties import degrees, degrees_by_kind, structure_of, tie_structure
from features.tables import Tables
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

TRIANGLE = (("a", "b"), ("b", "c"), ("c", "a"))
STAR = (("s1", "hub"), ("s2", "hub"), ("s3", "hub"))
PATH = (("p1", "p2"), ("p2", "p3"))
PAIR = (("m1", "m2"), ("m2", "m1"))


def graph(*arcs: tuple[str, str]) -> Tables:
    """Ties from the person who may be influenced to the one who may influence."""
    return world(
        engine=shared_engine(),
        orders=[{"user_id": "z", "ordered_at": day(39)}],
        ties=[{"user_id": user, "influencer_id": influencer} for user, influencer in arcs],
    )


def degree(followers: int, following: int, mutual: int, reciprocity: float) -> dict[str, float]:
    return {"followers": followers, "following": following, "mutual": mutual, "reciprocity": reciprocity}


def test_degrees() -> None:
    assert by_user(degrees, graph(*TRIANGLE, *STAR, *PATH, *PAIR)) == {
        **dict.fromkeys("abc", degree(1, 1, 0, 0.0)),
        "hub": degree(3, 0, 0, 0.0),
        **dict.fromkeys(("s1", "s2", "s3"), degree(0, 1, 0, 0.0)),
        "p1": degree(0, 1, 0, 0.0),
        "p2": degree(1, 1, 0, 0.0),
        "p3": degree(1, 0, 0, 0.0),
        **dict.fromkeys(("m1", "m2"), degree(1, 1, 1, 1.0)),
    }


def test_one_of_two_neighbours_is_mutual() -> None:
    assert by_user(degrees, graph(*PAIR, ("m1", "x")))["m1"] == degree(1, 2, 1, 0.5)


def test_repeated_ties_and_ties_with_oneself_do_not_count() -> None:
    assert by_user(degrees, graph(("a", "b"), ("a", "b"), ("a", "a"))) == {
        "a": degree(0, 1, 0, 0.0),
        "b": degree(1, 0, 0, 0.0),
    }


def test_a_tie_of_later_is_not_yet_one() -> None:
    ties = [{"user_id": user, "influencer_id": "hub", "since": since} for user, since in (("a", day(39)), ("b", day(40)))]
    orders = [{"user_id": "z", "ordered_at": day(39)}]
    tables = world(engine=shared_engine(), orders=orders, ties=ties)
    assert by_user(degrees, tables)["hub"] == degree(1, 0, 0, 0.0)
    assert set(by_user(tie_structure, tables)) == {"a", "hub"}


def test_degrees_by_kind() -> None:
    kinds = ("friend", "follow", "trust", "invite", "co-member")
    ties = [
        {"user_id": f"{kind} {n}", "influencer_id": "hub", "kind": kind}
        for many, kind in enumerate(kinds, start=1)
        for n in range(many)
    ]
    ties += [{"user_id": "friend 0", "influencer_id": "hub", "kind": kind} for kind in ("friend", "follow", "cousin", None)]
    ties += [{"user_id": "hub", "influencer_id": "hub", "kind": "friend"}]
    found = by_user(
        degrees_by_kind, world(engine=shared_engine(), orders=[{"user_id": "z", "ordered_at": day(39)}], ties=ties)
    )
    nothing = {f"{side}_{kind}": 0 for side in ("followers", "following") for kind in [k.replace("-", "_") for k in kinds]}
    assert found["hub"] == {
        **nothing,
        "followers_friend": 1,
        "followers_follow": 2 + 1,
        "followers_trust": 3,
        "followers_invite": 4,
        "followers_co_member": 5,
    }
    assert found["friend 0"] == {**nothing, "following_friend": 1, "following_follow": 1}
    assert [found[f"{kind} 0"][f"following_{kind.replace('-', '_')}"] for kind in kinds] == [1] * 5


def test_in_a_triangle_all_are_alike() -> None:
    assert by_user(tie_structure, graph(*TRIANGLE)) == dict.fromkeys(
        "abc", pytest.approx({"pagerank_log": 0.0, "core": 2, "clustering": 1.0})
    )


def test_the_hub_of_a_star_has_the_rank() -> None:
    # Who follows nobody jumps anywhere. With d = .85 a leaf has l = .15/4 + .85 h/4 and the hub h = l + 3 x .85 l = 3.55 l;
    # together they have 1, so l = 1/6.55. The mean rank is 1/4.
    leaf = {"pagerank_log": log10(4 / 6.55), "core": 1, "clustering": None}
    assert by_user(tie_structure, graph(*STAR)) == {
        "hub": pytest.approx({"pagerank_log": log10(4 * 3.55 / 6.55), "core": 1, "clustering": 0.0}),
        **dict.fromkeys(("s1", "s2", "s3"), pytest.approx(leaf)),
    }


def test_along_a_path_rank_grows() -> None:
    found = by_user(tie_structure, graph(*PATH))
    # p2 = p1 + .85 p1 and p3 = p1 + .85 p2.
    first = found["p1"]["pagerank_log"]
    assert found["p2"]["pagerank_log"] - first == pytest.approx(log10(1.85))
    assert found["p3"]["pagerank_log"] - first == pytest.approx(log10(1 + 0.85 * 1.85))
    assert {user: (row["core"], row["clustering"]) for user, row in found.items()} == {
        "p1": (1, None),
        "p2": (1, 0.0),
        "p3": (1, None),
    }


def test_a_mutual_pair_is_one_edge_of_the_undirected_graph() -> None:
    assert by_user(tie_structure, graph(*PAIR)) == dict.fromkeys(
        ("m1", "m2"), pytest.approx({"pagerank_log": 0.0, "core": 1, "clustering": None})
    )


def test_a_triangle_with_a_tail() -> None:
    found = by_user(tie_structure, graph(*TRIANGLE, ("tail", "a")))
    assert {user: (row["core"], row["clustering"]) for user, row in found.items()} == {
        "a": (2, pytest.approx(1 / 3)),  # of three pairs of neighbours only b and c know each other
        "b": (2, 1.0),
        "c": (2, 1.0),
        "tail": (1, None),
    }


def test_structure_without_ties_is_an_empty_table() -> None:
    table = structure_of(pa.array([], pa.string()), np.empty(0, np.int64))
    assert (table.num_rows, table.column_names) == (0, ["user_id", "pagerank_log", "core", "clustering"])
