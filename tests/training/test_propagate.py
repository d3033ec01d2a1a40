import gc
import weakref
from collections import deque

import numpy as np
import pytest
import torch

from tests.training.frames import frame_of
from training.graph import build_graph, build_graphs
from training.propagate import _means, propagate

USERS = ["a", "b", "c", "d"]
# b and c may follow a, d may follow b.
TIES = [
    {"user_id": "b", "influencer_id": "a", "strength": 1.0},
    {"user_id": "c", "influencer_id": "a", "strength": 3.0},
    {"user_id": "d", "influencer_id": "b", "strength": 2.0},
]
# a and b bought s on one day, c alone bought t.
BOUGHT = [("a", "s", 1.0), ("b", "s", 1.0), ("c", "t", 1.0)]
X = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0], [8.0, 80.0]])


@pytest.fixture(scope="module")
def known() -> dict[str, list[float]]:
    graph = build_graph(frame_of(USERS, {}, ties=TIES, bought=BOUGHT))
    found = dict(propagate(graph, X, 2))
    for values in found.values():
        assert values.shape == (4, 2)
        # Every feature travels alone.
        np.testing.assert_allclose(values[:, 1], 10 * values[:, 0], rtol=1e-6)
    return {name: values[:, 0].tolist() for name, values in found.items()}


@pytest.mark.parametrize(
    ("path", "carried"),
    [
        # a: (1 x 2 + 3 x 4) / 4; b: d alone; nobody follows c and d.
        ("followers", [3.5, 8.0, 0.0, 0.0]),
        ("followed", [0.0, 1.0, 1.0, 2.0]),
        # a and b are alike, themselves included; c shares its taste with nobody else; d bought nothing.
        ("alike", [1.5, 1.5, 4.0, 0.0]),
        # a: (1 x 8 of b + 3 x 0 of c) / 4.
        ("followers_of_followers", [2.0, 0.0, 0.0, 0.0]),
        # Other followers of those whom one follows, oneself included.
        ("followers_of_followed", [0.0, 3.5, 3.5, 8.0]),
        ("followed_of_followers", [1.0, 2.0, 0.0, 0.0]),
        ("followed_of_followed", [0.0, 0.0, 0.0, 1.0]),
        ("alike_of_followers", [(1.5 + 3 * 4) / 4, 0.0, 0.0, 0.0]),
        ("followers_of_alike", [(3.5 + 8) / 2, (3.5 + 8) / 2, 0.0, 0.0]),
    ],
)
def test_means_at_the_far_end_of_a_path(known: dict[str, list[float]], path: str, carried: list[float]) -> None:
    assert known[path] == pytest.approx(carried, rel=1e-6)


def test_what_a_path_carries_does_not_depend_on_the_number_of_hops(known: dict[str, list[float]]) -> None:
    graph = build_graph(frame_of(USERS, {}, ties=TIES, bought=BOUGHT))
    one, three = dict(propagate(graph, X, 1)), dict(propagate(graph, X, 3))
    assert {*one} < {*known} < {*three}
    assert all(values[:, 0].tolist() == three[name][:, 0].tolist() == known[name] for name, values in one.items())


def test_parts_of_the_graph_have_the_paths_of_the_whole_one() -> None:
    kinds = ({"kind_friend": 1.0, "kind_trust": 0.0}, {"kind_friend": 0.0, "kind_trust": 1.0}, {"kind_friend": 1.0})
    frame = frame_of(USERS, {}, ties=[tie | kind for tie, kind in zip(TIES, kinds, strict=True)], bought=BOUGHT)
    parts = [dict(propagate(graph, X, 2)) for graph in build_graphs(frame)]
    assert [len(part) for part in parts] == [3 + 8, 2, 2]
    whole = dict(propagate(build_graph(frame), X, 2))
    assert {*whole} == {name for part in parts for name in part}
    assert all(values.equal(whole[name]) for part in parts for name, values in part.items())


def test_users_alone_hear_nothing() -> None:
    assert not [*propagate(build_graph(frame_of(USERS, {})), X, 2)]


def test_what_paths_went_on_from_is_let_go_with_the_last_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def told(adj_t: torch.Tensor, x: np.ndarray) -> np.ndarray:
        found = _means(adj_t, x)
        made.append(weakref.ref(found))
        return found

    monkeypatch.setattr("training.propagate._means", told)
    gc.disable()
    try:
        deque(propagate(build_graph(frame_of(USERS, {}, ties=TIES, bought=BOUGHT)), X, 2), maxlen=0)
        assert made
        assert all(found() is None for found in made)
    finally:
        gc.enable()
