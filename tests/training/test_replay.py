from dataclasses import replace as replaced
from typing import Any

import numpy as np
import pytest

from features.engine import DuckDB
from features.errors import ImmatureLabelError, TrainingError
from tests.busy import busy_rows, busy_world
from tests.worlds import day, world
from training.replay import NOT_CAUSAL, Estimate, Replay, compare, known_ids, replay, replay_date, scores_at
from training.settings import TrainSettings
from training.timeline import Timeline

QUICK = TrainSettings(dates=1, groups=2, rounds=5, width=8, epochs=2, threads=1, resamples=50)
TEST_DATE = day(60)
USERS = np.array(["a", "b", "c", "d", "e", "f"], dtype=object)
SCORE = np.array([5.0, 4.0, 3.0, 3.0, 1.0, 0.0])
INFLUENCE = np.array([4.0, 0.0, 1.0, 0.0, 0.0, 1.0])
VALUE = np.array([1000.0, 0.0, 300.0, 0.0, 0.0, 200.0])


def found(result: Replay, group: str, metric: str = "moved_per_contact", minus: str | None = None) -> Estimate:
    (estimate,) = [e for e in result.estimates if (e.group, e.metric, e.minus) == (group, metric, minus)]
    return estimate


def many(n: int = 400, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """users, a score that sees influence through noise, influence."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(0.4, 1, n)
    return np.array([f"u{i:04}" for i in range(n)], dtype=object), rate + rng.normal(0, 0.5, n), rng.poisson(rate) * 1.0


def test_each_group_is_what_its_people_moved_per_contact() -> None:
    result = compare(USERS, SCORE, INFLUENCE, VALUE, ["f", "b", "a"])
    # By score: a, b and, of the equal c and d, the one that comes first.
    assert (result.people, result.both, result.population) == (3, 2, 6)
    values = {(e.group, e.minus, e.metric): e.value for e in result.estimates}
    assert {key[2]: value for key, value in values.items() if key[:2] == ("list", None)} == pytest.approx(
        {"moved_per_contact": 5 / 3, "value_per_contact": 400, "moved_anybody": 2 / 3}
    )
    assert values["score", None, "moved_per_contact"] == pytest.approx(5 / 3)
    assert values["score", None, "value_per_contact"] == pytest.approx(1300 / 3)
    assert values["random", None, "moved_per_contact"] == pytest.approx(1)
    assert values["list", "score", "value_per_contact"] == pytest.approx(-100 / 3)
    assert values["list", "random", "moved_anybody"] == pytest.approx(2 / 3 - 1 / 2)
    assert values["score", "random", "moved_per_contact"] == pytest.approx(2 / 3)
    assert len(values) == 6 * 3
    assert set(result.few) == {"list", "score", "random"}


def test_without_amounts_there_is_no_value() -> None:
    result = compare(USERS, SCORE, INFLUENCE, None, ["f"])
    assert {estimate.metric for estimate in result.estimates} == {"moved_per_contact", "moved_anybody"}


def test_every_row_of_the_list_is_counted_once() -> None:
    listed = ["f", "f", "x", "a2", "y2", "a", "y2"]
    result = compare(USERS, SCORE, INFLUENCE, VALUE, listed, person_of={"a2": "a", "y2": "y"})
    assert (result.rows, result.people, result.repeated, result.merged) == (7, 2, 3, 3)
    # As they stand on the list, so that they are found there again.
    assert result.unknown == ("x", "y2")
    assert result.rows == result.people + result.repeated + len(result.unknown)
    assert found(result, "list").value == 2.5
    assert found(result, "score").value == 2.0


def test_neither_order_of_users_nor_of_the_list_changes_anything() -> None:
    users, score, influence = many()
    score = score.round(0)
    listed = [str(user) for user in users[::7]]
    expected = compare(users, score, influence, influence * 100, listed, resamples=100)
    mix = np.random.default_rng(3).permutation(len(users))
    mixed = compare(users[mix], score[mix], influence[mix], influence[mix] * 100, listed[::-1], resamples=100)
    assert mixed == expected
    assert compare(users, score, influence, influence * 100, listed, resamples=100, seed=1) != expected


def test_the_best_by_score_as_a_list_differ_from_it_by_nothing() -> None:
    users, score, influence = many()
    best = [str(user) for user in users[np.argsort(-score)[:50]]]
    result = compare(users, score, influence, None, best, resamples=200)
    assert result.both == 50
    same = found(result, "list", minus="score")
    assert (same.value, same.ci_low, same.ci_high) == (0, 0, 0)
    assert found(result, "score", minus="random").ci_low > 0


def test_people_in_both_groups_make_their_difference_surer() -> None:
    users, score, influence = many(2_000)
    best = np.argsort(-score)
    shared = [str(user) for user in users[np.r_[best[:90], best[500:510]]]]
    apart = [str(user) for user in users[best[500:600]]]

    def width(listed: list[str]) -> float:
        one = found(compare(users, score, influence, None, listed, resamples=300), "list", minus="score")
        return one.ci_high - one.ci_low

    assert width(shared) < 0.6 * width(apart)


def test_intervals_are_as_wide_as_theory_has_them() -> None:
    users, score, influence = many(4_000)
    rng = np.random.default_rng(5)
    listed = rng.choice(len(users), 200, replace=False)
    result = compare(users, score, influence, None, [str(u) for u in users[listed]], resamples=2_000)
    error = {"list": influence[listed].std() / np.sqrt(200), "random": influence.std() / np.sqrt(200)}
    for group, expected in error.items():
        one = found(result, group)
        assert one.ci_high - one.ci_low == pytest.approx(2 * 1.96 * expected, rel=0.1)
        assert one.ci_low < one.value < one.ci_high
    both = np.hypot(*error.values())
    difference = found(result, "list", minus="random")
    assert difference.ci_high - difference.ci_low == pytest.approx(2 * 1.96 * both, rel=0.1)


def test_the_interval_at_random_holds_the_groups_that_are_drawn() -> None:
    users, score, influence = many(4_000)
    one = found(compare(users, score, influence, None, [str(u) for u in users[:150]]), "random")
    rng = np.random.default_rng(9)
    means = np.array([influence[rng.choice(len(users), 150, replace=False)].mean() for _ in range(1_000)])
    assert ((means >= one.ci_low) & (means <= one.ci_high)).mean() == pytest.approx(0.95, abs=0.025)


def test_few_who_moved_anybody_are_named() -> None:
    users, score, influence = many()
    idle = [str(user) for user in users[influence == 0][:60]]
    assert compare(users, score, influence, None, idle, resamples=20).few == ("list",)


def test_the_file_holds_everything_and_says_that_it_is_not_causal() -> None:
    entry = compare(USERS, SCORE, INFLUENCE, VALUE, ["f", "x"], resamples=20, seed=4).to_dict()
    assert entry["not_causal"] == NOT_CAUSAL
    assert (entry["unknown"], entry["seed"]) == (["x"], 4)
    assert [set(estimate) for estimate in entry["estimates"]] == [
        {"group", "metric", "value", "ci_low", "ci_high"} | ({"minus"} if number >= 9 else set()) for number in range(18)
    ]


def test_a_list_of_strangers_is_refused() -> None:
    with pytest.raises(TrainingError, match=r"none of the 2 people on the list is among the 6 users known .* such as 'x'"):
        compare(USERS, SCORE, INFLUENCE, VALUE, ["x", "x", "y"])
    with pytest.raises(TrainingError, match="none of the 0 people on the list"):
        compare(USERS, SCORE, INFLUENCE, VALUE, [])


# On a dataset


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def timeline(engine: DuckDB) -> Timeline:
    return Timeline(busy_world("orders", "ties", engine=engine, settings={"test_dates": (TEST_DATE, day(50))}))


def test_the_groups_are_judged_by_the_labels_of_the_date(timeline: Timeline) -> None:
    users, truth = timeline.matrix(TEST_DATE).users, timeline.labels(TEST_DATE)
    score = scores_at(timeline, TEST_DATE, QUICK)
    listed = [str(user) for user in users[5:25]]
    result = replay(timeline, TEST_DATE, listed, QUICK)
    best = np.argsort(-score, kind="stable")[:20]
    assert found(result, "list").value == pytest.approx(truth.influence[5:25].mean())
    assert found(result, "score").value == pytest.approx(truth.influence[best].mean())
    assert found(result, "random").value == pytest.approx(truth.influence.mean())
    assert found(result, "list", "value_per_contact").value == pytest.approx(truth.influence_value[5:25].mean())


def test_scores_know_nothing_of_what_followed(engine: DuckDB, timeline: Timeline) -> None:
    rows, other = busy_rows(), busy_rows(seed=9)
    orders = [
        order
        for source, after in ((rows, False), (other, True))
        for order in source["orders"]
        if (order["ordered_at"] >= TEST_DATE) == after
    ]
    changed = Timeline(world(orders=orders, ties=rows["ties"], until=day(80), engine=engine))
    np.testing.assert_array_equal(scores_at(changed, TEST_DATE, QUICK), scores_at(timeline, TEST_DATE, QUICK))


def test_amounts_are_compared_only_where_they_are_known(engine: DuckDB) -> None:
    rows = busy_rows()
    orders = [{key: value for key, value in order.items() if key != "amount"} for order in rows["orders"]]
    bare = Timeline(world(orders=orders, ties=rows["ties"], until=day(80), engine=engine))
    result = replay(bare, TEST_DATE, ["u01", "u02"], QUICK)
    assert {estimate.metric for estimate in result.estimates} == {"moved_per_contact", "moved_anybody"}


def test_accounts_of_one_person_are_merged_as_they_were_known_at_the_date(engine: DuckDB) -> None:
    rows = busy_rows()

    def same(user: str, at: float) -> list[dict[str, Any]]:
        return [{"user_id": each, "kind": "phone", "value": user, "valid_from": day(at)} for each in (user, f"w{user}")]

    identities = [*same("u01", 10), *same("u02", 70)]
    merged = Timeline(world(**{**rows, "identities": identities}, until=day(80), engine=engine))
    result = replay(merged, TEST_DATE, ["wu01", "u01", "wu02"], QUICK)
    assert (result.people, result.repeated, result.merged, result.unknown) == (1, 1, 1, ("wu02",))
    known = set(known_ids(merged, TEST_DATE).to_pylist())
    assert {"u01", "wu01", "u02"} <= known
    assert "wu02" not in known


def test_the_date_is_the_one_asked_for_or_the_last_that_can_be_judged(timeline: Timeline) -> None:
    assert replay_date(timeline, day(55)) == day(55)
    assert replay_date(timeline) == TEST_DATE
    tables = timeline.tables
    undated = tables.dataset.model_copy(update={"time": tables.dataset.time.model_copy(update={"test_dates": ()})})
    assert replay_date(Timeline(replaced(tables, dataset=undated))) == day(70)
    with pytest.raises(ImmatureLabelError, match="choose a date up to 2024-03-11"):
        replay_date(timeline, day(75))


def test_a_dataset_that_cannot_be_replayed_says_why(engine: DuckDB) -> None:
    with pytest.raises(TrainingError, match="'world' does not tell who moved whom; map ties with orders"):
        replay_date(Timeline(busy_world("orders", engine=engine)))
    short = world(engine=engine, orders=busy_rows()["orders"][:1], ties=busy_rows()["ties"], until=day(1))
    with pytest.raises(TrainingError, match="too short for a replay with a horizon of 10 days"):
        replay_date(Timeline(short))
