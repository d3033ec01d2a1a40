from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from optuna.distributions import IntDistribution

from features.engine import DuckDB
from features.errors import TrainingError
from tests.busy import DAYS, busy_rows
from tests.worlds import day, world
from training.intervals import Evaluation, Record
from training.judged import SERVED
from training.metrics import Task
from training.settings import RANGES, TrainSettings
from training.timeline import Timeline
from training.tune import SPACE, Step, Tuned, first_test_date, tune, validation_dates

QUICK = TrainSettings(dates=1, groups=2, rounds=5, width=8, epochs=2, hops=1, threads=1, resamples=200)
TEST_DATE = day(60)
USERS = np.array([f"u{number:03}" for number in range(300)], dtype=object)
MOVED = (np.arange(300) % 3 == 0).astype(float)
NOISE = np.random.default_rng(0).normal(size=300)

ORDERS = [{"user_id": "a", "item_id": "i", "ordered_at": day(1)}, {"user_id": "b", "item_id": "i", "ordered_at": day(80)}]
TIES = [{"user_id": "a", "influencer_id": "b"}]


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture
def small(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Timeline]:
    """A dataset whose first order is of day 1; only its dates and its name matter."""
    monkeypatch.setattr(Timeline, "first_event", lambda *_: day(1))

    def made(*test_dates: datetime, name: str = "world", ties: bool = True) -> Timeline:
        tables = {"orders": ORDERS, **({"ties": TIES} if ties else {})}
        tables = world(engine=engine, settings={"test_dates": test_dates}, **tables)
        return Timeline(replace(tables, dataset=tables.dataset.model_copy(update={"name": name})))

    return made


def skilled(skill: Callable[[TrainSettings, Step], float]) -> Callable[[Step, TrainSettings], dict[Task, Evaluation]]:
    """A way to judge under which settings score as well as ``skill`` says; churn is told apart the better, the less so."""

    def judge(step: Step, settings: TrainSettings) -> dict[Task, Evaluation]:
        found = skill(settings, step)
        score = MOVED * found + NOISE
        name = step.timeline.tables.dataset.name
        judged: dict[Task, Evaluation] = {"churn": Evaluation(name, step.as_of, USERS, MOVED, {SERVED: MOVED + NOISE})}
        if step.task == "koc":
            judged["koc"] = Evaluation(name, step.as_of, USERS, MOVED, {SERVED: score})
        return judged

    return judge


def ticking(seconds: float) -> Callable[[], float]:
    """A clock on which every look takes ``seconds``."""
    ticks: Iterator[int] = count()
    return lambda: next(ticks) * seconds


def of_leaves(settings: TrainSettings, _: Step) -> float:
    return 3.0 if settings.leaves > 15 else 1.0


def _headline(record: Record) -> bool:
    return record.metric == "average_precision" and record.dataset == "pooled" and not record.minus


# Validation dates


def test_validation_dates_end_by_the_first_test_date_and_leave_training_dates(small: Callable[..., Timeline]) -> None:
    horizon = timedelta(days=10)
    timeline = small(day(70), TEST_DATE)
    assert first_test_date(timeline) == TEST_DATE
    assert validation_dates(timeline, 2) == [day(50), day(40)]
    # A training date needs half a horizon after day 1, and a whole one before the date that it serves.
    assert validation_dates(timeline, 99) == [day(50), day(40), day(30), day(20)]
    assert all(date + horizon <= TEST_DATE for date in validation_dates(timeline, 99))


def test_without_test_dates_those_that_a_backtest_takes_are_kept_out(small: Callable[..., Timeline]) -> None:
    timeline = small()
    assert timeline.default_test_dates()[0] == day(50)
    assert validation_dates(timeline, 1) == [day(40)]


