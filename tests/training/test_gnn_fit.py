from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.frames import frame_of, random_frame
from training.frame import Frame
from training.gnn import Gnn
from training.gnn_fit import fit_gnn
from training.matrix import Floats
from training.metrics import auroc
from training.settings import TrainSettings

QUICK = TrainSettings(groups=2, epochs=2, width=8)


def fitted(
    frames: list[Frame],
    influence: Floats,
    settings: TrainSettings = QUICK,
    groups: np.ndarray | None = None,
    **options: object,
) -> tuple[Gnn, Floats]:
    """Fitted on ``influence``, with the buyers of each frame who are in an odd row gone afterwards."""
    rows = sum(len(frame.users) for frame in frames)
    known = np.concatenate([frame.churn_population for frame in frames])
    groups = np.arange(rows) // 2 % settings.groups if groups is None else groups
    given = {"churned": np.arange(rows) % 2 == 1, "churn_known": known, "groups": groups} | options
    return fit_gnn(frames, influence, columns=frames[0].matrix.columns, settings=settings, **given)  # type: ignore[arg-type]


def planted(seed: int, users: int = 1_500) -> tuple[Frame, Floats]:
    """A world in which nine in ten of those have influence whose followers act a lot, and one in ten of the others."""
    rng = np.random.default_rng(seed)
    names, acts = [f"u{number:04}" for number in range(users)], rng.integers(0, 2, users) * 20.0
    ties = [
        {"user_id": names[follower], "influencer_id": name}
        for place, name in enumerate(names)
        for follower in sorted({*rng.integers(0, users, 3).tolist()} - {place})
    ]
    frame = frame_of(names, {"acts_10d": acts.tolist(), "noise": rng.normal(size=users).tolist()}, ties=ties)
    followers = np.bincount(frame.ties.influencers, acts[frame.ties.followers], users) / np.bincount(frame.ties.influencers)
    return frame, (rng.random(users) < np.where(followers > 10, 0.9, 0.1)).astype(float)


def test_it_finds_what_can_only_be_seen_one_hop_away() -> None:
    frame, influence = planted(0)
    settings = TrainSettings(groups=2, epochs=80, width=16)
    (gnn, unseen), (_, alone) = (fitted([frame], influence, settings, without=without) for without in ((), ("ties",)))
    assert auroc(influence > 0, unseen[:, 0]) > 0.85
    assert auroc(influence > 0, alone[:, 0]) < 0.55
    # As well in a world that it has never seen, and at the right level.
    other, truth = planted(1)
    margin = gnn.margin(other)
    assert auroc(truth > 0, margin) > 0.85
    assert np.exp(margin).mean() == pytest.approx(truth.mean(), rel=0.15)


def test_churn_is_learned_from_those_of_whom_it_is_known() -> None:
    frame, influence = planted(0)
    noise = frame.matrix.column("noise")
    known = np.arange(len(noise)) % 3 > 0
    # Of the others the opposite is said, and must not be heard.
    churned = np.where(known, noise > 0, noise < 0)
    settings = TrainSettings(groups=2, epochs=15, width=16)
    unseen = fitted([frame], influence, settings, churned=churned, churn_known=known)[1]
    assert auroc(churned[known], unseen[known, 1]) > 0.9


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [random_frame(150, 500, seed, ghosts=10) for seed in (0, 1)]


@pytest.fixture(scope="module")
def influence() -> Floats:
    return np.random.default_rng(0).poisson(0.5, 300).astype(float)


def test_a_seed_gives_the_same_network_again(frames: list[Frame], influence: Floats) -> None:
    (first, unseen), (again, same) = (fitted(frames, influence) for _ in range(2))
    assert first.weights() == again.weights()
    np.testing.assert_array_equal(unseen, same)
    assert unseen.shape == (300, 2)
    other = fitted(frames, influence, replace(QUICK, seed=1))[1]
    assert not np.isclose(unseen, other).all()


