from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.frames import frame_of, random_frame
from training.frame import Frame
from training.gnn import LIMIT, Gnn, Network, Scaling, carried_columns
from training.gnn_fit import fit_gnn
from training.settings import TrainSettings

QUICK = TrainSettings(groups=2, epochs=2, width=8)


def fitted(frame: Frame, **options: tuple[str, ...]) -> Gnn:
    rng = np.random.default_rng(0)
    users = len(frame.users)
    influence, groups = rng.poisson(0.5, users).astype(float), np.arange(users) % 2
    everybody = np.ones(users, bool)
    return fit_gnn([frame], influence, rng.random(users) < 0.5, everybody, groups, frame.matrix.columns, QUICK, **options)[0]


@pytest.fixture(scope="module")
def frame() -> Frame:
    return random_frame(200, 600, 0)


@pytest.fixture(scope="module")
def gnn(frame: Frame) -> Gnn:
    return fitted(frame)


def test_scaling_centres_the_log_of_what_is_known() -> None:
    x = np.array([[0, 5, -3], [np.e - 1, 5, np.nan], [np.nan, 5, 3]], np.float32)
    scaled = Scaling.of(x.T).apply(x)
    # The logs of the first are 0 and 1; a constant says nothing; the unknown is the mean.
    np.testing.assert_allclose(scaled, [[-1, 0, -1], [1, 0, 0], [0, 0, 1]], atol=1e-6)
    np.testing.assert_allclose(Scaling.of(x.T).apply(np.array([[1e30, 5, np.nan]], np.float32)), [[4, 0, 0]], atol=1e-6)


def test_a_column_that_is_never_known_says_nothing() -> None:
    x = np.array([[np.nan], [np.nan]], np.float32)
    assert Scaling.of(x.T).apply(x).tolist() == [[0], [0]]
    assert Scaling.of(x.T).apply(np.array([[0.5]], np.float32)).tolist() == [[pytest.approx(np.log(1.5))]]


def test_members_share_nothing() -> None:
    torch.manual_seed(0)
    network = Network(3, own=4, paths=2, carried=1, width=8, dropout=0.0)
    own, carried = torch.randn(5, 4), torch.randn(5, 2)
    before = network(own, carried)
    assert before.shape == (5, 3, 2)
    with torch.no_grad():
        for weights in network.parameters():
            # The rows of the middle member.
            weights.view(3, -1)[1] *= -3
    after = network(own, carried)
    assert torch.equal(before[:, [0, 2]], after[:, [0, 2]])
    assert not torch.isclose(before[:, 1], after[:, 1]).any()


def test_a_path_whose_gate_is_shut_is_not_heard() -> None:
    network = Network(1, own=2, paths=2, carried=3, width=8, dropout=0.0)
    with torch.no_grad():
        network.gates[0, 1] = 0.0
    own, carried = torch.randn(4, 2), torch.randn(4, 6)
    louder = carried.clone()
    louder[:, 3:] += 5
    assert torch.equal(network(own, carried), network(own, louder))
    louder[:, 0] += 5
    assert not torch.isclose(network(own, carried), network(own, louder)).all()


def test_what_is_carried_are_columns_that_the_dictionary_names() -> None:
    columns = (
        "recency_days",
        "acts_10d",
        "acts_99d",
        "influence_all",
        "acts_decayed",
        "followers",
        "followers_sum_followers",
    )
    assert carried_columns(columns, ("10d", "30d")) == ("acts_10d", "acts_decayed", "followers")


def test_inputs_are_own_features_and_those_of_the_paths() -> None:
    # Signed logs of acts are 0 and 1, so scaled -1 and 1; b and a follow each other.
    ties = [{"user_id": "b", "influencer_id": "a"}, {"user_id": "a", "influencer_id": "b"}]
    frame = frame_of(["a", "b"], {"noise": [3.0, 3.0], "acts_10d": [0.0, np.e - 1]}, ties=ties)
    scaling = Scaling.of(frame.matrix.x.T)
    gnn = Gnn(
        ("noise", "acts_10d"), ("acts_10d",), ("followers", "alike"), (), 1, scaling, np.ones(1), Network(1, 2, 2, 1, 4, 0)
    )
    ((_, own, carried),) = gnn.inputs(frame)
    np.testing.assert_allclose(own, [[0, -1], [0, 1]], atol=1e-6)
    # Nobody bought anything: that path carries 0.
    np.testing.assert_allclose(carried, [[1, 0], [-1, 0]], atol=1e-6)


