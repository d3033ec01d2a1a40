import json
import math
from datetime import datetime

import numpy as np
import pytest
from scipy.stats import norm

from features.errors import TrainingError
from tests.worlds import day
from training.intervals import MIN_RESAMPLES, Evaluation, Record, bootstrap_records
from training.metrics import METRICS

START = day(0)
KEYS = ["dataset", "as_of", "task", "model", "metric", "value", "ci_low", "ci_high", "users", "positives", "seed"]


def evaluation(n: int = 400, *, seed: int = 0, dataset: str = "city", as_of: datetime = START) -> Evaluation:
    """Users u0..: gamma relevance, a model ``good`` that sees it through noise and one, ``blind``, that does not."""
    rng = np.random.default_rng(seed)
    influence = rng.gamma(0.4, 1, n)
    relevance = rng.poisson(influence).astype(float)
    scores = {"good": influence + rng.normal(0, 1, n), "blind": rng.normal(0, 1, n)}
    return Evaluation(dataset, as_of, np.array([f"u{i}" for i in range(n)]), relevance, scores)


def found(records: list[Record], **wanted: object) -> Record:
    (record,) = [r for r in records if all(getattr(r, key) == value for key, value in {"minus": None, **wanted}.items())]
    return record


def test_rows_are_those_of_the_backtest_file() -> None:
    one, two = evaluation(), evaluation(300, seed=1, as_of=datetime(2024, 2, 1, 16))
    records = bootstrap_records([one, two], "koc", differences=[("good", "blind")], resamples=200, seed=7)
    entries = [record.to_dict() for record in records]
    assert [json.loads(json.dumps(entry)) for entry in entries] == entries
    assert [set(entry) - set(KEYS) for entry in entries] == [set()] * 40 + [{"minus"}] * 20
    assert all(set(KEYS) <= set(entry) for entry in entries)
    assert {(e["dataset"], e["as_of"], e["users"]) for e in entries} == {
        ("city", "2024-01-01", 400),
        ("city", "2024-02-01T16:00:00", 300),
        ("city", "pooled", 400),
        ("pooled", "pooled", 400),
    }
    assert {(e["task"], e["seed"]) for e in entries} == {("koc", 7)}
    assert {e["metric"] for e in entries} == {name for name, metric in METRICS.items() if metric.task == "koc"}


def test_values_are_the_metrics_and_pooled_values_their_means() -> None:
    parts = [evaluation(), evaluation(seed=1, as_of=day(1)), evaluation(200, seed=2, dataset="town")]
    records = bootstrap_records(parts, "koc", differences=[("good", "blind")], resamples=200)
    single = [METRICS["average_precision"](part.relevance, part.scores["good"]) for part in parts]
    at = {"model": "good", "metric": "average_precision"}
    assert found(records, dataset="city", as_of="2024-01-01", **at).value == pytest.approx(single[0])
    assert found(records, dataset="city", as_of="pooled", **at).value == pytest.approx(np.mean(single[:2]))
    assert found(records, dataset="pooled", **at).value == pytest.approx(np.mean(single))
    blind = found(records, dataset="pooled", model="blind", metric="average_precision").value
    difference = found(records, dataset="pooled", minus="blind", **at)
    assert difference.value == pytest.approx(np.mean(single) - blind)
    assert 0 < difference.ci_low < difference.value < difference.ci_high
    assert found(records, dataset="pooled", **at).users == 600
    positives = int(((parts[0].relevance > 0) | (parts[1].relevance > 0)).sum() + (parts[2].relevance > 0).sum())
    assert found(records, dataset="pooled", **at).positives == positives


def test_intervals_cover_a_known_truth() -> None:
    truth = norm.cdf(1 / np.sqrt(2))
    inside, widths = 0, []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        label = rng.integers(0, 2, 300)
        part = Evaluation("city", day(0), np.arange(300), label, {"model": rng.normal(label, 1)})
        record = found(bootstrap_records([part], "churn", resamples=200), dataset="city", as_of="2024-01-01")
        inside += record.ci_low <= truth <= record.ci_high
        widths.append(record.ci_high - record.ci_low)
    # 95 % of 80 is 76; fewer than 69 comes less than once in a thousand such tests.
    assert inside >= 69
    # Hanley and McNeil's standard error of this AUROC is .0247.
    assert np.mean(widths) == pytest.approx(2 * 1.96 * 0.0247, rel=0.1)


def test_the_same_users_on_two_dates_are_one_cluster_and_two_datasets_are_not() -> None:
    def width(second: Evaluation) -> float:
        record = found(
            bootstrap_records([evaluation(), second], "koc"), dataset="pooled", model="good", metric="ndcg_at_1000"
        )
        return record.ci_high - record.ci_low

    once = found(bootstrap_records([evaluation()], "koc"), dataset="pooled", model="good", metric="ndcg_at_1000")
    assert width(evaluation(as_of=day(1))) == pytest.approx(once.ci_high - once.ci_low, rel=1e-12)
    assert width(evaluation(dataset="town")) == pytest.approx((once.ci_high - once.ci_low) / np.sqrt(2), rel=0.15)


