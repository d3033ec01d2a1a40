import numpy as np
import numpy.typing as npt
import pytest

from features.errors import TrainingError
from training.churn import fit_churn
from training.metrics import auroc
from training.settings import TrainSettings

SETTINGS = TrainSettings(rounds=40, threads=1)
Date = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]


def date(share: float, *, rows: int = 2_000, seed: int = 0) -> Date:
    """Recency in [0, 1] and noise; ``share`` churn on average, the longest gone three times as often as the latest."""
    rng = np.random.default_rng(seed)
    x = rng.random((rows, 2)).astype(np.float32)
    return x, rng.random(rows) < share * (0.5 + x[:, 0])


def test_probabilities_are_those_of_people_not_seen_before() -> None:
    churn = fit_churn([date(0.3, seed=2), date(0.3, seed=1)], ("recency_days", "noise"), SETTINGS)
    x, label = date(0.3, seed=3)
    probability = churn.probability(x)
    assert churn.columns == ("recency_days", "noise")
    assert ((probability > 0) & (probability < 1)).all()
    assert probability.mean() == pytest.approx(label.mean(), abs=0.03)
    assert auroc(label, probability) > 0.57


@pytest.mark.parametrize(("latest", "sign"), [(0.2, -1), (0.4, 1)])
def test_probabilities_go_on_moving_as_the_world_moved_up_to_the_latest_date(latest: float, sign: int) -> None:
    dates = [date(latest, seed=2), date(0.3, seed=1)]
    churn = fit_churn(dates, ("recency_days", "noise"), SETTINGS)
    moved = churn.probability(dates[0][0]).mean() - np.mean(churn.booster.predict(dates[0][0]))
    assert sign * moved > 0.03


def test_one_date_is_enough() -> None:
    x, label = date(0.4)
    probability = fit_churn([(x, label)], ("recency_days", "noise"), SETTINGS).probability(x)
    assert probability.mean() == pytest.approx(label.mean(), abs=0.05)


def test_the_same_rows_give_the_same_bits() -> None:
    dates = [date(0.3, seed=1), date(0.3, seed=2)]
    first, second = (fit_churn(dates, ("recency_days", "noise"), SETTINGS) for _ in range(2))
    np.testing.assert_array_equal(first.probability(dates[0][0]), second.probability(dates[0][0]))
    assert first.calibration == second.calibration


@pytest.mark.parametrize(
    ("dates", "message"),
    [
        ([(np.ones((4, 2), np.float32), np.zeros(4, bool))], "no churner among 4 training rows"),
        ([(np.ones((3, 2), np.float32), np.ones(3, bool))], "no stayer among 3 training rows; choose another horizon"),
        ([], "nobody ordered in the two horizons before any training date; choose a later date"),
    ],
)
def test_rows_that_say_nothing_are_refused(dates: list[Date], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        fit_churn(dates, ("recency_days", "noise"), SETTINGS)


def test_a_latest_date_with_one_outcome_is_refused_by_its_count() -> None:
    with pytest.raises(TrainingError, match="0 of 50 rows are positive; calibration needs both outcomes"):
        fit_churn([(np.ones((50, 2), np.float32), np.zeros(50, bool)), date(0.3)], ("a", "b"), SETTINGS)
