from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from training.boosters import fit_boosters, unseen_margins
from training.settings import TrainSettings

SETTINGS = TrainSettings(groups=3, rounds=12, leaves=5, threads=2)
COLUMNS = ("one", "two", "three")
POISSON = {"objective": "poisson"}


@pytest.fixture(scope="module")
def rows() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(900, 3)).astype(np.float32)
    x[::7, 1] = np.nan
    return x, rng.poisson(np.exp(x[:, 0])).astype(float), rng.integers(0, 3, 900)


def models(x: npt.NDArray[np.float32], y: npt.NDArray[np.float64], groups: npt.NDArray[np.int64], **given: int) -> list[str]:
    fitted = fit_boosters(x, y, groups, COLUMNS, replace(SETTINGS, **given), POISSON)
    # Without the parameters, which name the seed and the threads.
    return [booster.model_to_string().split("\nparameters:")[0] for booster in fitted]


def test_a_member_hangs_on_no_label_of_its_own_group_and_on_those_of_the_others(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    x, y, groups = rows
    before, after = models(x, y, groups), models(x, np.where(groups == 1, y + 3, y), groups)
    assert [one == other for one, other in zip(before, after, strict=True)] == [False, True, False]


def test_the_number_of_threads_changes_nothing(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    assert models(*rows, threads=1) == models(*rows, threads=2)


def test_weights_and_parameters_given_count(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    x, y, groups = rows
    heavy = fit_boosters(x, y, groups, COLUMNS, SETTINGS, {"num_leaves": 3}, 40, np.where(y > 1, 9.0, 1.0))
    plain = fit_boosters(x, y, groups, COLUMNS, SETTINGS, {"num_leaves": 3}, 40)
    assert heavy[0].predict(x).mean() > y.mean() + 0.2 > plain[0].predict(x).mean() + 0.1
    assert {booster.num_trees() for booster in plain} == {40}
    assert {tree["num_leaves"] for tree in plain[0].dump_model()["tree_info"]} == {3}


def test_everybody_is_scored_by_the_member_that_has_not_seen_them(
    rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64], npt.NDArray[np.int64]],
) -> None:
    x, y, groups = rows
    fitted = fit_boosters(x, y, groups, COLUMNS, SETTINGS, POISSON)
    unseen = unseen_margins(fitted, x, groups)
    for place in (0, 1, 2, 500):
        assert unseen[place] == fitted[groups[place]].predict(x[place : place + 1], raw_score=True)[0]
    # A group of nobody asks nobody.
    assert unseen_margins(fitted, x[groups == 2], groups[groups == 2]).tolist() == unseen[groups == 2].tolist()
