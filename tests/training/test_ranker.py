import numpy as np
import numpy.typing as npt
import pytest

from features.errors import TrainingError
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings

SETTINGS = TrainSettings(seeds=3, rounds=120, threads=2)
COLUMNS = ("reach", "noise")


@pytest.fixture(scope="module")
def rows() -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    x = rng.random((2_000, 2)).astype(np.float32)
    x[::10, 1] = np.nan
    return x, rng.poisson(np.exp(3 * x[:, 0] - 3)).astype(float)


@pytest.fixture(scope="module")
def ranker(rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]) -> Ranker:
    return fit_ranker(*rows, COLUMNS, SETTINGS)


def test_expected_influence_is_that_of_the_rows(ranker: Ranker) -> None:
    # exp(3 x - 3) at the middle of the reach is .22, near its end .74.
    low, high = ranker.influence(np.array([[0.5, 0.5], [0.9, 0.5]], np.float32))
    assert low == pytest.approx(0.22, abs=0.07)
    assert high == pytest.approx(0.74, abs=0.15)


def test_the_margin_is_the_mean_of_its_members(ranker: Ranker, rows: tuple[npt.NDArray[np.float32], object]) -> None:
    members = [booster.predict(rows[0], raw_score=True) for booster in ranker.boosters]
    assert len(members) == SETTINGS.seeds
    assert not np.array_equal(members[0], members[1])
    np.testing.assert_allclose(ranker.margin(rows[0]), sum(members) / 3, rtol=1e-12)
    np.testing.assert_array_equal(ranker.influence(rows[0]), np.exp(ranker.margin(rows[0])))


def test_contributions_sum_to_the_margin(ranker: Ranker, rows: tuple[npt.NDArray[np.float32], object]) -> None:
    shares = ranker.contributions(rows[0])
    assert shares.shape == (2_000, 3)
    np.testing.assert_allclose(shares.sum(axis=1), ranker.margin(rows[0]), atol=1e-6)
    spread = shares.std(axis=0)
    assert spread[0] > 3 * spread[1]


def test_the_same_rows_and_seed_give_the_same_bits_on_any_number_of_threads(
    ranker: Ranker, rows: tuple[npt.NDArray[np.float32], npt.NDArray[np.float64]]
) -> None:
    again = fit_ranker(*rows, COLUMNS, TrainSettings(seeds=3, rounds=120, threads=1))
    np.testing.assert_array_equal(again.margin(rows[0]), ranker.margin(rows[0]))
    other = fit_ranker(*rows, COLUMNS, TrainSettings(seeds=3, rounds=120, seed=50))
    assert not np.array_equal(other.margin(rows[0]), ranker.margin(rows[0]))


def test_rows_in_which_nobody_moved_anybody_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"none of 5 training rows has influence > 0; map more evidence \(ties, shares"):
        fit_ranker(np.ones((5, 2), np.float32), np.zeros(5), COLUMNS, SETTINGS)
