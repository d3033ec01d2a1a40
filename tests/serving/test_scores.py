import json
import os
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.blocks.lifecycle import STAGES
from features.engine import DuckDB
from features.errors import ScoresError
from features.labels import churn_population
from features.tables import Tables
from serving import scores as scores_file
from serving.evidence import Evidence
from serving.scores import ScoreStore, category_influence, explained, percentile, score_users
from tests.busy import DAYS, busy_rows
from tests.conftest import Scored
from tests.worlds import day, world
from training.matrix import among
from training.pipeline import Trained
from training.timeline import Timeline

AS_OF = datetime(2024, 6, 1)
USERS = pa.table({"user_id": ["a", "b"], "koc_score": [2.0, 1.0], "stage": ["active", "dormant"]})
CATEGORIES = pa.table({"user_id": ["a"], "category": ["tea"], "influence": [1.0]})


def written(store: ScoreStore, users: pa.Table = USERS) -> str:
    return store.write(users, CATEGORIES, dataset="shop", model="koc/1", as_of=AS_OF).batch


@pytest.fixture(scope="module")
def users(trained: Trained, timeline: Timeline) -> pa.Table:
    as_of = trained.bundle.as_of
    return score_users(trained.bundle, timeline.matrix(as_of), timeline.snapshot(as_of))


def test_everybody_is_scored_once_best_first(users: pa.Table, trained: Trained, timeline: Timeline) -> None:
    matrix = timeline.matrix(trained.bundle.as_of)
    assert sorted(users["user_id"].to_pylist()) == matrix.users.tolist()
    ranker = trained.bundle.ranker
    assert ranker
    expected = dict(zip(matrix.users, np.exp(ranker.margin(matrix.select(ranker.columns))), strict=True))
    assert users["koc_score"].to_pylist() == [expected[user] for user in users["user_id"].to_pylist()]
    keys = list(zip((-users["koc_score"].to_numpy()).tolist(), users["user_id"].to_pylist(), strict=True))
    assert keys == sorted(keys)
    # Some share a score, else the order by user_id is not tested.
    assert len(set(users["koc_score"].to_pylist())) < len(users)


def test_stage_and_percentile_belong_to_their_user(users: pa.Table, trained: Trained, timeline: Timeline) -> None:
    matrix = timeline.matrix(trained.bundle.as_of)
    stages = dict(zip(matrix.users, (STAGES[int(code)] for code in matrix.column("stage")), strict=True))
    assert users["stage"].to_pylist() == [stages[user] for user in users["user_id"].to_pylist()]
    places = users["koc_percentile"].to_numpy()
    assert (np.diff(places) <= 0).all()
    assert (places.min() > 0) & (places.max() < 100)
    assert places.mean() == pytest.approx(50)


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
    trained: Trained, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores_file, "EXPLAINED", 40)
    as_of = trained.bundle.as_of
    users = score_users(trained.bundle, timeline.matrix(as_of), timeline.snapshot(as_of))
    for column, said in (("reason", "people moved: "), ("reason_zh", "天带动 ")):
        reasons = users[column].to_pylist()
        assert all(reasons[:40])
        assert not any(reasons[40:])
        assert any(said in text for text in reasons[:20])
    assert explained(users).to_pylist() == users["user_id"].to_pylist()[:40]


def test_without_a_ranker_the_likeliest_leavers_come_first(trained: Trained, timeline: Timeline) -> None:
    as_of = trained.bundle.as_of
    found = score_users(replace(trained.bundle, ranker=None), timeline.matrix(as_of), timeline.snapshot(as_of))
    assert found.column_names == ["user_id", "churn_probability", "stage"]
    assert explained(found).to_pylist() == []
    values = found["churn_probability"].to_pylist()
    known = [value for value in values if value is not None]
    assert known == sorted(known, reverse=True)
    assert values[: len(known)] == known


