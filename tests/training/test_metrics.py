import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from training.metrics import (
    BINS,
    METRICS,
    Metric,
    Ranking,
    Weighted,
    auroc,
    average_precision,
    brier,
    captured_at_p,
    ece,
    ndcg_at_k,
)


def slow_average_precision(relevance, score):
    total = (relevance > 0).sum()
    if not total:
        return 0.0
    value, before = 0.0, 0
    for threshold in sorted(set(score), reverse=True):
        found = ((score >= threshold) & (relevance > 0)).sum()
        value += (found - before) / total * found / (score >= threshold).sum()
        before = found
    return value


def slow_ndcg(relevance, score, k):
    order = sorted(range(len(score)), key=lambda i: -score[i])
    ideal = sorted(relevance, reverse=True)
    dcg = sum(np.log2(1 + relevance[i]) / np.log2(place + 2) for place, i in enumerate(order[:k]))
    best = sum(np.log2(1 + r) / np.log2(place + 2) for place, r in enumerate(ideal[:k]))
    return dcg / best if best else 0.0


def slow_captured(relevance, score, percent):
    order = sorted(range(len(score)), key=lambda i: -score[i])
    taken = -(-percent * len(score) // 100)
    total = relevance.sum()
    return relevance[order[:taken]].sum() / total if total else 0.0


def slow_auroc(label, score):
    pairs = [(p, n) for p in score[label > 0] for n in score[label <= 0]]
    return np.mean([(p > n) + (p == n) / 2 for p, n in pairs]) if pairs else np.nan


def slow_ece(label, probability):
    if not len(label):
        return np.nan
    # Equal probabilities share their labels evenly; every row is then cut into BINS equal slices.
    label = np.array([(label[probability == p] > 0).mean() for p in probability])
    order = np.argsort(probability)
    slices = np.repeat((label - probability)[order], BINS).reshape(BINS, -1)
    return np.abs(slices.mean(axis=1)).mean()


def slow_brier(label, probability):
    return np.mean(((label > 0) - probability) ** 2) if len(label) else np.nan


SLOW = {
    "average_precision": slow_average_precision,
    "ndcg_at_100": lambda relevance, score: slow_ndcg(relevance, score, 100),
    "ndcg_at_1000": lambda relevance, score: slow_ndcg(relevance, score, 1000),
    "captured_at_1pct": lambda relevance, score: slow_captured(relevance, score, 1),
    "captured_at_5pct": lambda relevance, score: slow_captured(relevance, score, 5),
    "auroc": slow_auroc,
    "ece": slow_ece,
    "brier": slow_brier,
}
Rows = list[tuple[float, float, list[int]]]
# Few distinct values, so that ties in score and relevance are the rule.
rows_and_weights = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.0, 0.5, 1.0, 3.25]),
        st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]),
        st.lists(st.sampled_from([0, 0, 1, 1, 2, 3, 9]), min_size=3, max_size=3),
    ),
    max_size=25,
)


def columns(rows: Rows) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.int16]]:
    relevance, score = (np.array([row[i] for row in rows], dtype=float) for i in (0, 1))
    return relevance, score, np.array([row[2] for row in rows], dtype=np.int16).reshape(-1, 3).T


def test_registry_has_a_slow_reference_and_a_task_for_every_metric() -> None:
    assert set(METRICS) == set(SLOW)
    assert {name for name, metric in METRICS.items() if metric.task == "churn"} == {"auroc", "ece", "brier"}
    assert {name for name, metric in METRICS.items() if not metric.higher_is_better} == {"ece", "brier"}


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@settings(max_examples=60, deadline=None)
@given(rows=rows_and_weights)
def test_weights_equal_repeated_rows_and_the_slow_reference(metric: Metric, rows: Rows) -> None:
    relevance, score, weight = columns(rows)
    together = metric.values(Weighted(Ranking.of(relevance, score), weight))
    assert together.shape == (3,)
    for b, counts in enumerate(weight):
        repeated = np.repeat(relevance, counts), np.repeat(score, counts)
        expected = SLOW[metric.name](*repeated)
        assert together[b] == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert metric(*repeated) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert metric(relevance, score, counts) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@settings(max_examples=60, deadline=None)