def test_a_history_without_validation_dates_is_refused_with_a_remedy(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    message = (
        r"'world' is too short to tune before the first test date 2024-01-26 with a horizon of 10 days; choose later test"
    )
    with pytest.raises(TrainingError, match=message):
        validation_dates(small(day(25)), 3)
    monkeypatch.setattr(Timeline, "first_event", lambda *_: None)
    with pytest.raises(TrainingError, match=r"too short to judge a model with a horizon of 10 days; shorten time.horizon"):
        validation_dates(small(), 3)


def test_nothing_from_the_first_test_date_on_changes_what_is_found(engine: DuckDB, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.tune.SPACE", {"rounds": IntDistribution(2, 9), "dates_per_horizon": IntDistribution(1, 1)})
    rows, other = busy_rows(), busy_rows(seed=9)
    past = [order for order in rows["orders"] if order["ordered_at"] < TEST_DATE]
    # Orders within the label window of the validation date, which become known with the test date.
    late = [
        {"user_id": f"u{user:02}", "item_id": f"i{item}", "ordered_at": day(51 + item / 10), "recorded_at": TEST_DATE}
        for user in range(60)
        for item in range(5)
    ]
    future = [order for order in other["orders"] if order["ordered_at"] >= TEST_DATE]
    first, second = (
        _searched(engine, orders=[{"recorded_at": None, **order} for order in orders], ties=rows["ties"])
        for orders in (rows["orders"], [*past, *late, *future])
    )
    assert first == second
    assert first.trials + first.stopped == 2
    assert first.steps == [("world", day(50))]
    assert {record.task for record in first.records} == {"koc", "churn"}
    assert 0 < first.records[0].value < 1


def _searched(engine: DuckDB, **tables: list[dict[str, object]]) -> Tuned:
    made = world(engine=engine, until=day(DAYS), settings={"test_dates": (TEST_DATE,)}, **tables)
    return tune([Timeline(made)], QUICK, minutes=60, most_dates=1, most_trials=2)


# The search


def test_the_defaults_are_inside_the_space_and_the_space_inside_what_a_file_may_say() -> None:
    for name, distribution in SPACE.items():
        assert distribution._contains(distribution.to_internal_repr(getattr(TrainSettings(), name))), name
        assert RANGES[name][0] <= distribution.low <= distribution.high <= RANGES[name][1], name


def test_settings_that_are_surely_better_are_found_and_written(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Step, "judge", skilled(of_leaves))
    told: list[str] = []
    found = tune([small(TEST_DATE)], TrainSettings(resamples=200), minutes=1, most_trials=12, progress=told.append)
    assert found.surely_better
    assert found.settings == found.best != found.defaults
    assert found.settings.leaves > 15
    assert found.settings.dates == 6 * found.settings.dates_per_horizon
    assert found.trials + found.stopped == 12
    difference = found.difference
    assert difference is not None
    values = {r.model: r.value for r in found.records if _headline(r)}
    assert difference.value == pytest.approx(values["best trial"] - values["defaults"])
    assert found.verdict.startswith("the settings found are used: the best of ")
    assert told[0] == "trial 1, 1 min left: world 2024-02-20"
    start = f"{values['defaults']:.4f}"
    assert told[3].startswith(f"trial 2, best so far {start}, defaults {start}, 1 min left: ")
    file = tmp_path / "tuned.toml"
    file.write_text(found.to_toml())
    assert TrainSettings.from_file(file) == replace(found.settings, resamples=1000)
    assert 'first_test_dates = ["world 2024-03-01T00:00:00"]' in file.read_text()
    assert "world 2024-01-31T00:00:00" in file.read_text()


def test_the_same_seed_finds_the_same(small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Step, "judge", skilled(lambda settings, _: settings.dropout))
    settings = TrainSettings(resamples=200)
    first, second, other = (
        tune([small(TEST_DATE)], replace(settings, seed=seed), minutes=1, most_trials=4) for seed in (0, 0, 1)
    )
    assert first == second
    assert first.best != replace(other.best, seed=0)


def test_the_defaults_stay_where_nothing_beats_them(small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch) -> None:
    standard = TrainSettings(resamples=200)
    monkeypatch.setattr(Step, "judge", skilled(lambda settings, _: 2.0 if settings == standard else 1.0))
    found = tune([small(TEST_DATE)], standard, minutes=1, most_trials=3)
    assert (found.best, found.settings, found.difference) == (standard, standard, None)
    assert found.verdict.startswith("the defaults stay: they were the best of ")
    assert "[settings]\n\n[tuned]" in found.to_toml()


def test_the_defaults_stay_where_a_win_may_be_chance(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    standard, lucky = TrainSettings(resamples=200), np.flatnonzero(MOVED)[:1]

    def judge(step: Step, settings: TrainSettings) -> dict[Task, Evaluation]:
        judged = skilled(lambda *_: 1.0)(step, settings)["koc"]
        if settings != standard:
            judged.scores[SERVED][lucky] = 99.0
        return {"koc": judged}

    monkeypatch.setattr(Step, "judge", judge)
    found = tune([small(TEST_DATE)], standard, minutes=1, most_trials=2)
    assert found.difference is not None
    assert found.difference.value > 0 >= found.difference.ci_low
    assert found.settings == standard != found.best
    assert found.verdict.endswith("in average precision, which may be chance")


def test_the_defaults_stay_where_churn_gets_worse(small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch) -> None:
    standard = TrainSettings(resamples=200)

    def judge(step: Step, settings: TrainSettings) -> dict[Task, Evaluation]:
        judged = skilled(lambda settings, _: 1.0 if settings == standard else 3.0)(step, settings)
        if settings != standard:
            judged["churn"].scores[SERVED][:] = NOISE
        return judged

    monkeypatch.setattr(Step, "judge", judge)
    found = tune([small(TEST_DATE)], standard, minutes=1, most_trials=2)
    assert found.difference is not None
    assert found.difference.ci_low > 0
    assert found.settings == standard
    assert found.verdict.endswith("in auroc of churn")


def test_a_trial_behind_the_others_is_stopped_at_its_first_date(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[TrainSettings] = []

    def worse_each_time(settings: TrainSettings, _: Step) -> float:
        seen.append(settings)
        return 3.0 - 0.2 * list(dict.fromkeys(seen)).index(settings)

    monkeypatch.setattr(Step, "judge", skilled(worse_each_time))
    found = tune([small(TEST_DATE)], TrainSettings(resamples=200), minutes=1, most_trials=6)
    assert (found.trials, found.stopped) == (4, 2)
    assert [seen.count(settings) for settings in dict.fromkeys(seen)] == [3, 3, 3, 3, 1, 1]


def test_time_ends_a_trial_at_a_date_but_the_defaults_are_finished(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    judged: list[datetime] = []

    def noted(_: TrainSettings, step: Step) -> float:
        judged.append(step.as_of)
        return 1.0

    monkeypatch.setattr(Step, "judge", skilled(noted))
    found = tune([small(TEST_DATE)], TrainSettings(resamples=200), minutes=0)
    assert (found.trials, found.stopped, judged) == (1, 0, [day(50), day(40), day(30)])
    judged.clear()
    # The clock is looked at once for the end, once for the head of a trial, then before every trial and date.
    found = tune([small(TEST_DATE)], TrainSettings(resamples=200), minutes=5, clock=ticking(60))
    assert (found.trials, found.stopped) == (1, 1)
    assert judged == [day(50), day(40), day(30), day(50), day(40)]


def test_an_interrupt_keeps_the_best_so_far(small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = count(1)

    def interrupted(after: int) -> Callable[[TrainSettings, Step], float]:
        def skill(settings: TrainSettings, _: Step) -> float:
            if next(calls) > after:
                raise KeyboardInterrupt
            return 1.0 if settings == standard else 3.0

        return skill

    standard = TrainSettings(resamples=200)
    monkeypatch.setattr(Step, "judge", skilled(interrupted(7)))
    found = tune([small(TEST_DATE)], standard, minutes=1)
    assert (found.trials, found.interrupted, found.surely_better) == (2, True, True)
    calls = count(1)
    monkeypatch.setattr(Step, "judge", skilled(interrupted(2)))
    with pytest.raises(KeyboardInterrupt):
        tune([small(TEST_DATE)], standard, minutes=1)


def test_several_datasets_are_judged_together(small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Step, "judge", skilled(of_leaves))
    timelines = [small(day(40), name="one"), small(TEST_DATE, name="two")]
    found = tune(timelines, TrainSettings(resamples=200), minutes=0)
    assert found.steps == [("one", day(30)), ("two", day(50)), ("one", day(20)), ("two", day(40)), ("two", day(30))]
    assert found.first_test == {"one": day(40), "two": TEST_DATE}


def test_churn_is_tuned_where_nothing_tells_of_influence_but_not_with_other_datasets(
    small: Callable[..., Timeline], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Step, "judge", skilled(of_leaves))
    shop = small(TEST_DATE, name="shop", ties=False)
    found = tune([shop], TrainSettings(resamples=200), minutes=0)
    assert 'metric = "auroc"' in found.to_toml()
    with pytest.raises(TrainingError, match="nothing tells who moved whom in shop, so that churn is tuned there"):
        tune([small(TEST_DATE), shop], TrainSettings(), minutes=0)
