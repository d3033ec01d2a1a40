from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from features.errors import TrainingError
from tests.training.frames import frame_of
from training.frame import Frame
from training.matrix import Floats
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings

SETTINGS = TrainSettings(groups=3, rounds=120, threads=2)
COLUMNS = ("reach", "noise")
Rows = tuple[npt.NDArray[np.float32], Floats, npt.NDArray[np.int64]]


@pytest.fixture(scope="module")
def rows() -> Rows:
    rng = np.random.default_rng(0)
    x = rng.random((2_000, 2)).astype(np.float32)
    x[::10, 1] = np.nan
    return x, rng.poisson(np.exp(3 * x[:, 0] - 3)).astype(float), np.arange(2_000) % 3


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> tuple[Ranker, Floats]:
    return fit_ranker(*rows, COLUMNS, SETTINGS)


@pytest.fixture(scope="module")
def ranker(fitted: tuple[Ranker, Floats]) -> Ranker:
    return fitted[0]


def frame_with(x: npt.NDArray[np.float32]) -> Frame:
    """Columns in another order than the ranker's, and one more."""
    reach, noise = x.T.tolist()
    return frame_of([f"u{n:04}" for n in range(len(x))], {"other": noise, "noise": noise, "reach": reach})


def test_the_margin_is_the_log_of_expected_influence(ranker: Ranker) -> None:
    # exp(3 x - 3) at the middle of the reach is .22, near its end .74.
    low, high = np.exp(ranker.margin(frame_with(np.array([[0.5, 0.5], [0.9, 0.5]], np.float32))))
    assert low == pytest.approx(0.22, abs=0.07)
    assert high == pytest.approx(0.74, abs=0.15)


def test_the_margin_is_the_mean_of_its_members(ranker: Ranker, rows: Rows) -> None:
    members = [booster.predict(rows[0], raw_score=True) for booster in ranker.boosters]
    assert len(members) == SETTINGS.groups
    assert not np.array_equal(members[0], members[1])
    np.testing.assert_allclose(ranker.margin(frame_with(rows[0])), sum(members) / 3, rtol=1e-12)


def test_unseen_margins_are_of_the_member_that_has_not_seen_the_row(fitted: tuple[Ranker, Floats], rows: Rows) -> None:
    ranker, unseen = fitted
    members = np.stack([booster.predict(rows[0], raw_score=True) for booster in ranker.boosters])
    np.testing.assert_array_equal(unseen, members[rows[2], np.arange(2_000)])


def test_contributions_sum_to_the_margin(ranker: Ranker, rows: Rows) -> None:
    shares = ranker.contributions(rows[0])
    assert shares.shape == (2_000, 3)
    np.testing.assert_allclose(shares.sum(axis=1), ranker.margin(frame_with(rows[0])), atol=1e-6)
    spread = shares.std(axis=0)
    assert spread[0] > 3 * spread[1]


def test_the_same_rows_and_seed_give_the_same_bits_on_any_number_of_threads(
    fitted: tuple[Ranker, Floats], rows: Rows
) -> None:
    np.testing.assert_array_equal(fit_ranker(*rows, COLUMNS, replace(SETTINGS, threads=1))[1], fitted[1])
    assert not np.array_equal(fit_ranker(*rows, COLUMNS, replace(SETTINGS, seed=50))[1], fitted[1])


def test_rows_in_which_nobody_moved_anybody_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"none of 5 training rows has influence > 0; map more evidence \(ties, shares"):
        fit_ranker(np.ones((5, 2), np.float32), np.zeros(5), np.arange(5) % 3, COLUMNS, SETTINGS)
