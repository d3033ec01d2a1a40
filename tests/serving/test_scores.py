import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.blocks.lifecycle import STAGES
from features.engine import DuckDB
from features.labels import churn_population
from features.tables import Tables
from serving import scores as scores_file
from serving.category_record import category_influence
from serving.scores import explained, percentile, score_columns, score_users, tie_scores, user_facts
from tests.busy import DAYS, busy_rows
from tests.conftest import Scored
from tests.worlds import day, world
from training.frame import Frame
from training.hybrid import Said
from training.matrix import among
from training.pipeline import Trained
from training.timeline import Timeline


@pytest.fixture(scope="module")
def frame(trained: Trained, timeline: Timeline) -> Frame:
    return timeline.frame(trained.bundle.as_of)


@pytest.fixture(scope="module")
def said(trained: Trained, frame: Frame) -> Said:
    return trained.bundle.hybrid.said(frame)


@pytest.fixture(scope="module")
def users(trained: Trained, timeline: Timeline, frame: Frame, said: Said) -> pa.Table:
    snapshot = timeline.snapshot(trained.bundle.as_of)
    extras = trained.bundle.extras.score(snapshot, frame)
    return score_users(trained.bundle.hybrid, frame, said, user_facts(frame, snapshot), extras)


def test_everybody_is_scored_once_best_first(users: pa.Table, frame: Frame, said: Said) -> None:
    assert sorted(users["user_id"].to_pylist()) == frame.users.tolist()
    assert said.margin is not None
    expected = dict(zip(frame.users, np.exp(said.margin), strict=True))
    assert users["koc_score"].to_pylist() == [expected[user] for user in users["user_id"].to_pylist()]
    keys = list(zip((-users["koc_score"].to_numpy()).tolist(), users["user_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)


def test_equal_scores_are_ordered_by_user(trained: Trained, timeline: Timeline, frame: Frame, said: Said) -> None:
    level = replace(said, margin=np.zeros(len(frame.users)))
    found = score_users(trained.bundle.hybrid, frame, level, user_facts(frame, timeline.snapshot(trained.bundle.as_of)))
    assert found["user_id"].to_pylist() == frame.users.tolist()


def test_d33_willingness_and_reach_make_up_the_score(users: pa.Table) -> None:
    sides = users["willingness"].to_numpy() + users["reach"].to_numpy()
    # What is left is the same for everybody.
    base = np.log(users["koc_score"].to_numpy()) - sides
    np.testing.assert_allclose(base, base[0], atol=1e-6)
    assert np.std(users["willingness"]) > 0.01
    assert np.std(users["reach"]) > 0.01


def test_expected_followers_are_the_sum_of_their_ties(users: pa.Table, frame: Frame, said: Said) -> None:
    ties = tie_scores(frame, said)
    assert said.follow_ups is not None
    assert len(ties) == len(frame.ties) > 100
    assert set(ties["influencer_id"].to_pylist()) <= set(frame.users)
    assert (ties["expected_follow_ups"].to_numpy() > 0).all()
    assert (ties["strength"].to_numpy() >= 1).all()
    summed = dict(
        ties.group_by("influencer_id").aggregate([("expected_follow_ups", "sum")]).to_pandas().itertuples(index=False)
    )
    expected = [summed.get(user, 0.0) for user in users["user_id"].to_pylist()]
    np.testing.assert_allclose(users["expected_followers"].to_numpy(), expected, rtol=1e-5)


def test_of_very_many_ties_those_that_carry_most_are_kept(frame: Frame, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    every = tie_scores(frame, said)
    monkeypatch.setattr(scores_file, "MOST_TIES", 10)
    kept = tie_scores(frame, said)
    assert len(kept) == 10
    most = np.sort(every["expected_follow_ups"].to_numpy())[-10:]
    assert sorted(kept["expected_follow_ups"].to_pylist()) == most.tolist()
    # Still in the order of all.
    assert kept["influencer_id"].to_pylist() == sorted(kept["influencer_id"].to_pylist())


def test_without_a_tie_model_nothing_is_expected_of_ties(
    trained: Trained, timeline: Timeline, frame: Frame, said: Said
) -> None:
    silent = replace(said, follow_ups=None)
    found = score_users(trained.bundle.hybrid, frame, silent, user_facts(frame, timeline.snapshot(trained.bundle.as_of)))
    assert "expected_followers" not in found.column_names
    assert tie_scores(frame, silent).num_rows == 0


def test_stage_and_percentile_belong_to_their_user(users: pa.Table, frame: Frame) -> None:
    stages = dict(zip(frame.users, (STAGES[int(code)] for code in frame.matrix.column("stage")), strict=True))
    assert users["stage"].to_pylist() == [stages[user] for user in users["user_id"].to_pylist()]
    places = users["koc_percentile"].to_numpy()
    assert (np.diff(places) <= 0).all()
    assert (places.min() > 0) & (places.max() < 100)
    assert places.mean() == pytest.approx(50)


def test_d32_activation_tells_what_has_been_and_not_what_may_come() -> None:
    # a led b and c lately; d led c long before; the horizon is 10 days. 17:30 UTC is the next day in Shanghai.
    tables = world(
        orders=[{"user_id": u, "item_id": i, "ordered_at": day(at)} for u, i, at in
                [("d", "x", 1), ("c", "x", 2.73), ("a", "y", 50), ("b", "y", 52), ("c", "y", 53)]],
        ties=[{"user_id": u, "influencer_id": i} for u, i in [("c", "d"), ("b", "a"), ("c", "a")]],
        until=day(60),
    )  # fmt: skip
    tables = replace(tables, dataset=tables.dataset.model_copy(update={"zone": "Asia/Shanghai"}))
    own = Timeline(tables)
    facts = user_facts(own.frame(day(60)), own.snapshot(day(60)))
    found = score_columns(own.frame(day(60)), Said({}, np.zeros(4), None), facts).to_pylist()
    assert [(r["user_id"], r["people_moved"], r["activation"], r["activated_since"]) for r in found] == [
        ("a", 2.0, "active", "2024-02-22"),
        ("b", 0.0, "never", None),
        ("c", 0.0, "never", None),
        ("d", 1.0, "lapsed", "2024-01-04"),
    ]
    # Equal scores: what has been does not put anybody first.
    assert {row["koc_score"] for row in found} == {1.0}


def test_churn_is_said_of_recent_buyers_alone(users: pa.Table, trained: Trained, timeline: Timeline) -> None:
    as_of = trained.bundle.as_of
    population = among(
        np.array(users["user_id"].to_pylist(), object), churn_population(timeline.snapshot(as_of)), timeline.tables.engine
    )
    assert 0 < population.sum() < len(users)
    assert pc.is_valid(users["churn_probability"]).to_pylist() == population.tolist()
    known = users["churn_probability"].drop_null().to_numpy()
    assert ((known > 0) & (known < 1)).all()


def test_the_first_users_have_reasons_in_both_languages(
    trained: Trained, timeline: Timeline, frame: Frame, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_file, "EXPLAINED", 40)
    users = score_users(trained.bundle.hybrid, frame, said, user_facts(frame, timeline.snapshot(trained.bundle.as_of)))
    english, chinese = users["reason"].to_pylist(), users["reason_zh"].to_pylist()
    for said_of, told in zip(english[:40], chinese[:40], strict=True):
        assert said_of.isascii()
        assert not told.isascii()
        # The same facts in both.
        assert sorted(re.findall(r"\d+(?:,\d{3})*", said_of)) == sorted(re.findall(r"\d+(?:,\d{3})*", told)) != []
    assert not any([*english[40:], *chinese[40:]])
    for side in ("willingness", "reach"):
        assert pc.is_valid(users[side]).to_pylist() == [True] * 40 + [False] * (len(users) - 40)
    assert explained(users).to_pylist() == users["user_id"].to_pylist()[:40]


def test_without_evidence_of_influence_the_likeliest_leavers_come_first(
    trained: Trained, timeline: Timeline, frame: Frame, said: Said
) -> None:
    churn_only = replace(said, margin=None, follow_ups=None)
    found = score_users(trained.bundle.hybrid, frame, churn_only, user_facts(frame, timeline.snapshot(trained.bundle.as_of)))
    assert {"user_id", "churn_probability", "stage"} <= {*found.column_names}
    assert not {"koc_score", "koc_percentile", "reason"} & {*found.column_names}
    assert explained(found).to_pylist() == []
    values = found["churn_probability"].to_pylist()
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known


def test_without_a_churn_model_there_is_no_column(trained: Trained, timeline: Timeline, frame: Frame, said: Said) -> None:
    found = score_users(
        trained.bundle.hybrid, frame, replace(said, churn=None), user_facts(frame, timeline.snapshot(trained.bundle.as_of))
    )
    assert "churn_probability" not in found.column_names


def test_attributes_are_those_of_the_date(trained: Trained) -> None:
    engine = DuckDB(threads=1)
    regions = [("u00", "region", "Suzhou", 1), ("u00", "region", "Hangzhou", 30), ("u00", "region", "Beijing", 60),
               ("u01", "tier", "gold", 2), ("u02", "tier", "silver", 70)]  # fmt: skip
    tables = world(
        orders=busy_rows()["orders"],
        attributes=[{"user_id": u, "name": n, "value": v, "valid_from": day(at)} for u, n, v, at in regions],
        until=day(DAYS),
        engine=engine,
    )
    timeline = Timeline(tables)
    found = score_users(
        trained.bundle.hybrid,
        timeline.frame(day(60)),
        Said({}, None, None),
        user_facts(timeline.frame(day(60)), timeline.snapshot(day(60))),
    )
    rows = {row["user_id"]: row for row in found.to_pylist()}
    assert [name for name in found.column_names if name.startswith("attribute_")] == ["attribute_region", "attribute_tier"]
    assert (rows["u00"]["attribute_region"], rows["u00"]["attribute_tier"]) == ("Hangzhou", None)
    assert (rows["u01"]["attribute_region"], rows["u01"]["attribute_tier"]) == (None, "gold")
    assert rows["u02"]["attribute_tier"] is None


def test_influence_by_category_is_the_ledgers() -> None:
    tables = world(
        orders=[{"user_id": u, "item_id": i, "ordered_at": day(at)} for u, i, at in
                [("a", "x", 1), ("b", "x", 2), ("c", "x", 2.5), ("a", "y", 3), ("b", "y", 4), ("a", "z", 5), ("b", "z", 6)]],
        items=[{"item_id": "x", "category": "tea"}, {"item_id": "y", "category": "tea"}, {"item_id": "z"}],
        ties=[{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "a"},
              {"user_id": "c", "influencer_id": "b"}],
        until=day(20),
    )  # fmt: skip
    # a moved b to x and y; a and b share the credit for c's x; z has no category.
    rows = category_influence(Timeline(tables).snapshot(day(20))).to_pylist()
    assert rows == [
        {"user_id": "a", "category": "tea", "influence": 2.5},
        {"user_id": "b", "category": "tea", "influence": 0.5},
    ]


def test_equal_scores_share_the_middle_percentile() -> None:
    assert percentile(np.array([3.0, 1.0, 1.0, 5.0])).tolist() == [62.5, 25.0, 25.0, 87.5]
    assert percentile(np.array([7.0])).tolist() == [50.0]
    assert percentile(np.array([])).tolist() == []


def test_the_batch_of_the_market_is_current(scored: Scored, market: Tables, users: pa.Table) -> None:
    assert scored.store.current() == scored.manifest
    assert scored.manifest.as_of == market.observed_until.isoformat()
    assert scored.store.open().table().equals(users)
    assert scored.store.open().ties().num_rows > 100
    known = set(scored.store.open().categories()["category"].to_pylist())
    assert "tea" not in known
    assert len(known) > 3
