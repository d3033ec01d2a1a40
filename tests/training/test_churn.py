import numpy as np
import numpy.typing as npt
import pytest

from features.errors import TrainingError
from training.calibrate import fit_calibration
from training.churn import ChurnModel, fit_churn
from training.metrics import auroc
from training.settings import TrainSettings

SETTINGS = TrainSettings(rounds=40, threads=1)
Rows = tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]


def rows_of(share: float, *, rows: int = 3_000, seed: int = 0) -> Rows:
    """Recency in [0, 1] and noise; ``share`` churn, those longest gone three times as often as the latest."""
    rng = np.random.default_rng(seed)
    x = rng.random((rows, 2)).astype(np.float32)
    return x, rng.random(rows) < share * (0.5 + x[:, 0])


def fitted(rows: Rows, settings: TrainSettings = SETTINGS) -> ChurnModel:
    x, label = rows
    return fit_churn(x, label, np.arange(len(label)) % 2 == 0, ("recency_days", "noise"), settings)


def test_probabilities_are_those_of_people_not_seen_before() -> None:
    churn = fitted(rows_of(0.3, seed=1))
    x, label = rows_of(0.3, seed=2)
    probability = churn.probability(x)
    assert churn.columns == ("recency_days", "noise")
    assert ((probability > 0) & (probability < 1)).all()
    assert probability.mean() == pytest.approx(label.mean(), abs=0.03)
    assert auroc(label, probability) > 0.57


def test_calibration_sees_what_is_said_of_people_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Outcomes by the toss of a coin: whoever seems to be able to tell them has seen them.
    rng = np.random.default_rng(0)
    rows = rng.random((2_000, 2)).astype(np.float32), rng.random(2_000) < 0.5
    said: list[npt.NDArray[np.float64]] = []
    monkeypatch.setattr(
        "training.churn.fit_calibration",
        lambda probability, label: said.append(probability) or fit_calibration(probability, label),
    )
    churn = fitted(rows)
    assert auroc(rows[1], np.asarray(churn.booster.predict(rows[0]))) > 0.6
    assert auroc(rows[1], said[0]) == pytest.approx(0.5, abs=0.04)


def test_the_same_rows_give_the_same_bits_on_any_number_of_threads() -> None:
    rows = rows_of(0.3)
    first, second = fitted(rows), fitted(rows, TrainSettings(rounds=40, threads=2))
    np.testing.assert_array_equal(first.probability(rows[0]), second.probability(rows[0]))
    assert first.calibration == second.calibration


ALL = np.array([True, True, False, False])


@pytest.mark.parametrize(
    ("label", "half", "message"),
    [
        ([], [], "nobody ordered in the two horizons before any training date; choose a later date"),
        ([False] * 4, ALL, "no churner among 4 training rows; choose another horizon, or earlier dates"),
        ([True] * 4, ALL, "no stayer among 4 training rows; choose another horizon"),
        (ALL, [True] * 4, "all 4 training rows are of one person; calibration needs more people"),
    ],
)
def test_rows_that_say_nothing_are_refused(label: list[bool], half: list[bool], message: str) -> None:
    x = np.ones((len(label), 2), np.float32)
    with pytest.raises(TrainingError, match=message):
        fit_churn(x, np.array(label, bool), np.array(half, bool), ("a", "b"), SETTINGS)
