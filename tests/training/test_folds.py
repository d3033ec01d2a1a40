from dataclasses import replace

import numpy as np
import pytest

from features.engine import DuckDB
from features.errors import TrainingError
from tests.busy import busy_world
from tests.training.frames import frame_of
from tests.worlds import day
from training.folds import Fold, Panel, training_folds
from training.settings import TrainSettings
from training.timeline import Labels, Timeline


def fold_of(at: int, users: list[str], influence: list[float], churned: list[bool], buyers: list[str]) -> Fold:
    numbers = np.array(influence)
    frame = frame_of(users, {"acts_10d": [at + place for place in range(len(users))], "noise": influence}, buyers=buyers)
    return Fold(day(at), frame, Labels(numbers, numbers, numbers, np.array(churned), np.zeros(0)), frame.users)


FOLDS = [
    fold_of(30, ["a", "b", "c", "d"], [0, 2, 0, 1], [True, False, False, True], ["a", "b"]),
    fold_of(20, ["a", "b", "c"], [1, 0, 0], [False, True, True], ["b", "c"]),
]


def groups_by_fold(folds: list[Fold], groups: int) -> list[np.ndarray]:
    panel = Panel.of(folds, TrainSettings(groups=groups))
    return panel.by_fold(panel.groups)


def test_rows_of_users_follow_each_other_fold_by_fold() -> None:
    panel = Panel.of(FOLDS, TrainSettings(groups=2))
    assert panel.influence.tolist() == [0, 2, 0, 1, 1, 0, 0]
    assert panel.churned.tolist() == [True, False, False, True, False, True, True]
    assert panel.churn_known.tolist() == [True, True, False, False, False, True, True]
    assert panel.x(["noise", "acts_10d"], np.ones(7, bool))[:, 1].tolist() == [30, 31, 32, 33, 20, 21, 22]
    assert panel.x(["noise", "acts_10d"], panel.churned)[:, 1].tolist() == [30, 33, 21, 22]
    assert panel.frames == [fold.frame for fold in FOLDS]


def test_people_stay_in_one_group_at_every_date() -> None:
    panel = Panel.of(FOLDS, TrainSettings(groups=2))
    first, second = panel.by_fold(panel.groups)
    assert (len(first), len(second)) == (4, 3)
    assert first[:3].tolist() == second.tolist()
    np.testing.assert_array_equal(np.concatenate([first, second]), panel.groups)


def test_groups_share_those_who_moved_anybody_or_else_those_who_left() -> None:
    moved = groups_by_fold(FOLDS, 3)[0]
    # a, b and d moved somebody at one date or the other: one for each group.
    assert len({moved[0], moved[1], moved[3]}) == 3
    still = [replace(fold, labels=replace(fold.labels, influence=0 * fold.labels.influence)) for fold in FOLDS]
    left = groups_by_fold(still, 3)[0]
    # a left at the first date, b and c at the second; what d did tells nothing.
    assert len({left[0], left[1], left[2]}) == 3


def test_one_person_who_moved_anybody_is_too_few() -> None:
    with pytest.raises(TrainingError, match="1 of 3 people have a positive label"):
        Panel.of(FOLDS[1:], TrainSettings(groups=2))


def test_overlapping_dates_end_before_the_date_of_use() -> None:
    timeline = Timeline(busy_world("orders", "ties", engine=DuckDB(threads=1)))
    folds = training_folds(timeline, day(60), TrainSettings(dates=3, dates_per_horizon=2))
    assert [fold.as_of for fold in folds] == [day(50), day(45), day(40)]
    for fold in folds:
        assert len(fold.labels.influence) == len(fold.frame.users)
        assert len(fold.labels.follows) == len(fold.frame.ties)
        assert fold.labels.follows.any()


def test_accounts_that_merge_later_share_a_group() -> None:
    # The user b of the earlier date turns out to be the person c.
    renamed = replace(FOLDS[1], people=np.array(["a", "c", "c"], object))
    first, second = groups_by_fold([FOLDS[0], renamed], 4)
    assert second[1] == second[2] == first[2]


def many(users: int, seed: int = 0) -> list[Fold]:
    """Two dates of as many users, of whom one in twenty moved somebody and three in ten left."""
    rng = np.random.default_rng(seed)
    names = [f"u{number:05}" for number in range(users)]
    return [
        fold_of(at, names, rng.poisson(0.05, users).tolist(), (rng.random(users) < 0.3).tolist(), names[: users // 2])
        for at in (30, 20)
    ]


def test_few_rows_all_teach() -> None:
    panel = Panel.of(many(100), TrainSettings(user_rows=200))
    assert panel.drawn.all()
    assert (panel.share, set(panel.stands_for)) == (1.0, {1.0})
    assert panel.telling.all()
    np.testing.assert_array_equal(panel.churn_drawn, panel.churn_known)


def test_of_many_rows_some_are_drawn_and_all_with_influence_stay() -> None:
    panel = Panel.of(many(5_000), TrainSettings(user_rows=1_000))
    assert panel.share == 0.1
    assert panel.drawn.sum() == pytest.approx(1_000, abs=100)
    moved = panel.influence > 0
    assert panel.telling[moved].all()
    np.testing.assert_array_equal(panel.telling[~moved], panel.drawn[~moved])
    np.testing.assert_array_equal(panel.churn_drawn, panel.drawn & panel.churn_known)
    assert panel.x(["noise"], panel.telling).shape == (panel.telling.sum(), 1)


def test_rows_drawn_keep_the_means_of_all() -> None:
    panel = Panel.of(many(20_000), TrainSettings(user_rows=8_000))
    mean = np.average(panel.influence[panel.telling], weights=panel.stands_for)
    assert mean == pytest.approx(panel.influence.mean(), rel=0.03)
    assert panel.influence[panel.telling].mean() > 2 * mean
    assert panel.stands_for.sum() == pytest.approx(40_000, rel=0.03)
    assert panel.churned[panel.churn_drawn].mean() == pytest.approx(panel.churned[panel.churn_known].mean(), abs=0.03)


def test_no_label_says_who_is_drawn() -> None:
    settings = TrainSettings(user_rows=1_000)
    one, other = (Panel.of(many(5_000, seed), settings) for seed in (0, 1))
    assert not np.array_equal(one.influence, other.influence)
    np.testing.assert_array_equal(one.drawn, other.drawn)
    assert not np.array_equal(one.drawn, Panel.of(many(5_000), replace(settings, seed=1)).drawn)


def test_training_dates_keep_no_snapshot() -> None:
    timeline = Timeline(busy_world("orders", "ties", engine=DuckDB(threads=1)))
    folds = training_folds(timeline, day(60), TrainSettings(dates=2))
    assert not timeline._snapshots
    again = training_folds(timeline, day(60), TrainSettings(dates=2))
    np.testing.assert_array_equal(folds[1].labels.follows, again[1].labels.follows)
