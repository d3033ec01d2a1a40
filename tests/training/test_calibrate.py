import numpy as np
import numpy.typing as npt
import pytest

from features.errors import BundleError, TrainingError
from training.calibrate import EDGE, MIN_ROWS, Calibration, fit_calibration
from training.metrics import ece

Floats = npt.NDArray[np.float64]


def expit(odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-odds))


def sample(n: int, *, bent: bool, seed: int = 0) -> tuple[Floats, npt.NDArray[np.bool_], Floats]:
    """What a model says, what happens, and the truth; the model doubles the true log-odds, when ``bent`` above 0 only."""
    rng = np.random.default_rng(seed)
    odds = rng.normal(0, 1.5, n)
    said = np.where(odds < 0, 0.5 * odds, 2 * odds) if bent else 2 * odds
    return expit(said), rng.random(n) < expit(odds), expit(odds)


CASES = {
    "few rows": sample(400, bent=False),
    "line": sample(8000, bent=False),
    "curve": sample(8000, bent=True),
    "rare and random": (sample(8000, bent=False)[0], np.arange(8000) % 200 == 0, np.zeros(8000)),
    "ties": (
        np.repeat([0.0, 0.3, 0.6, 1.0], 500),
        np.arange(2000) % 500 < np.repeat([50, 100, 300, 450], 500),
        np.zeros(2000),
    ),
    "one value": (np.full(1500, 0.2), np.arange(1500) % 3 == 0, np.zeros(1500)),
}


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_calibration_equals_the_fitted_one_bit_for_bit_and_keeps_ranks(case: str) -> None:
    probability, label, _ = CASES[case]
    fitted = fit_calibration(probability, label)
    loaded = Calibration.from_json(fitted.to_json())
    grid = np.linspace(0, 1, 10_001)
    assert loaded == fitted
    np.testing.assert_array_equal(loaded.apply(grid), fitted.apply(grid))
    assert np.all(np.diff(fitted.apply(np.linspace(EDGE, 1 - EDGE, 10_001))) > 0)
    assert 0 < fitted.apply(grid).min() <= fitted.apply(grid).max() < 1


def test_a_line_finds_the_known_truth() -> None:
    probability, label, truth = CASES["line"]
    fitted = fit_calibration(probability, label)
    assert len(fitted.x) == 2
    np.testing.assert_allclose(fitted.apply(probability), truth, atol=0.03)
    assert ece(label, fitted.apply(probability)) < 0.02
    assert ece(label, probability) > 0.09


def test_a_curve_follows_a_bend_that_a_line_cannot() -> None:
    probability, label, truth = CASES["curve"]
    fitted = fit_calibration(probability, label)
    assert len(fitted.x) > 2
    assert np.abs(fitted.apply(probability) - truth).mean() < 0.02
    assert ece(label, fitted.apply(probability)) < 0.02
    assert ece(label, probability) > 0.09


def test_few_rows_are_not_asked_for_a_bend() -> None:
    probability, label, _ = sample(MIN_ROWS - 1, bent=True)
    assert len(fit_calibration(probability, label).x) == 2


def test_equal_probabilities_get_their_share() -> None:
    probability, label, _ = CASES["ties"]
    np.testing.assert_allclose(
        fit_calibration(probability, label).apply([0.0, 0.3, 0.6, 1.0]), [0.1, 0.2, 0.6, 0.9], atol=0.005
    )
    probability, label, _ = CASES["one value"]
    assert fit_calibration(probability, label).apply([0.2])[0] == pytest.approx(1 / 3, abs=0.002)


def test_a_model_that_points_the_wrong_way_gets_the_base_rate() -> None:
    label = np.arange(300) % 4 == 0
    fitted = fit_calibration(np.where(label, 0.2, 0.6), label)
    np.testing.assert_allclose(fitted.apply([0.1, 0.9]), 0.25)


def test_order_of_rows_does_not_matter() -> None:
    probability, label, _ = CASES["curve"]
    order = np.random.default_rng(1).permutation(len(label))
    grid = np.linspace(0, 1, 101)
    np.testing.assert_allclose(
        fit_calibration(probability[order], label[order]).apply(grid),
        fit_calibration(probability, label).apply(grid),
        rtol=1e-9,
    )


def test_what_cannot_be_calibrated_is_refused() -> None:
    with pytest.raises(TrainingError, match="0 of 3 rows are positive; calibration needs both outcomes"):
        fit_calibration([0.1, 0.2, 0.3], [0, 0, 0])
    with pytest.raises(TrainingError, match=r"2 of 3 probabilities are outside of \[0, 1\]"):
        fit_calibration([0.1, -1.0, np.nan], [0, 1, 0])


@pytest.mark.parametrize("text", ["", "[]", '{"x": [0, 1]}', '{"x": 1, "y": 2}', '{"x": [0, 1], "y": ["a", 1]}'])
def test_text_that_is_no_calibration_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match="is not JSON with the lists x and y"):
        Calibration.from_json(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"x": [0, 0], "y": [0, 1]}',
        '{"x": [0, 1], "y": [1, 0]}',
        '{"x": [0], "y": [0]}',
        '{"x": [0, 1], "y": [0]}',
        '{"x": [0, NaN], "y": [0, 1]}',
    ],
)
def test_knots_that_do_not_rise_are_refused(text: str) -> None:
    with pytest.raises(BundleError, match="is not a rising curve; train again"):
        Calibration.from_json(text)
