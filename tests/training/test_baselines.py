from datetime import timedelta

import numpy as np
import pytest

from features.engine import DuckDB
from tests.worlds import day, world
from training.baselines import churn_baselines, koc_baselines
from training.timeline import Timeline


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def scores(engine: DuckDB) -> tuple[list[str], dict[str, list[float]]]:
    """At day 30 with a horizon of 10 days. a moved b (day 2) and c (day 23), b moved d (day 3), e moved f (day 25)."""
    bought = [("a", "x", 1), ("b", "x", 2), ("d", "x", 3), ("a", "y", 22), ("c", "y", 23), ("e", "z", 24), ("f", "z", 25),
              ("g", "w", 29)]  # fmt: skip
    follows = [("b", "a"), ("c", "a"), ("d", "b"), ("f", "e")]
    tables = world(
        orders=[{"user_id": user, "item_id": item, "ordered_at": day(at)} for user, item, at in bought],
        ties=[{"user_id": user, "influencer_id": influencer} for user, influencer in follows],
        until=day(40),
        engine=engine,
    )
    timeline = Timeline(tables)
    found = koc_baselines(timeline.matrix(day(30)), timeline.tables.dataset.time.horizon)
    return timeline.matrix(day(30)).users.tolist(), {name: score.tolist() for name, score in found.items()}


def ranked(scores: tuple[list[str], dict[str, list[float]]], name: str) -> list[str]:
    """Users by falling score, those of one score in one string."""
    users, found = scores
    values = sorted(set(found[name]), reverse=True)
    return ["".join(user for user, score in zip(users, found[name], strict=True) if score == value) for value in values]


def test_past_influence_is_that_of_one_horizon_then_of_all_history(scores: tuple[list[str], dict[str, list[float]]]) -> None:
    # a and e moved one person each within the horizon, and a another one before; b only before.
    assert ranked(scores, "past_influence") == ["a", "e", "b", "cdfg"]


def test_degree_counts_those_whom_one_may_influence(scores: tuple[list[str], dict[str, list[float]]]) -> None:
    assert scores[1]["degree"] == [2, 1, 0, 0, 1, 0, 0]


def test_pagerank_ranks_people_without_a_tie_last(scores: tuple[list[str], dict[str, list[float]]]) -> None:
    order = ranked(scores, "pagerank")
    assert order[0] == "a"
    assert order[-1] == "g"
    assert np.isfinite(scores[1]["pagerank"]).all()


def test_activity_counts_acts_of_one_horizon(scores: tuple[list[str], dict[str, list[float]]]) -> None:
    assert scores[1]["activity"] == [1, 0, 1, 0, 1, 1, 1]


def test_recency_is_highest_for_the_last_act(scores: tuple[list[str], dict[str, list[float]]]) -> None:
    assert scores[1]["recency"] == [-8, -28, -7, -27, -6, -5, -1]


def test_without_ties_degree_counts_the_people_moved(engine: DuckDB) -> None:
    responses = [("a", "b", 1), ("a", "c", 2), ("a", "c", 3), ("b", "c", 4)]
    tables = world(
        share_responses=[{"sharer_id": s, "responder_id": r, "responded_at": day(at)} for s, r, at in responses],
        until=day(20),
        engine=engine,
    )
    timeline = Timeline(tables)
    found = koc_baselines(timeline.matrix(day(10)), timeline.tables.dataset.time.horizon)
    assert found["degree"].tolist() == [2, 1, 0]
    assert "pagerank" not in found


def test_churn_is_likelier_after_long_silence_and_few_orders(engine: DuckDB) -> None:
    orders = [("a", 1), ("b", 5), ("b", 8), ("c", 9)]
    rows = [{"user_id": user, "ordered_at": day(at)} for user, at in orders]
    timeline = Timeline(world(orders=rows, until=day(20), engine=engine))
    found = churn_baselines(timeline.matrix(day(10)), timeline.tables.dataset.time.horizon)
    assert {name: score.tolist() for name, score in found.items()} == {"recency": [9, 2, 1], "activity": [-1, -2, -1]}
    # Orders beyond the lookback are unknown to features: such people are the likeliest to have left.
    short = world(orders=rows, until=day(20), engine=engine, settings={"lookback": timedelta(days=4)})
    timeline = Timeline(short)
    recency = churn_baselines(timeline.matrix(day(10)), timeline.tables.dataset.time.horizon)["recency"]
    assert recency[-2:].tolist() == [2, 1]
    assert (recency[:-2] > 2).all()