@pytest.mark.parametrize("group", [0, 1, 2])
def test_a_member_takes_no_notice_of_its_own_group(frames: list[Frame], influence: Floats, group: int) -> None:
    settings, groups = replace(QUICK, groups=3), np.random.default_rng(1).integers(0, 3, 300)
    own = groups == group
    absurd = np.where(own, 1e6 * (1 + np.arange(300)), influence)
    churned = np.random.default_rng(2).random(300) < 0.5
    (before, said), (after, unseen) = (
        fitted(frames, labels, settings, groups, churned=left)
        for labels, left in ((influence, churned), (absurd, churned ^ own))
    )
    np.testing.assert_array_equal(said[own], unseen[own])
    member = np.full(len(frames[0].users), group)
    np.testing.assert_array_equal(before.outputs(frames[0], member), after.outputs(frames[0], member))
    assert not np.isclose(said[~own], unseen[~own]).all()


def test_what_is_said_unseen_is_of_the_member_that_has_not_seen_the_row(frames: list[Frame], influence: Floats) -> None:
    groups = np.random.default_rng(1).integers(0, 2, 300)
    gnn, unseen = fitted(frames, influence, groups=groups)
    each = np.split(groups, 2)
    expected = np.concatenate([gnn.outputs(frame, group) for frame, group in zip(frames, each, strict=True)])
    np.testing.assert_allclose(unseen, expected, atol=1e-6)


def test_paths_are_those_of_any_training_date(frames: list[Frame], influence: Floats) -> None:
    bare = replace(frames[1], purchases=None)
    assert fitted([bare, frames[0]], influence)[0].paths == (
        *fitted([bare], influence[:150])[0].paths,
        *(path for path in fitted(frames, influence)[0].paths if "alike" in path),
    )


@pytest.mark.parametrize("parts", ["nothing", "ties", "items"])
def test_a_dataset_may_lack_ties_and_items(influence: Floats, parts: str) -> None:
    whole = random_frame(150, 500, 0)
    x = {name: whole.matrix.column(name).tolist() for name in whole.matrix.columns}
    frame = frame_of(whole.users.tolist(), x, bought=None)
    if parts == "ties":
        frame = replace(frame, ties=whole.ties)
    if parts == "items":
        frame = replace(frame, purchases=whole.purchases)
    gnn, unseen = fitted([frame], influence[:150])
    assert bool(gnn.paths) == (parts != "nothing")
    assert np.isfinite(unseen).all()
    loaded = Gnn.load(gnn.to_dict(), gnn.weights())
    np.testing.assert_allclose(loaded.outputs(frame), gnn.outputs(frame), atol=1e-6)


def test_unknown_features_and_nobody_with_influence_or_known_churn_are_borne(influence: Floats) -> None:
    frame = random_frame(150, 500, 0)
    x = frame.matrix.x.copy()
    x[::2, 0], x[:, 1] = np.nan, np.nan
    frame = replace(frame, matrix=replace(frame.matrix, x=x))
    nobody = np.zeros(150, bool)
    for labels in (influence[:150], np.zeros(150)):
        gnn, unseen = fitted([frame], labels, churn_known=nobody)
        assert np.isfinite(unseen).all()
        assert np.isfinite(gnn.outputs(frame)).all()


@pytest.mark.parametrize("epochs", [1, 5, 6])
def test_the_shortest_of_schedules_is_fitted_too(epochs: int) -> None:
    frame, influence = planted(0, users=200)
    gnn, unseen = fitted([frame], influence, replace(QUICK, epochs=epochs))
    assert np.isfinite(unseen).all()
    assert np.isfinite(gnn.outputs(frame)).all()


def test_of_many_rows_every_epoch_sees_others(
    frames: list[Frame], influence: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    met: list[int] = []
    drawn = torch.randperm
    monkeypatch.setattr(torch, "randperm", lambda rows: met.append(rows) or drawn(rows))
    some, all_of_them = (fitted(frames, influence, replace(QUICK, user_rows=rows, epochs=3)) for rows in (50, 300))
    assert met == [300] * 6
    assert len(some[1]) == 300
    assert not np.array_equal(some[1], all_of_them[1])
    np.testing.assert_array_equal(all_of_them[1], fitted(frames, influence, replace(QUICK, epochs=3))[1])


def test_rows_left_out_of_one_epoch_teach_in_another() -> None:
    frame, influence = planted(0)
    settings = TrainSettings(groups=2, epochs=240, width=16, user_rows=500)
    assert auroc(influence > 0, fitted([frame], influence, settings)[1][:, 0]) > 0.85
