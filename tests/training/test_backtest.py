from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from features.engine import DuckDB
from features.errors import ImmatureLabelError, LeakageError, TrainingError
from tests.busy import DAYS, busy_rows, busy_world
from tests.worlds import day, world
from training.backtest import backtest, evaluate, evaluate_all, judge
from training.folds import Panel, training_folds
from training.hybrid import fit_hybrid
from training.intervals import Evaluation, Record
from training.judged import SERVED
from training.metrics import METRICS, Task
from training.settings import TrainSettings
from training.timeline import Timeline

QUICK = TrainSettings(dates=1, groups=2, rounds=5, width=8, epochs=2, threads=1, resamples=50)
TEST_DATE = day(60)
BASELINES = {"degree", "pagerank", "activity", "past_influence", "recency"}
USERS = 200
"""Enough for trees to part them, and for ties that carried anything."""
SINGLE = {"lightgbm_own", "lightgbm", "ties", "gnn"}
CHURN = {"recency", "activity", "lightgbm_own", "lightgbm", "gnn"}
KEYS = {"dataset", "as_of", "task", "model", "metric", "value", "ci_low", "ci_high", "users", "positives", "seed"}


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def timeline(engine: DuckDB) -> Timeline:
    return Timeline(busy_world("orders", "ties", users=USERS, engine=engine, settings={"test_dates": (TEST_DATE,)}))


@pytest.fixture(scope="module")
def evaluations(timeline: Timeline) -> dict[Task, list[Evaluation]]:
    return evaluate_all([timeline], QUICK)


@pytest.fixture(scope="module")
def records(evaluations: dict[Task, list[Evaluation]]) -> list[Record]:
    return judge(evaluations, QUICK)


