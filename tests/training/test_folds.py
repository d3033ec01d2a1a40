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


def test_rows_of_users_follow_each_other_fold_by_fold() -> None:
    panel = Panel.of(FOLDS, 2)
    assert panel.influence.tolist() == [0, 2, 0, 1, 1, 0, 0]
    assert panel.churned.tolist() == [True, False, False, True, False, True, True]
    assert panel.churn_known.tolist() == [True, True, False, False, False, True, True]
    assert panel.x(["noise", "acts_10d"])[:, 1].tolist() == [30, 31, 32, 33, 20, 21, 22]
    assert panel.frames == [fold.frame for fold in FOLDS]


def test_people_stay_in_one_group_at_every_date() -> None:
    panel = Panel.of(FOLDS, 2)
    first, second = panel.groups_by_fold
    assert (len(first), len(second)) == (4, 3)
    assert first[:3].tolist() == second.tolist()
    np.testing.assert_array_equal(np.concatenate([first, second]), panel.groups)


def test_groups_share_those_who_moved_anybody_or_else_those_who_left() -> None:
    moved = Panel.of(FOLDS, 3).groups_by_fold[0]
    # a, b and d moved somebody at one date or the other: one for each group.
    assert len({moved[0], moved[1], moved[3]}) == 3
    still = [replace(fold, labels=replace(fold.labels, influence=0 * fold.labels.influence)) for fold in FOLDS]
    left = Panel.of(still, 3).groups_by_fold[0]
    # a left at the first date, b and c at the second; what d did tells nothing.
    assert len({left[0], left[1], left[2]}) == 3


def test_one_person_who_moved_anybody_is_too_few() -> None:
    with pytest.raises(TrainingError, match="1 of 3 people have a positive label"):
        Panel.of(FOLDS[1:], 2)


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
    panel = Panel.of([FOLDS[0], renamed], 4)
    first, second = panel.groups_by_fold
    assert second[1] == second[2] == first[2]