def test_equal_scores_differ_by_nothing() -> None:
    part = evaluation()
    twin = Evaluation(part.dataset, part.as_of, part.users, part.relevance, {**part.scores, "twin": part.scores["good"]})
    records = bootstrap_records([twin], "koc", differences=[("good", "twin")], resamples=200)
    differences = [record for record in records if record.minus]
    assert len(differences) == 15
    assert {(r.value, r.ci_low, r.ci_high) for r in differences} == {(0.0, 0.0, 0.0)}


def test_neither_order_of_users_nor_other_datasets_change_anything() -> None:
    part = evaluation()
    # Coarse scores, so that the order of ties would show.
    coarse = {model: scores.round(0) for model, scores in part.scores.items()}
    order = np.random.default_rng(3).permutation(len(part.users))
    plain = Evaluation("city", day(0), part.users, part.relevance, coarse)
    mixed = Evaluation(
        "city", day(0), part.users[order], part.relevance[order], {m: scores[order] for m, scores in coarse.items()}
    )
    expected = bootstrap_records([plain], "koc", resamples=200)
    assert bootstrap_records([mixed], "koc", resamples=200) == expected
    beside = bootstrap_records([evaluation(dataset="a"), mixed], "koc", resamples=200)
    assert [r for r in beside if r.dataset == "city"] == [r for r in expected if r.dataset == "city"]
    assert bootstrap_records([plain], "koc", resamples=200, seed=1) != expected


def test_a_score_that_is_no_probability_has_no_metric_of_probabilities() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 50)
    part = Evaluation("city", day(0), np.arange(50), label, {"recency": -rng.random(50), "lightgbm": rng.random(50)})
    records = bootstrap_records([part], "churn", differences=[("lightgbm", "recency")], resamples=200)
    assert {r.metric for r in records if r.model == "recency"} == {"auroc"}
    assert {r.metric for r in records if r.model == "lightgbm" and not r.minus} == {"auroc", "ece", "brier"}
    assert {r.metric for r in records if r.minus} == {"auroc"}


def test_a_model_that_one_date_lacks_is_pooled_only_where_all_dates_have_it() -> None:
    part = evaluation(dataset="town")
    without = Evaluation(part.dataset, part.as_of, part.users, part.relevance, {"good": part.scores["good"]})
    records = bootstrap_records([evaluation(), without], "koc", differences=[("good", "blind")], resamples=200)
    assert {r.dataset for r in records if r.model == "blind"} == {"city"}
    assert {r.dataset for r in records if r.minus} == {"city"}
    assert {r.dataset for r in records if r.model == "good" and not r.minus} == {"city", "town", "pooled"}


def test_an_undefined_value_is_null_in_the_file() -> None:
    part = Evaluation("city", day(0), np.arange(20), np.zeros(20), {"model": np.linspace(0, 1, 20)})
    record = found(bootstrap_records([part], "churn", resamples=200), dataset="city", as_of="2024-01-01", metric="auroc")
    assert math.isnan(record.value)
    assert [record.to_dict()[key] for key in ("value", "ci_low", "ci_high", "positives")] == [None, None, None, 0]


def test_large_data_gets_fewer_resamples_but_never_below_the_least(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []

    def resample(_: np.random.Generator, rows: int, users: int) -> np.ndarray:
        drawn.append(rows)
        return np.ones((rows, users), dtype=np.int16)

    monkeypatch.setattr("training.intervals._resample", resample)
    for bound, expected in ((400 * 2 * 500, 500), (1, MIN_RESAMPLES), (10**9, 1000)):
        drawn.clear()
        monkeypatch.setattr("training.intervals.MAX_WORK", bound)
        bootstrap_records([evaluation()], "koc")
        assert sum(drawn) == expected


def test_nothing_evaluated_is_no_record() -> None:
    assert bootstrap_records([], "churn", differences=[("lightgbm", "recency")]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": np.repeat("u1", 400)}, "koc at city 2024-01-01 has 400 rows for 1 users; give one row per user"),
        ({"users": np.array([])}, "koc at city 2024-01-01 has no users; choose a test date"),
        ({"relevance": np.ones(3)}, "koc at city 2024-01-01: relevance has 3 rows for 400 users; align them"),
        ({"scores": {"good": np.full(400, np.nan)}}, "koc at city 2024-01-01: 400 values of good are not finite"),
    ],
)
def test_bad_evaluations_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        bootstrap_records([Evaluation(**{**vars(evaluation()), **change})], "koc")


def test_repeated_dates_and_unknown_models_are_refused() -> None:
    with pytest.raises(TrainingError, match="koc at city 2024-01-01 is evaluated twice; give each dataset and date once"):
        bootstrap_records([evaluation(), evaluation()], "koc")
    with pytest.raises(TrainingError, match="no koc scores of gnn to compare; choose from blind, good"):
        bootstrap_records([evaluation()], "koc", differences=[("good", "gnn")])


def test_the_interval_of_calibration_lies_around_its_value() -> None:
    # Calibrated probabilities: resampling adds distance, so that plain percentiles would all lie above the value.
    rng = np.random.default_rng(1)
    probability = rng.random(400)
    label = (rng.random(400) < probability).astype(float)
    part = Evaluation("city", day(0), np.arange(400), label, {"lightgbm": probability})
    (record,) = (r for r in bootstrap_records([part], "churn", resamples=300) if r.metric == "ece" and r.as_of != "pooled")
    assert 0 <= record.ci_low < record.value < record.ci_high
    middle = (record.ci_low + record.ci_high) / 2
    assert middle == pytest.approx(record.value, abs=0.01)
