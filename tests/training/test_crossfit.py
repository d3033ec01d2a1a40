from dataclasses import replace

import numpy as np
import pytest

from features.errors import TrainingError
from tests.training.frames import random_frame
from tests.worlds import day
from training.crossfit import people_in_groups
from training.folds import Fold, Panel
from training.frame import Frame
from training.gnn_fit import fit_gnn
from training.hybrid import ranker_view
from training.settings import TrainSettings
from training.tie_model import fit_tie_model
from training.timeline import Labels

QUICK = TrainSettings(groups=2, rounds=10, epochs=2, width=8, threads=2)


def test_all_rows_of_a_person_are_in_one_group_whatever_their_labels() -> None:
    users = np.array([f"u{number}" for number in range(50)] * 3, object)
    positive = np.random.default_rng(0).random(150) < 0.2
    groups = people_in_groups(users, positive, 4)
    assert groups.shape == (150,)
    assert all(len(set(groups[users == user])) == 1 for user in users)


def test_groups_are_of_equal_size_and_have_their_share_of_the_positives() -> None:
    users = np.array([f"u{number}" for number in range(100)], object)
    positive = np.arange(100) < 10
    groups = people_in_groups(users, positive, 4)
    assert np.bincount(groups).tolist() == [25] * 4
    assert np.bincount(groups[positive]).tolist() == [3, 3, 2, 2]


def test_groups_depend_on_ids_and_not_on_the_order_of_rows() -> None:
    users = np.array([f"u{number}" for number in range(100)], object)
    positive, order = np.arange(100) < 10, np.random.default_rng(0).permutation(100)
    groups = people_in_groups(users, positive, 4)
    np.testing.assert_array_equal(people_in_groups(users[order], positive[order], 4), groups[order])
    # Not simply in the order of ids, which may tell the date of joining.
    assert groups[~positive].tolist() != (np.arange(90) % 4).tolist()


def test_a_positive_row_at_any_date_makes_a_positive_person() -> None:
    # b and c are positive at the second date only: dealt first, they are apart.
    users = np.array(["a", "b", "c", "d"] * 2, object)
    groups = people_in_groups(users, np.array([False] * 5 + [True, True, False]), 2)
    assert groups[1] != groups[2]


def test_one_positive_person_is_too_few() -> None:
    users = np.array(["a", "b", "a"], object)
    with pytest.raises(TrainingError, match=r"1 of 2 people have a positive label in .* choose a longer horizon"):
        people_in_groups(users, np.array([True, False, True]), 2)


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    return [random_frame(120, 900, seed) for seed in (0, 1)]


def unseen_of(model: str, frames: list[Frame], labels: list[dict[str, np.ndarray]], settings: TrainSettings) -> np.ndarray:
    """(2, users) what each user is said to be worth at each date by the member that has not seen them."""
    people = len(frames[0].users)
    group = people_in_groups(frames[0].users, np.arange(people) < 40, settings.groups)
    groups = np.tile(group, 2)
    influence, churned = (np.concatenate([label[name] for label in labels]) for name in ("influence", "churned"))
    columns, known = frames[0].matrix.columns, np.concatenate([frame.churn_population for frame in frames])
    if model == "gnn":
        unseen = fit_gnn(frames, influence, churned, known, groups, columns, settings)[1]
        return unseen.reshape(2, people, 2)
    if model == "ranker":
        folds = [Fold(day(20), frame, Labels(*[np.zeros(people)] * 5), frame.users) for frame in frames]
        drawn = np.random.default_rng(3).random(2 * people) < settings.user_rows / (2 * people)
        panel = Panel(folds, influence, churned, known, groups, drawn, share=drawn.mean())
        said = np.full(2 * people, np.nan)
        said[drawn] = ranker_view(panel, columns, settings).unseen
        return said.reshape(2, people)
    follows, everybody = [label["follows"] for label in labels], np.ones(people, bool)
    fitted = fit_tie_model(frames, follows, [group, group], [everybody, everybody], settings)
    assert fitted
    return fitted[1].reshape(2, people)


@pytest.mark.parametrize("fewer", [{}, {"tie_rows": 200}, {"user_rows": 100}])
@pytest.mark.parametrize("model", ["ranker", "ties", "gnn"])
def test_no_label_reaches_what_is_said_unseen_of_its_own_person(
    frames: list[Frame], model: str, fewer: dict[str, int]
) -> None:
    rng, settings = np.random.default_rng(0), replace(QUICK, **fewer)
    labels = [
        {
            "influence": rng.poisson(0.7, len(frame.users)).astype(float),
            "churned": rng.random(len(frame.users)) < 0.5,
            "follows": (rng.random(len(frame.ties)) < 0.3).astype(float),
        }
        for frame in frames
    ]
    person = 7
    changed = [{name: values.copy() for name, values in label.items()} for label in labels]
    for frame, label in zip(frames, changed, strict=True):
        own = frame.ties.influencers == person
        assert own.sum() > 3
        label["influence"][person] += 50
        label["churned"][person] ^= True
        label["follows"][own] = 5 - 5 * (label["follows"][own] > 0)
    before, after = (unseen_of(model, frames, some, settings) for some in (labels, changed))
    np.testing.assert_array_equal(before[:, person], after[:, person])
    assert not np.isnan(before[:, person]).all()
    # Others learn from it.
    assert not np.array_equal(before, after)
