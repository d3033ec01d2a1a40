import numpy as np
import pytest

from training.matrix import Floats
from training.stack import Stack, fit_stack


def rows(count: int, seed: int, *noise: float) -> tuple[Floats, Floats]:
    """Influence of mean about .4, and a view of its log for each amount of ``noise``; with inf it knows nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=count)
    views = [rng.normal(size=count) if amount == np.inf else truth + amount * rng.normal(size=count) for amount in noise]
    return np.stack(views, axis=1), rng.poisson(np.exp(truth - 1.5)).astype(float)


def shares(stack: Stack, margins: Floats) -> Floats:
    """What each view adds to the spread of the combined margin."""
    return np.array(stack.weights) * margins.std(axis=0)


def test_the_margin_is_a_straight_line_over_views() -> None:
    stack = Stack(("a", "b"), (0.5, 2.0), (0.0, 0.0), -1.0)
    assert stack.margin(np.array([[2.0, 1.0], [0.0, 0.0]])).tolist() == [2.0, -1.0]


@pytest.mark.parametrize("seed", range(3))
def test_a_useless_view_is_hardly_heard_where_data_are_many(seed: int) -> None:
    margins, influence = rows(20_000, seed, 0.3, np.inf)
    good, useless = shares(fit_stack(("good", "useless"), margins, influence), margins)
    assert good > 0.8
    assert 0 <= useless < 0.08


@pytest.mark.parametrize("seed", range(3))
def test_a_view_that_is_wrong_is_left_out_and_never_turned_round(seed: int) -> None:
    margins, influence = rows(2_000, seed, 0.3, 0.3)
    stack = fit_stack(("right", "wrong"), margins * [1, -1], influence)
    assert stack.weights[1] == 0.0
    assert stack.weights[0] > 0.5


def test_the_better_view_counts_more() -> None:
    margins, influence = rows(5_000, 0, 0.2, 1.0)
    better, worse = shares(fit_stack(("better", "worse"), margins, influence), margins)
    assert better > 2 * worse > 0


def test_views_that_say_the_same_share_evenly_in_any_unit() -> None:
    margins, influence = rows(200, 0, 0.3)
    both = np.concatenate([margins, 10 * margins - 3], axis=1)
    one, other = shares(fit_stack(("a", "b"), both, influence), both)
    assert one == pytest.approx(other, rel=1e-3)


def test_little_data_hardly_tell_equally_good_views_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def apart() -> float:
        found = []
        for seed in range(8):
            margins, influence = rows(100, seed, 0.5, 0.5)
            one, other = shares(fit_stack(("a", "b"), margins, influence), margins)
            found.append(abs(one - other))
        return float(np.mean(found))

    held = apart()
    monkeypatch.setattr("training.stack.RIDGE", 0.0)
    assert held < 0.8 * apart()


@pytest.mark.parametrize("scale", [0.01, 1.0, 100.0])
def test_the_bias_gives_the_mean_in_any_unit_of_influence(scale: float) -> None:
    margins, influence = rows(5_000, 0, 0.3, 0.3)
    stack = fit_stack(("a", "b"), margins + 7.0, scale * influence)
    assert np.exp(stack.margin(margins + 7.0)).mean() == pytest.approx(scale * influence.mean(), rel=0.05)


def test_the_centre_is_what_views_say_on_average() -> None:
    margins, influence = rows(500, 0, 0.3, np.inf)
    margins[:, 0] += 1.0
    stack = fit_stack(("a", "b"), margins, influence)
    assert stack.centre == pytest.approx((margins[:, 0].mean(), margins[:, 1].mean()))
    # The order of views is that of their columns.
    turned = fit_stack(("b", "a"), margins[:, ::-1], influence)
    assert turned.views == ("b", "a")
    assert turned.weights == pytest.approx(stack.weights[::-1], abs=1e-4)


def test_a_view_that_says_one_thing_of_everybody_changes_no_order() -> None:
    margins, influence = rows(500, 0, 0.3)
    flat = np.concatenate([margins, np.full_like(margins, -9.2)], axis=1)
    alone, both = fit_stack(("a",), margins, influence), fit_stack(("a", "flat"), flat, influence)
    assert np.isfinite(both.margin(flat)).all()
    np.testing.assert_array_equal(np.argsort(both.margin(flat)), np.argsort(alone.margin(margins)))


def test_the_same_rows_give_the_same_weights() -> None:
    margins, influence = rows(500, 0, 0.3, 0.5)
    stack = fit_stack(("a", "b"), margins, influence)
    assert fit_stack(("a", "b"), margins, influence) == stack
