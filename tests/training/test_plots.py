import io
from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.stats import binomtest

from features.errors import TrainingError
from training.intervals import Evaluation, Record, bootstrap_records
from training.metrics import ece
from training.plots import MAX_BARS, headlines, importance_plot, intervals_plot, reliability_plot, replay_plot, weights_plot
from training.replay import NOT_CAUSAL, compare


def drawn(figure: Figure) -> Figure:
    """The figure, once it has proved to render as a PNG."""
    target = io.BytesIO()
    figure.savefig(target, format="png")
    assert target.getvalue().startswith(b"\x89PNG")
    return figure


def text(figure: Figure) -> str:
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    return "\n".join([figure.get_suptitle(), *titles])


def records(*datasets: str, task: str = "koc") -> list[Record]:
    rng = np.random.default_rng(0)
    evaluations = []
    for dataset in datasets:
        for month in (1, 2, 3):
            label = rng.integers(0, 2, 60)
            scores = {"worse": rng.random(60), "better": (label + rng.random(60)) / 2}
            evaluations.append(Evaluation(dataset, datetime(2024, month, 1), np.arange(60), label, scores))
    return bootstrap_records(evaluations, task, differences=[("better", "worse")], resamples=200)


def test_importance_shows_the_highest_gains_as_shares_best_on_top() -> None:
    figure = drawn(importance_plot(["orders_42d", "recency_days", "unused"], [30, 60, 10]))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["unused", "orders_42d", "recency_days"]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([0.1, 0.3, 0.6])
    assert text(figure).endswith("Feature importance")
    many = drawn(importance_plot([f"f{i}" for i in range(80)], np.ones(80)))
    assert len(many.axes[0].patches) == MAX_BARS
    assert "30 of 80 features, 38% of the gain" in text(many)
    drawn(importance_plot(["unused"], [0]))


def test_reliability_puts_bins_where_said_and_seen_meet_and_names_the_ece() -> None:
    # Fifteen kinds of 225 users, of whom exactly the square of what is said are positive.
    said = np.arange(1, 16) / 15
    probability = np.repeat(said, 225)
    label = np.tile(np.arange(225), 15) < np.repeat(np.arange(1, 16) ** 2, 225)
    order = np.random.default_rng(0).permutation(len(label))
    figure = drawn(reliability_plot(label[order], probability[order]))
    points = figure.axes[0].get_lines()[1]
    np.testing.assert_allclose(points.get_xdata(), said)
    np.testing.assert_allclose(points.get_ydata(), said**2)
    segments = np.array([path.vertices for path in figure.axes[0].collections[0].get_paths()])
    wilson = [binomtest(k**2, 225).proportion_ci(method="wilson") for k in range(1, 16)]
    np.testing.assert_allclose(segments[:, :, 1], [(each.low, each.high) for each in wilson], atol=1e-4)
    assert ece(label, probability) == pytest.approx((said - said**2).mean())
    assert f"ECE {(said - said**2).mean():.3f}\n3,375 users, {label.mean():.1%} positive" in text(figure)
    drawn(reliability_plot([1, 0], [1.0, 0.0]))


def test_intervals_have_a_row_for_all_and_one_per_dataset_with_differences_beside() -> None:
    found = records("jakarta", "saopaulo")
    figure = drawn(intervals_plot(found, "average_precision"))
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        *("all datasets", "better minus each"),
        *("jakarta, 3 dates", "better minus each"),
        *("saopaulo, 3 dates", "better minus each"),
    ]
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["worse", "better"]
    assert "average precision by model, higher is better" in text(figure)
    values = {
        (record.model, record.minus): record.value
        for record in found
        if (record.dataset, record.as_of, record.metric) == ("jakarta", "pooled", "average_precision")
    }
    dates, *pooled = figure.axes[2].get_lines()
    assert len(dates.get_xdata()) == 6
    points = {line.get_ydata()[0]: line.get_xdata()[0] for line in pooled}
    assert points == {0: values["worse", None], 1: values["better", None]}
    # A difference stands on the line of the model that is taken away, with its value in figures.
    zero, difference = figure.axes[3].get_lines()
    assert zero.get_xdata() == [0, 0]
    assert (difference.get_xdata()[0], difference.get_ydata()[0]) == (values["better", "worse"], 0)
    assert [note.get_text() for note in figure.axes[3].texts] == [f"{values['better', 'worse']:+.3f}"]


def test_one_dataset_is_one_row_and_the_best_is_on_top_when_lower_is_better() -> None:
    figure = drawn(intervals_plot(records("jakarta", task="churn"), "brier"))
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["worse", "better"]
    assert "lower is better" in text(figure)


def test_models_that_do_without_a_part_come_below_the_others() -> None:
    names = {"worse": "hybrid", "better": "hybrid-without-ties"}
    parts = [replace(r, model=names[r.model]) for r in records("jakarta") if not r.minus]
    (axes,) = drawn(intervals_plot(parts, "average_precision")).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["hybrid-without-ties", "hybrid"]


def test_a_headline_is_drawn_of_every_task() -> None:
    assert headlines([*records("jakarta", task="churn"), *records("jakarta")]) == ["average_precision", "auroc"]
    assert headlines(records("jakarta", task="churn")) == ["auroc"]


def test_weights_are_drawn_as_what_they_add() -> None:
    figure = drawn(weights_plot({"gnn": 0.5, "ties": 0.25, "lightgbm": 1.0}, {"gnn": 2.0, "ties": 1.0}))
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["ties", "gnn"]
    assert [bar.get_width() for bar in axes.patches] == [0.25, 1.0]
    assert [note.get_text() for note in axes.texts] == ["weight 0.25", "weight 0.50"]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(TrainingError, match="1 names and 2 gains; give one gain for each"):
        importance_plot(["a"], [1, 2])
    with pytest.raises(TrainingError, match="0 labels and 0 probabilities; give one of each per user"):
        reliability_plot([], [])
    with pytest.raises(TrainingError, match="no pooled values of 'auroc' to draw; the records hold average_precision"):
        intervals_plot(records("jakarta"), "auroc")


def test_a_replay_has_its_groups_above_their_differences_and_is_labelled() -> None:
    users, influence = np.array(["a", "b", "c", "d"], dtype=object), np.array([0.0, 3.0, 0.0, 1.0])
    found = compare(users, influence, influence, influence * 250, ["a", "b"], resamples=20)
    figure = drawn(replay_plot(found, "A past list", "EUR"))
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == [
        "people moved per contact",
        "EUR credited per contact",
        "share who moved anybody",
    ]
    names = [[label.get_text() for label in axes.get_yticklabels()] for axes in (figure.axes[0], figure.axes[3])]
    assert names == [["list", "score", "random"], ["list - score", "list - random", "score - random"]]
    above, below = figure.axes[1], figure.axes[4]
    # In whole units: the list's two people moved 3 x 2.50 EUR.
    assert [line.get_xdata()[0] for line in above.get_lines()[:3]] == pytest.approx([3.75, 5.0, 2.5])
    assert [line.get_xdata()[0] for line in below.get_lines()[:3]] == pytest.approx([-1.25, 1.25, 2.5])
    assert " ".join(figure.get_supxlabel().split()) == NOT_CAUSAL
    assert "2 people in each group of 4 users" in text(figure)
    assert len(replay_plot(compare(users, influence, influence, None, ["a"], resamples=50), "", "EUR").axes) == 4
