from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.training.frames import frame_of, random_frame
from training import boosters, tie_model
from training.crossfit import Groups
from training.frame import Frame
from training.matrix import Floats
from training.metrics import auroc
from training.settings import TrainSettings
from training.tie_model import FLOOR, TieModel, _ends, _inputs, fit_tie_model

SETTINGS = TrainSettings(groups=2, rounds=150, threads=2)


def planted(seed: int) -> tuple[Frame, Floats, Groups]:
    """Strong ties carry in four of ten cases, weak ones in one of fifty; followers who never acted carry as well."""
    frame = random_frame(400, 4_000, seed, ghosts=40)
    strong = frame.ties.select(["strength"])[:, 0] > 2
    # Not the stream from which the model draws ties.
    follows = (np.random.default_rng([seed, 1]).random(len(frame.ties)) < np.where(strong, 0.4, 0.02)).astype(float)
    return frame, follows, np.arange(400) % 2


@pytest.fixture(scope="module")
def rows() -> list[tuple[Frame, Floats, Groups]]:
    return [planted(seed) for seed in (0, 1)]


def fitted(
    rows: list[tuple[Frame, Floats, Groups]], settings: TrainSettings = SETTINGS, without: tuple[str, ...] = ()
) -> tuple[TieModel, Floats]:
    frames, follows, groups = ([*column] for column in zip(*rows, strict=True))
    found = fit_tie_model(frames, follows, groups, everybody(groups), settings, without)
    assert found
    return found


def everybody(groups: Sequence[Groups]) -> list[np.ndarray]:
    return [np.ones(len(group), bool) for group in groups]


@pytest.fixture(scope="module")
def model(rows: list[tuple[Frame, Floats, Groups]]) -> TieModel:
    return fitted(rows)[0]


def test_strong_ties_carry_in_a_world_not_seen_before(model: TieModel) -> None:
    frame, follows, _ = planted(2)
    expected = model.follow_ups(frame)
    strong = frame.ties.select(["strength"])[:, 0] > 2
    assert expected.min() > 0
    assert expected[strong].mean() == pytest.approx(0.4, abs=0.05)
    assert expected[~strong].mean() == pytest.approx(0.02, abs=0.02)
    assert auroc(follows > 0, expected) > 0.75


def test_the_margin_of_an_influencer_is_the_log_of_the_sum_over_ties(model: TieModel) -> None:
    frame, _, _ = planted(2)
    expected, margin = model.follow_ups(frame), model.margin(frame)
    for place in (0, 17, 389):
        own = frame.ties.influencers == place
        assert own.sum() > 2
        assert margin[place] == pytest.approx(np.log(expected[own].sum() + FLOOR), abs=1e-12)
    # The last ten have no ties.
    np.testing.assert_allclose(margin[-10:], np.log(FLOOR))


def test_unseen_margins_are_of_the_member_that_has_not_seen_the_influencer(rows: list[tuple[Frame, Floats, Groups]]) -> None:
    model, unseen = fitted(rows)
    frame, _, groups = rows[0]
    members = [TieModel(model.tie_columns, model.end_columns, [booster]) for booster in model.boosters]
    each = [member.margin(frame) for member in members]
    np.testing.assert_array_equal(unseen[:400], np.where(groups == 0, *each))
    np.testing.assert_array_equal(unseen, np.concatenate([model.margin(frame, groups) for frame, _, groups in rows]))
    both = np.mean([member.follow_ups(frame) for member in members], axis=0)
    np.testing.assert_allclose(model.follow_ups(frame), both, rtol=1e-12)


def test_some_users_are_told_of_as_all_are(rows: list[tuple[Frame, Floats, Groups]]) -> None:
    frames, follows, groups = ([*column] for column in zip(*rows, strict=True))
    some = [np.random.default_rng(0).random(400) < 0.2 for _ in groups]
    found = fit_tie_model(frames, follows, groups, some, SETTINGS)
    assert found
    model, unseen = fitted(rows)
    np.testing.assert_array_equal(found[1], unseen[np.concatenate(some)])
    np.testing.assert_array_equal(model.margin(frames[0], rows=some[0]), model.margin(frames[0])[some[0]])