def test_without_a_churn_model_there_is_no_column(trained: Trained, timeline: Timeline) -> None:
    as_of = trained.bundle.as_of
    found = score_users(replace(trained.bundle, churn=None), timeline.matrix(as_of), timeline.snapshot(as_of))
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
    nothing = replace(trained.bundle, ranker=None, churn=None)
    found = score_users(nothing, timeline.matrix(day(60)), timeline.snapshot(day(60)))
    rows = {row["user_id"]: row for row in found.to_pylist()}
    assert found.column_names == ["user_id", "stage", "attribute_region", "attribute_tier"]
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


def test_a_batch_comes_back_as_written(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "scores")
    batch = written(store)
    manifest = store.current()
    assert (manifest.batch, manifest.rows, manifest.columns) == (batch, 2, ("user_id", "koc_score", "stage"))
    assert (manifest.dataset, manifest.model, manifest.as_of) == ("shop", "koc/1", "2024-06-01T00:00:00")
    assert store.users().equals(USERS)
    assert store.categories().equals(CATEGORIES)
    assert store.evidence() == Evidence.none()
    files = {path.name for path in (tmp_path / "scores" / batch).iterdir()}
    assert files == {*manifest.checksums, "manifest.json"}


def test_the_latest_batch_is_served_and_the_earlier_one_kept(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first, second = written(store), written(store, USERS.slice(0, 1))
    assert store.current().batch == second != first
    assert len(store.users()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {first, second, "current"}


@pytest.mark.parametrize("step", ["write_table", "rename", "replace"])
def test_a_half_written_batch_is_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = ScoreStore(tmp_path)
    first = written(store)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    target: object = {"write_table": scores_file.pq, "rename": Path, "replace": os}[step]
    monkeypatch.setattr(target, step, fail)
    with pytest.raises(OSError, match="disk full"):
        written(store, USERS.slice(0, 1))
    monkeypatch.undo()
    assert store.current().batch == first
    assert store.users().equals(USERS)
    # A later batch is not hindered by what the crash left behind.
    assert written(store) == store.current().batch


@pytest.mark.parametrize("name", ["users.parquet", "categories.parquet", "evidence.parquet", "next_items.parquet"])
@pytest.mark.parametrize("missing", [True, False])
def test_altered_and_missing_files_are_refused(tmp_path: Path, name: str, missing: bool) -> None:
    store = ScoreStore(tmp_path)
    path = tmp_path / written(store) / name
    content = path.read_bytes()
    path.unlink() if missing else path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(ScoresError, match=f"{name} is missing or does not match its checksum; score again with `koc score`"):
        store.users()


@pytest.mark.parametrize("spoil", ["{", "[]", '{"batch": "b"}', "checksums"])
def test_a_spoilt_manifest_is_refused(tmp_path: Path, spoil: str) -> None:
    store = ScoreStore(tmp_path)
    path = tmp_path / written(store) / "manifest.json"
    if spoil == "checksums":
        content = {**json.loads(path.read_text()), "checksums": {}}
        path.write_text(json.dumps(content))
        message = "users.parquet is missing or does not match its checksum"
    else:
        path.write_text(spoil)
        message = "manifest.json is not the manifest of a batch; score again"
    with pytest.raises(ScoresError, match=message):
        store.current()


def test_a_store_without_a_batch_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"no scores in .*; make some with `koc score --dataset dataset.toml`"):
        ScoreStore(tmp_path / "none").users()
    store = ScoreStore(tmp_path)
    (tmp_path / written(store) / "manifest.json").unlink()
    with pytest.raises(ScoresError, match=r"has no .*manifest.json; score again"):
        store.current()


def test_the_batch_of_the_market_is_current(scored: Scored, market: Tables, users: pa.Table) -> None:
    assert scored.store.current() == scored.manifest
    assert scored.manifest.as_of == market.observed_until.isoformat()
    assert scored.store.users().equals(users)
    known = set(scored.store.categories()["category"].to_pylist())
    assert "tea" not in known
    assert len(known) > 3