@given(rows=rows_and_weights, k=st.integers(1, 12))
def test_ndcg_and_captured_cut_inside_a_repeated_row(rows: Rows, k: int) -> None:
    relevance, score, weight = columns(rows)
    repeated = np.repeat(relevance, weight[0]), np.repeat(score, weight[0])
    assert ndcg_at_k(relevance, score, k, weight[0]) == pytest.approx(slow_ndcg(*repeated, k), abs=1e-12)
    assert captured_at_p(relevance, score, k / 100, weight[0]) == pytest.approx(slow_captured(*repeated, k), abs=1e-12)


@pytest.mark.parametrize("decimals", [1, 6], ids=["many ties", "few ties"])
def test_scikit_learn_agrees(decimals: int) -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 500)
    score = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1).round(decimals)
    weight = rng.integers(0, 4, 500)
    for counts in (None, weight):
        assert average_precision(label, score, counts) == pytest.approx(
            average_precision_score(label, score, sample_weight=counts), abs=1e-12
        )
        assert auroc(label, score, counts) == pytest.approx(roc_auc_score(label, score, sample_weight=counts), abs=1e-12)
        assert brier(label, score, counts) == pytest.approx(brier_score_loss(label, score, sample_weight=counts), abs=1e-12)


def test_values_worked_out_by_head() -> None:
    relevance, score = [0.0, 3.0, 1.0, 0.0], [4.0, 3.0, 2.0, 1.0]
    assert average_precision(relevance, score) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert ndcg_at_k(relevance, score, 2) == pytest.approx((2 / np.log2(3)) / (2 + 1 / np.log2(3)))
    assert captured_at_p(relevance, score, 0.5) == 0.75
    assert auroc(relevance, score) == 0.5
    # Seven bins hold the row at .5, seven the one at .75, and in the middle one their errors cancel by half.
    assert ece([1, 0], [0.75, 0.5]) == pytest.approx((7 * 0.5 + 7 * 0.25 + 0.125) / 15)
    assert brier([1, 0], [0.75, 0.5]) == pytest.approx((0.0625 + 0.25) / 2)


def test_captured_takes_the_ceiling_of_the_exact_product() -> None:
    relevance = np.ones(701)
    assert captured_at_p(relevance[:700], relevance[:700], 0.01) == pytest.approx(7 / 700)
    assert captured_at_p(relevance[:699], relevance[:699], 0.01) == pytest.approx(7 / 699)
    assert captured_at_p(relevance, relevance, 0.01) == pytest.approx(8 / 701)


def test_ties_keep_input_order_where_they_are_not_grouped() -> None:
    assert ndcg_at_k([0, 1], [5, 5], 1) == 0.0
    assert ndcg_at_k([1, 0], [5, 5], 1) == 1.0
    assert average_precision([0, 1], [5, 5]) == average_precision([1, 0], [5, 5]) == 0.5


def test_nothing_relevant_is_zero_and_undefined_is_nan() -> None:
    for name, metric in METRICS.items():
        value = metric([0, 0, 0], [0.1, 0.2, 0.3])
        expected = {"auroc": np.nan, "ece": 0.2, "brier": (0.01 + 0.04 + 0.09) / 3}.get(name, 0.0)
        assert value == pytest.approx(expected, nan_ok=True)
        assert metric([], []) == pytest.approx(np.nan if metric.task == "churn" else 0.0, nan_ok=True)


def test_a_weight_far_from_one_still_reaches_k() -> None:
    relevance, score = np.arange(5000.0), -np.arange(5000.0)
    weight = np.zeros(5000, dtype=int)
    weight[-3:] = 1
    assert ndcg_at_k(relevance, score, 2, weight) == pytest.approx(slow_ndcg(relevance[-3:], score[-3:], 2), abs=1e-12)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match=r"relevance \(2,\) and score \(3,\) must be two vectors of one length"):
        average_precision([0, 1], [1, 2, 3])