def test_many_ties_are_told_what_few_are(
    rows: list[tuple[Frame, Floats, Groups]], model: TieModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, _, groups = rows[0]
    few = model.follow_ups(frame), model.follow_ups(frame, groups), model.margin(frame, groups)
    monkeypatch.setattr(boosters, "MANY_ROWS", 1)
    monkeypatch.setattr(tie_model, "CELLS_AT_ONCE", 3_000)
    many = model.follow_ups(frame), model.follow_ups(frame, groups), model.margin(frame, groups)
    for one, other in zip(few, many, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_is_read_of_a_tie(model: TieModel) -> None:
    assert model.tie_columns == ("strength",)
    # Of the features of users those that tell of activity, rhythm and influence.
    assert model.end_columns == ("acts_10d",)
    assert model.boosters[0].feature_name() == ["strength", "follower_acts_10d", "influencer_acts_10d"]
    ties = [
        {"user_id": "b", "influencer_id": "a", "strength": 1.5},
        {"user_id": "nobody", "influencer_id": "a", "strength": 2.5},
        {"user_id": "a", "influencer_id": "b", "strength": 3.5},
    ]
    frame = frame_of(["a", "b"], {"acts_10d": [3.0, 5.0], "noise": [0.0, 0.0]}, ties=ties)
    read = _inputs(frame.ties, _ends(frame, ["acts_10d"]), np.array([2, 1, 0]), ["strength"])
    np.testing.assert_array_equal(read, np.array([[3.5, 3, 5], [2.5, np.nan, 3], [1.5, 5, 3]], np.float32))
    assert (model.follow_ups(frame) > 0).all()


def test_of_ties_that_carried_nothing_some_stand_for_all(rows: list[tuple[Frame, Floats, Groups]]) -> None:
    frame, follows, _ = planted(2)
    few = fitted(rows, replace(SETTINGS, tie_rows=1_500))[0].follow_ups(frame)
    assert few.mean() == pytest.approx(follows.mean(), rel=0.15)
    assert not np.array_equal(few, fitted(rows)[0].follow_ups(frame))
    assert auroc(follows > 0, few) > 0.75


def test_ties_are_read_in_parts_to_the_same_end(model: TieModel, monkeypatch: pytest.MonkeyPatch) -> None:
    frame, _, groups = planted(2)
    whole, own = model.follow_ups(frame), model.follow_ups(frame, groups)
    monkeypatch.setattr("training.tie_model.CELLS_AT_ONCE", 300)
    np.testing.assert_array_equal(model.follow_ups(frame), whole)
    np.testing.assert_array_equal(model.follow_ups(frame, groups), own)


def test_columns_may_be_left_out(rows: list[tuple[Frame, Floats, Groups]]) -> None:
    model = fitted(rows, without=("strength",))[0]
    assert model.tie_columns == ()
    frame, follows, _ = planted(2)
    assert auroc(follows > 0, model.follow_ups(frame)) < 0.55


def test_with_too_few_ties_that_carried_anything_there_is_no_model() -> None:
    frame, follows, groups = planted(0)
    carried = np.flatnonzero(follows > 0)

    def only(count: int) -> Floats:
        """``count`` ties that carried, of influencers of either group."""
        kept = np.zeros(len(follows))
        for group in (0, 1):
            kept[carried[groups[frame.ties.influencers[carried]] == group][:count]] = 1.0
        return kept

    assert fit_tie_model([frame], [only(20)], [groups], everybody([groups]), SETTINGS)
    # One member would have learned from 19.
    one_less = only(20)
    one_less[np.flatnonzero(one_less)[-1]] = 0.0
    assert fit_tie_model([frame], [one_less], [groups], everybody([groups]), SETTINGS) is None
    assert fit_tie_model([frame], [np.zeros(len(follows))], [groups], everybody([groups]), SETTINGS) is None
    bare = frame_of(["a", "b"], {"acts_10d": [1.0, 2.0]})
    assert fit_tie_model([bare], [np.zeros(0)], [np.array([0, 1])], [np.ones(2, bool)], SETTINGS) is None


def test_the_same_rows_give_the_same_bits_on_any_number_of_threads(rows: list[tuple[Frame, Floats, Groups]]) -> None:
    settings = replace(SETTINGS, tie_rows=1_500)
    np.testing.assert_array_equal(fitted(rows, settings)[1], fitted(rows, replace(settings, threads=1))[1])
    assert not np.array_equal(fitted(rows, settings)[1], fitted(rows, replace(settings, seed=7))[1])