def test_columns_that_are_carried_one_by_one_arrive_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    ties = [{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "a"}]
    frame = frame_of(["a", "b", "c"], {"acts_10d": [0.0, 1.0, 3.0], "idle_days": [5.0, 0.0, 2.0]}, ties=ties)
    columns, scaling = ("acts_10d", "idle_days"), Scaling.of(frame.matrix.x.T)
    gnn = Gnn(columns, columns, ("followers", "followed"), (), 1, scaling, np.ones(1), Network(1, 2, 2, 2, 4, 0))
    ((_, _, together),) = gnn.inputs(frame)
    monkeypatch.setattr("training.gnn.CELLS_AT_ONCE", len(frame.users))
    ((_, _, one_by_one),) = gnn.inputs(frame)
    assert (together != 0).sum() == 6
    np.testing.assert_allclose(one_by_one, together, atol=1e-6)


def test_members_and_their_means(frame: Frame, gnn: Gnn) -> None:
    both, groups = gnn.outputs(frame), np.arange(len(frame.users)) % 2
    each = [gnn.outputs(frame, np.full(len(groups), member)) for member in (0, 1)]
    np.testing.assert_allclose(both, np.mean(each, axis=0), atol=1e-12)
    np.testing.assert_array_equal(gnn.outputs(frame, groups), np.where(groups[:, None] == 0, *each))
    assert not np.isclose(*each).all()
    np.testing.assert_array_equal(gnn.margin(frame), both[:, 0])
    # Margins are relative to the mean that each member has seen.
    shifted = replace(gnn, means=gnn.means * np.exp(2.0)).outputs(frame)
    np.testing.assert_allclose(shifted - both, np.tile([2.0, 0.0], (len(groups), 1)), atol=1e-9)


def test_margins_stay_near_the_mean(frame: Frame, gnn: Gnn) -> None:
    wild = Gnn.load(gnn.to_dict(), gnn.weights())
    with torch.no_grad():
        wild.network.heads *= 1e6
    margins = wild.outputs(frame, np.zeros(len(frame.users), int))[:, 0] - np.log(gnn.means[0])
    assert margins.min() == -LIMIT
    assert margins.max() == LIMIT


def test_a_loaded_network_says_the_same(frame: Frame, gnn: Gnn) -> None:
    loaded = Gnn.load(gnn.to_dict(), gnn.weights())
    assert loaded.to_dict() == gnn.to_dict()
    assert loaded.weights() == gnn.weights()
    np.testing.assert_allclose(loaded.outputs(frame), gnn.outputs(frame), atol=1e-6)


def test_users_without_ties_and_with_a_single_event_get_finite_outputs(gnn: Gnn) -> None:
    lonely = frame_of(["a", "b"], {"acts_10d": [1.0, np.nan], "noise": [np.nan, np.nan]}, bought=[])
    outputs = gnn.outputs(lonely)
    assert outputs.shape == (2, 2)
    assert np.isfinite(outputs).all()


def test_a_path_that_is_absent_when_scoring_carries_nothing(frame: Frame, gnn: Gnn) -> None:
    assert "alike" in gnn.paths
    bare = replace(frame, purchases=None)
    ((_, own, carried),) = gnn.inputs(bare)
    width = len(gnn.carried)
    for place, path in enumerate(gnn.paths):
        part = carried[:, place * width : (place + 1) * width]
        assert part.any() != ("alike" in path), path
    np.testing.assert_allclose(gnn.outputs(bare), gnn.of_inputs(own, carried), atol=1e-12)
    assert np.isfinite(gnn.outputs(bare)).all()


def test_what_a_network_did_without_it_does_without_when_scoring(frame: Frame) -> None:
    without = fitted(frame, without=("ties", "strength"))
    assert without.paths == ("alike",)
    untied = frame_of(frame.users.tolist(), {name: frame.matrix.column(name).tolist() for name in frame.matrix.columns})
    untied = replace(untied, purchases=frame.purchases)
    np.testing.assert_array_equal(without.outputs(frame), without.outputs(untied))