# Of all rows, and of some that were drawn.
@pytest.mark.parametrize("settings", [QUICK, replace(QUICK, user_rows=USERS // 2)])
def test_what_is_judged_is_what_is_served(timeline: Timeline, settings: TrainSettings) -> None:
    panel = Panel.of(training_folds(timeline, TEST_DATE, settings), settings)
    assert panel.drawn.all() == (settings is QUICK)
    judged, frame = evaluate(timeline, TEST_DATE, settings), timeline.frame(TEST_DATE)
    served = fit_hybrid(panel, settings, influence=True, churn=True).said(frame)
    assert served.margin is not None
    assert served.churn is not None
    np.testing.assert_array_equal(served.margin, judged["koc"].scores[SERVED])
    np.testing.assert_array_equal(served.churn[frame.churn_population], judged["churn"].scores[SERVED])


def test_every_model_and_baseline_is_judged_on_all_users_seen(
    timeline: Timeline, evaluations: dict[Task, list[Evaluation]]
) -> None:
    (koc,), (churn,) = evaluations["koc"], evaluations["churn"]
    assert set(koc.scores) == BASELINES | SINGLE | {SERVED}
    assert set(churn.scores) == CHURN | {SERVED}
    assert koc.users.tolist() == timeline.matrix(TEST_DATE).users.tolist()
    known = timeline.frame(TEST_DATE).churn_population
    assert 0 < known.sum() < len(known)
    assert churn.users.tolist() == koc.users[known].tolist()
    assert 0 < np.count_nonzero(koc.relevance) < len(koc.users)
    assert set(churn.relevance) == {0.0, 1.0}
    for model in ("lightgbm_own", "lightgbm", "gnn", SERVED):
        assert ((churn.scores[model] > 0) & (churn.scores[model] < 1)).all()


def test_a_model_sees_only_what_was_known_by_its_date(engine: DuckDB, timeline: Timeline) -> None:
    # From the test date on the world is another one; orders that keep everybody from leaving are recorded only then.
    rows, other = busy_rows(users=USERS), busy_rows(users=USERS, seed=9)
    past = [order for order in rows["orders"] if order["ordered_at"] < TEST_DATE]
    future = [order for order in other["orders"] if order["ordered_at"] >= TEST_DATE]
    late = [
        {"user_id": user, "item_id": "i0", "ordered_at": day(55), "amount": 100, "recorded_at": TEST_DATE}
        for user in sorted({order["user_id"] for order in past})
    ]
    orders = [{"recorded_at": None, **order} for order in (*past, *future, *late)]
    changed = Timeline(world(orders=orders, ties=rows["ties"], until=day(DAYS), engine=engine))
    for mine, theirs in zip(
        training_folds(timeline, TEST_DATE, QUICK), training_folds(changed, TEST_DATE, QUICK), strict=True
    ):
        assert mine.as_of == theirs.as_of
        assert mine.as_of + timedelta(days=10) <= TEST_DATE
        np.testing.assert_array_equal(mine.frame.matrix.x, theirs.frame.matrix.x)
        np.testing.assert_array_equal(mine.frame.ties.x, theirs.frame.ties.x)
        np.testing.assert_array_equal(mine.frame.churn_population, theirs.frame.churn_population)
        np.testing.assert_array_equal(mine.labels.influence, theirs.labels.influence)
        np.testing.assert_array_equal(mine.labels.follows, theirs.labels.follows)
        np.testing.assert_array_equal(mine.labels.churned, theirs.labels.churned)
        assert mine.labels.influence.any()
    first, second = (evaluate(each, TEST_DATE, QUICK)["koc"] for each in (timeline, changed))
    for model, scores in first.scores.items():
        np.testing.assert_array_equal(scores, second.scores[model])
    assert not np.array_equal(first.relevance, second.relevance)


def test_a_training_date_whose_window_reaches_past_the_test_date_is_refused(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "training_dates", lambda as_of, _most, _per_horizon: [as_of - timedelta(days=9)])
    with pytest.raises(LeakageError, match="label windows of 2024-02-21 reach past 2024-03-01; train on earlier dates"):
        training_folds(timeline, TEST_DATE, QUICK)


def on_dates(tables: Timeline, *dates: datetime) -> Timeline:
    dataset = tables.tables.dataset
    return Timeline(
        replace(
            tables.tables,
            dataset=dataset.model_copy(update={"time": dataset.time.model_copy(update={"test_dates": dates})}),
        )
    )


def test_an_open_test_window_is_refused_before_anything_is_fitted(
    timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.backtest.evaluate", lambda *_, **__: pytest.fail("fitted before the check"))
    with pytest.raises(ImmatureLabelError, match="the label window of 2024-03-15 00:00 ends 2024-03-25 00:00"):
        evaluate_all([on_dates(timeline, TEST_DATE, day(74))], QUICK)


def test_a_test_date_without_history_is_refused_with_the_first_order(timeline: Timeline) -> None:
    with pytest.raises(
        TrainingError, match=r"no training date before 2024-01-11.*the first order or response is of 2024-01-01"
    ):
        evaluate_all([on_dates(timeline, day(10))], QUICK)
    with pytest.raises(TrainingError, match="the first order or response is later"):
        evaluate_all([on_dates(timeline, day(-10))], QUICK)


def test_a_dataset_too_short_for_any_test_date_is_refused(engine: DuckDB) -> None:
    orders = [{"user_id": f"u{n}", "ordered_at": day(n)} for n in range(20)]
    with pytest.raises(TrainingError, match=r"the history of dataset 'world' is too short .* horizon of 10 days; shorten"):
        evaluate_all([Timeline(world(orders=orders, engine=engine))], QUICK)
    once = [{"user_id": f"u{n}", "ordered_at": day(1)} for n in range(20)]
    with pytest.raises(TrainingError, match="too short"):
        evaluate_all([Timeline(world(orders=once, engine=engine))], QUICK)


def test_records_have_the_documented_keys(records: list[Record]) -> None:
    assert {frozenset(record.to_dict()) for record in records} == {frozenset(KEYS), frozenset(KEYS | {"minus"})}
    assert {record.as_of for record in records} == {"2024-03-01", "pooled"}
    assert {record.dataset for record in records} == {"world", "pooled"}
    for task in ("koc", "churn"):
        assert {r.metric for r in records if r.task == task} == {name for name, m in METRICS.items() if m.task == task}
    assert all(record.ci_low <= record.value <= record.ci_high for record in records if record.value == record.value)


def test_differences_are_of_the_served_model_minus_each_other(records: list[Record]) -> None:
    differences = [record for record in records if record.minus]
    assert {record.model for record in differences} == {SERVED}
    assert {r.minus for r in differences if r.task == "koc"} == BASELINES | SINGLE
    assert {r.minus for r in differences if r.task == "churn"} == CHURN
    values = {(r.model, r.task, r.metric): r.value for r in records if not r.minus and r.as_of == "2024-03-01"}
    for record in differences:
        if record.as_of == "2024-03-01":
            own, other = (values[model, record.task, record.metric] for model in (SERVED, record.minus))
            assert record.value == pytest.approx(own - other, abs=1e-12)


def test_the_same_seed_gives_the_same_records(timeline: Timeline, records: list[Record]) -> None:
    again = on_dates(timeline, TEST_DATE, TEST_DATE)
    again._frames.update(timeline._frames)
    again._snapshots.update(timeline._snapshots)
    assert backtest([again], QUICK) == records
    assert backtest([again], replace(QUICK, seed=1)) != records


def test_ties_without_evidence_are_judged_on_churn_alone(engine: DuckDB) -> None:
    orders = [{key: row[key] for key in ("user_id", "ordered_at")} for row in busy_rows(users=USERS)["orders"]]
    found = evaluate(Timeline(world(orders=orders, until=day(DAYS), engine=engine)), TEST_DATE, QUICK)
    assert set(found) == {"churn"}
    scores = found["churn"].scores
    assert set(scores) == CHURN | {SERVED}
    # Without any feature of the graph both read the same.
    np.testing.assert_array_equal(scores["lightgbm_own"], scores["lightgbm"])


def test_responses_without_orders_are_judged_on_influence_alone(engine: DuckDB) -> None:
    found = evaluate(Timeline(busy_world("share_responses", users=USERS, engine=engine)), TEST_DATE, QUICK)
    assert set(found) == {"koc"}
    assert set(found["koc"].scores) == BASELINES - {"pagerank"} | SINGLE | {SERVED}
    records = judge({"koc": [found["koc"]], "churn": []}, QUICK)
    assert {record.task for record in records} == {"koc"}


def test_a_model_learns_from_all_folds(timeline: Timeline) -> None:
    one, two = (evaluate(timeline, TEST_DATE, replace(QUICK, dates=dates))["koc"].scores for dates in (1, 2))
    assert len(training_folds(timeline, TEST_DATE, replace(QUICK, dates=2))) == 2
    for model in SINGLE:
        assert not np.array_equal(one[model], two[model])


def test_d17_an_ablation_is_the_hybrid_without_a_part(timeline: Timeline, evaluations: dict[Task, list[Evaluation]]) -> None:
    judged = evaluate(timeline, TEST_DATE, QUICK, ablations=True)
    scores, whole = judged["koc"].scores, evaluations["koc"][0].scores
    parts = {f"{SERVED}-without-{part}" for part in ("gnn", "ties", "strength", "items")}
    assert set(scores) == set(whole) | parts
    assert set(judged["churn"].scores) == CHURN | {SERVED}
    for model, score in whole.items():
        np.testing.assert_array_equal(scores[model], score)
    for part in parts:
        assert np.isfinite(scores[part]).all()
        assert not np.allclose(scores[part], scores[SERVED])
    differences = {r.minus for r in judge({"koc": [judged["koc"]], "churn": []}, QUICK) if r.minus}
    assert parts < differences


def test_influence_may_be_asked_to_reach_several_people(
    timeline: Timeline, evaluations: dict[Task, list[Evaluation]]
) -> None:
    (koc,), truth = evaluations["koc"], timeline.labels(TEST_DATE)
    two = evaluate(timeline, TEST_DATE, QUICK, at_least=2)["koc"]
    expected = [moved if people >= 2 else 0.0 for moved, people in zip(truth.influence, truth.people_moved, strict=True)]
    assert two.relevance.tolist() == expected
    assert 0 < np.count_nonzero(two.relevance) < np.count_nonzero(koc.relevance)
    # Models learn the same whatever is asked of them.
    for model, score in koc.scores.items():
        np.testing.assert_array_equal(two.scores[model], score)
