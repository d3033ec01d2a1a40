from math import exp, log

import numpy as np
import pytest
from torch_geometric.data import HeteroData
from torch_geometric.typing import EdgeType

from tests.training.frames import frame_of
from training.frame import Frame
from training.graph import BOUGHT_BY, BUYS, FOLLOWED, FOLLOWERS, FRESH_SHARE, build_graph, kinds_of, paths

USERS, X = ["a", "b", "c", "d"], {"acts_10d": [1.0, 2.0, 4.0, 8.0]}
# b and c may follow a, d may follow b; somebody who never acted may follow a too.
TIES = [
    {"user_id": "b", "influencer_id": "a", "strength": 1.0},
    {"user_id": "c", "influencer_id": "a", "strength": 3.0},
    {"user_id": "d", "influencer_id": "b", "strength": 2.0},
    {"user_id": "nobody", "influencer_id": "a", "strength": 5.0},
]
BOUGHT = [("a", "s", 0.0), ("b", "s", 10.0), ("b", "t", 10.0)]


@pytest.fixture(scope="module")
def frame() -> Frame:
    return frame_of(USERS, X, ties=TIES, bought=BOUGHT, horizon_days=10)


def dense(graph: HeteroData, step: EdgeType) -> np.ndarray:
    return graph[step].adj_t.to_dense().numpy()


def test_ties_lead_both_ways_and_weigh_by_strength(frame: Frame) -> None:
    graph = build_graph(frame)
    # Rows are targets. Of a's followers c weighs three times as much as b; who never acted has nothing to carry.
    np.testing.assert_allclose(dense(graph, FOLLOWERS), [[0, 0.25, 0.75, 0], [0, 0, 0, 1], [0] * 4, [0] * 4])
    np.testing.assert_allclose(dense(graph, FOLLOWED), [[0] * 4, [1, 0, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0]])


def test_purchases_weigh_by_recency_and_by_how_rare_the_subject_is(frame: Frame) -> None:
    graph = build_graph(frame)
    now, then = 1 + FRESH_SHARE, exp(-1) + FRESH_SHARE
    # s was bought by a just now and by b a horizon ago; t by b alone.
    np.testing.assert_allclose(
        dense(graph, BUYS), [[now / (now + then), then / (now + then), 0, 0], [0, 1, 0, 0]], rtol=1e-6
    )
    common, rare = 1 / log(4), 1 / log(3)
    taste = [common / (common + rare), rare / (common + rare)]
    np.testing.assert_allclose(dense(graph, BOUGHT_BY), [[1, 0], taste, [0, 0], [0, 0]], rtol=1e-6)


def test_paths_are_named_from_the_user_outwards(frame: Frame) -> None:
    wide = {"followers": (FOLLOWERS,), "followed": (FOLLOWED,), "alike": (BUYS, BOUGHT_BY)}
    assert dict(paths(build_graph(frame).edge_types, 1)) == wide
    two = dict(paths(build_graph(frame).edge_types, 2))
    assert [*two][:3] == [*wide]
    # Nine pairs, without that of people alike to people alike.
    assert len(two) == 3 + 8
    assert "alike_of_alike" not in two
    assert two["followers_of_followed"] == (FOLLOWERS, FOLLOWED)
    assert two["alike_of_followers"] == (BUYS, BOUGHT_BY, FOLLOWERS)
    assert len(dict(paths(build_graph(frame).edge_types, 3))) == 3 + 8 + 22


def test_parts_of_the_graph_may_be_left_out(frame: Frame) -> None:
    np.testing.assert_allclose(dense(build_graph(frame, ["strength"]), FOLLOWERS)[0], [0, 0.5, 0.5, 0])
    assert [name for name, _ in paths(build_graph(frame, ["ties"]).edge_types, 2)] == ["alike"]
    assert [name for name, _ in paths(build_graph(frame, ["items"]).edge_types, 1)] == ["followers", "followed"]
    assert not [*paths(build_graph(frame, ["ties", "items"]).edge_types, 2)]


def test_kinds_have_paths_of_their_own_where_there_are_several() -> None:
    kinds = [{"kind_friend": 1.0}, {"kind_follow": 1.0}, {"kind_friend": 1.0, "kind_follow": 1.0}]
    ties = [{**tie, "kind_friend": 0.0, "kind_follow": 0.0, **kind} for tie, kind in zip(TIES[:3], kinds, strict=True)]
    graph = build_graph(frame_of(USERS, X, ties=ties))
    known = dict(paths(graph.edge_types, 2))
    one_hop = [name for name in known if "_of_" not in name]
    assert one_hop == ["followers", "followed", "followers_kind_friend", "followed_kind_friend",
                       "followers_kind_follow", "followed_kind_follow"]  # fmt: skip
    # Kinds end after one hop.
    assert len(known) == 6 + 4
    friends, follows = (dense(graph, known[f"followers_kind_{kind}"][0]) for kind in ("friend", "follow"))
    np.testing.assert_allclose(friends, [[0, 1, 0, 0], [0, 0, 0, 1], [0] * 4, [0] * 4])
    np.testing.assert_allclose(follows, [[0, 0, 1, 0], [0, 0, 0, 1], [0] * 4, [0] * 4])


def test_kinds_are_those_that_any_frame_has_and_can_be_left_out() -> None:
    friends, follows = (
        frame_of(USERS, X, ties=[{**tie, "kind_friend": float(of == 0), "kind_follow": float(of == 1)} for tie in TIES])
        for of in (0, 1)
    )
    assert kinds_of([friends]) == ["kind_friend"]
    assert kinds_of([friends, follows]) == ["kind_friend", "kind_follow"]
    # The paths of one date must not depend on whether another kind is there on that date.
    named = [name for name, _ in paths(build_graph(friends).edge_types, 1)]
    assert named[2:] == ["followers_kind_friend", "followed_kind_friend"]
    assert [name for name, _ in paths(build_graph(friends, ["kinds"]).edge_types, 1)] == ["followers", "followed"]


@pytest.mark.parametrize("bought", [None, []])
def test_users_alone_are_a_graph_without_paths(bought: list[tuple[str, str, float]] | None) -> None:
    graph = build_graph(frame_of(USERS, X, bought=bought))
    assert graph["user"].num_nodes == 4
    assert not [*paths(graph.edge_types, 2)]


def test_followers_who_never_acted_alone_carry_nothing() -> None:
    graph = build_graph(frame_of(USERS, X, ties=TIES[3:]))
    assert not dense(graph, FOLLOWERS).any()
