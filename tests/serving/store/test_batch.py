"""What a batch answers, against the same question asked of every user one by one."""

import math
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.errors import ScoresError
from serving.store import index, search
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore
from tests.serving.batches import random_categories, random_users, write_table, write_users

Known = tuple[Batch, pa.Table, list[dict[str, Any]]]
"""A batch, its influence by category and its users."""

SIZES = (0, 1, 63, 64, 65, 1500)
YES = {"yes", "true", "1", "granted", "同意", "是"}


def wide_users(users: int, seed: int) -> pa.Table:
    """Users with columns of every kind, equal scores, and values that are rare, infinite, unknown or all unknown."""
    random, table = np.random.default_rng(seed + 9), random_users(users, seed)
    table = table.set_column(1, "koc_score", pa.array(np.round(table["koc_score"].to_numpy(), 1)))
    odd = random.choice([np.inf, -np.inf, np.nan, 0.0, -0.0, 1.5], users)
    more: dict[str, Any] = {
        "visits": pa.array(random.integers(0, 3, users), mask=random.random(users) < 0.2),
        "odd": odd,
        "float32": pa.array(random.normal(size=users).astype(np.float32)),
        "unknown": pa.nulls(users, pa.float64()),
        "flagged": pa.array(random.random(users) < 0.1, mask=random.random(users) < 0.1),
        "attribute_shop": pa.array([f"s{n}" for n in random.integers(0, 40, users)]),
        "attribute_quote": pa.array([random.choice(['a"b', "逗,号", "%s\n"]) for _ in range(users)], pa.string()),
        "seen_at": pa.array([datetime(2024, 5, 1)] * users, pa.timestamp("us")),
    }
    for name, values in more.items():
        table = table.append_column(name, pa.chunked_array([values]) if isinstance(values, pa.Array) else [values])
    return table


@pytest.fixture(scope="module")
def batches(tmp_path_factory: pytest.TempPathFactory) -> list[Known]:
    """Batches with few and with many bitmaps, some of scores of churn alone, each with its categories."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for seed, size in enumerate((*SIZES, 1500)):
            patch.setattr(index, "COMMON", 4 if seed % 2 else 64)
            patch.setattr(index, "BINS", 3 if seed % 2 else 32)
            users = wide_users(size, seed)
            if seed == len(SIZES):
                users = users.drop_columns([name for name in users.column_names if name.startswith(("koc_", "expected_"))])
            store, influence = ScoreStore(tmp_path_factory.mktemp("store")), random_categories(users, seed)
            write_table(store, users, categories=influence)
            found.append((store.open(), influence, store.open().table().to_pylist()))
    return found


NUMBERS = ("koc_score", "koc_percentile", "rising", "churn_probability", "visits", "odd", "float32", "unknown")
LABELS = ("stage", "attribute_region", "attribute_tier", "attribute_shop", "flagged", "attribute_quote")
POINTS = st.sampled_from([-math.inf, -1.0, -0.0, 0, 0.1, 0.5, 0.95, 1, 1.5, 2, 50.0, 97.5, math.inf])
RANGES = st.fixed_dictionaries({}, optional={"min": POINTS, "max": POINTS}).filter(bool)


@st.composite
def questions(draw: st.DrawFn, batch: Batch) -> dict[str, Any]:
    filters: dict[str, Any] = {}
    for name in draw(st.lists(st.sampled_from([*NUMBERS, *LABELS, "reachable"]), unique=True, max_size=4)):
        info = batch.columns.get(name)
        if name == "reachable":
            filters[name] = draw(st.sampled_from(["sms", "wecom", "wecom_offers"]))
        elif info is not None and info.kind == "number":
            filters[name] = draw(RANGES | POINTS | st.lists(POINTS | st.none(), max_size=3))
        elif info is not None and info.values:
            value = st.sampled_from([*info.values, None])
            filters[name] = draw(value | st.lists(value, max_size=4))
    return filters


def passes(user: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    """One user against all filters, as a reader would do it."""
    for name, condition in filters.items():
        if name == "reachable":
            columns = [
                c for c in user if c == f"attribute_consent_{condition}" or c.startswith(f"attribute_consent_{condition}_")
            ]
            if not any(user[column] in YES for column in columns):
                return False
            continue
        value = user[name]
        value = str(value).lower() if isinstance(value, bool) else value
        if isinstance(condition, Mapping):
            if value is None or not condition.get("min", -math.inf) <= value <= condition.get("max", math.inf):
                return False
        elif value not in (condition if isinstance(condition, list) else [condition]):
            return False
    return True


def ranked(users: list[dict[str, Any]], filters: Mapping[str, Any], by: str) -> list[int]:
    found = [row for row, user in enumerate(users) if user[by] is not None and passes(user, filters)]
    return sorted(found, key=lambda row: -users[row][by])


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_selection_is_what_asking_everybody_would_give(batches: list[Known], data: st.DataObject) -> None:
    batch, _, users = data.draw(st.sampled_from(batches))
    filters, within = data.draw(questions(batch)), data.draw(st.one_of(st.just({}), questions(batch)))
    known = [name for name in ("koc_score", "rising", "churn_probability", "odd") if name in batch.columns]
    by = data.draw(st.sampled_from(known))
    limit, start = data.draw(st.none() | st.integers(0, 30)), data.draw(st.integers(0, 5))
    both = [row for row in ranked(users, filters, by) if passes(users[row], within)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search, "FEW", data.draw(st.sampled_from([1, 16, 4096])))
        patch.setattr(search, "WORDY", data.draw(st.sampled_from([1, 32, 10_000])))
        found = batch.select(filters, limit, by, start, within)
    assert found.dtype == np.int64
    assert found.tolist() == both[start : None if limit is None else start + limit]
    passing = [passes(user, filters) and passes(user, within) for user in users]
    assert batch.mask(filters, within).tolist() == passing


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_category_ranks_by_the_share_of_it(batches: list[Known], data: st.DataObject) -> None:
    rated = [found for found in batches if len(found[1]) and "koc_score" in found[0].columns]
    batch, influence, users = data.draw(st.sampled_from(rated))
    records = influence.to_pylist()
    category = data.draw(st.sampled_from(sorted({row["category"] for row in records})))
    filters = data.draw(questions(batch))
    market = sum(row["influence"] for row in records if row["category"] == category) / sum(
        row["influence"] for row in records
    )
    score = []
    for user in users:
        own = [row for row in records if row["user_id"] == user["user_id"]]
        inside = sum(row["influence"] for row in own if row["category"] == category)
        score.append(user["expected_value"] * (inside + market) / (sum(row["influence"] for row in own) + 1.0))
    assert batch.category_score(category, "expected_value").tolist() == pytest.approx(score)
    exact = batch.category_score(category, "expected_value")
    expected = sorted((row for row, user in enumerate(users) if passes(user, filters)), key=lambda row: -exact[row])
    assert batch.select({**filters, "category": category}, 20, by="expected_value").tolist() == expected[:20]
    record = {row["user_id"] for row in records if row["category"] == category}
    scoped = batch.select(filters, within={"category": [category]})
    assert {users[row]["user_id"] for row in scoped} == {
        user["user_id"] for user in users if user["user_id"] in record and passes(user, filters)
    }


def test_rows_come_as_a_table_and_as_json(batches: list[Known]) -> None:
    for batch, _, _ in batches:
        whole = batch.table()
        rows = np.random.default_rng(0).permutation(len(batch))[:200]
        assert batch.table(rows).equals(whole.take(pa.array(rows)))
        assert batch.table(rows[:3], ["stage", "user_id"]).equals(
            whole.select(["stage", "user_id"]).take(pa.array(rows[:3]))
        )
        read = orjson.loads(batch.json(rows))
        expected = batch.table(rows).to_pylist()
        for user in expected:
            user["seen_at"] = user["seen_at"].isoformat()
            user["odd"] = user["odd"] if user["odd"] is None or math.isfinite(user["odd"]) else None
        assert read == expected


def test_users_are_found_by_id(batches: list[Known]) -> None:
    batch, _, _ = batches[-2]
    ids = batch.table(columns=["user_id"])["user_id"].to_pylist()
    assert batch.rows_of([ids[7], "nobody", ids[0], ids[7], ""]).tolist() == [7, -1, 0, 7, -1]
    assert batch.rows_of(ids).tolist() == list(range(len(ids)))
    assert batch.rows_of([]).tolist() == []
    assert batches[0][0].rows_of(["a"]).tolist() == [-1]


def test_ids_with_one_hash_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("serving.store.index", "serving.store.batch"):
        monkeypatch.setattr(f"{module}.hash_ids", lambda ids: np.array([len(user) for user in ids], np.uint64))
    store = ScoreStore(tmp_path)
    write_users(store, [{"user_id": user} for user in ("aa", "b", "cc", "dd", "e")])
    assert store.open().rows_of(["dd", "cc", "zz", "e", "aa", "fff", "zzzz"]).tolist() == [3, 2, -1, 4, 0, -1, -1]


def test_columns_tell_what_may_be_asked(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    users = [
        {"user_id": "a", "attribute_tier": "gold", "roles": 0.5, "active": True},
        {"user_id": "b", "attribute_tier": None},
    ]
    write_users(store, users)
    columns = store.open().columns
    told = {name: (info.kind, info.values, info.lowest, info.highest) for name, info in columns.items()}
    assert told == {
        "user_id": ("id", (), None, None),
        "koc_score": ("number", (), 9.0, 10.0),
        "stage": ("label", ("active",), None, None),
        "reason": ("text", (), None, None),
        "reason_zh": ("text", (), None, None),
        "attribute_tier": ("label", ("gold",), None, None),
        "roles": ("number", (), 0.5, 0.5),
        "active": ("label", ("true",), None, None),
    }
    assert [name for name, info in columns.items() if not info.filterable] == ["user_id", "reason", "reason_zh"]


def test_values_and_codes_are_those_of_the_table(batches: list[Known]) -> None:
    batch, _, _ = batches[3]
    table = batch.table()
    assert np.array_equal(batch.values("rising"), table["rising"].to_numpy(), equal_nan=True)
    for name in ("attribute_region", "reason", "user_id"):
        assert batch.values(name).tolist() == table[name].to_pylist()
    region = batch.columns["attribute_region"].values
    assert [(*region, None)[code] for code in batch.codes("attribute_region")] == table["attribute_region"].to_pylist()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    store = ScoreStore(tmp_path_factory.mktemp("small"))
    users = [
        {"user_id": f"u{n}", "attribute_city": f"city{n:02}", "attribute_consent_sms": "yes", "rank": n / 10}
        for n in range(30)
    ]
    write_users(store, users)
    return store.open()


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"tier": "gold"}, "the current scores have no tier to filter by; choose from koc_score, stage, attribute_city, "
                           "attribute_consent_sms, rank, category, reachable"),
        ({"reason": "x"}, "reason holds no numbers or labels to filter by; choose from koc_score"),
        ({"stage": "asleep"}, "no user has stage 'asleep'; choose from active"),
        ({"attribute_city": ["city01", "ciy29"]},
         r"no user has attribute_city 'ciy29'; choose from city29, .*, city00.* \.\.\.$"),
        ({"attribute_city": {"min": 3}},
         r"attribute_city holds no numbers, so \{'min': 3\} says nothing; choose from city00"),
        ({"rank": "high"}, r"rank holds numbers, which 'high' does not ask for; give \{\"min\": NUMBER"),
        ({"rank": {"least": 1}}, "which {'least': 1} does not ask for"),
        ({"rank": {}}, "which {} does not ask for"),
        ({"rank": {"min": math.nan}}, "does not ask for"),
        ({"rank": True}, "which True does not ask for"),
        ({"reachable": "fax"}, "no attribute tells who consents to 'fax'; choose from sms"),
        ({"category": "tea"}, "the current scores know no category: their dataset maps no items.category"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_refused_with_what_is(small: Batch, filters: dict[str, Any], message: str) -> None:
    with pytest.raises(ScoresError, match=message):
        small.select(filters)


def test_orders_and_columns_that_are_not_there_are_refused(small: Batch) -> None:
    with pytest.raises(ScoresError, match="no attribute_city: no amounts are mapped, or nobody moved anybody; use score"):
        small.select({}, by="attribute_city")
    with pytest.raises(ScoresError, match="the current scores have no labels rank; choose from stage, attribute_city"):
        small.codes("rank")
    with pytest.raises(ScoresError, match="the current scores have no rnk; choose from user_id"):
        small.values("rnk")


def test_scores_of_churn_alone_are_selected_by_it(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    users = pa.table({"user_id": ["a", "b", "c"], "churn_probability": [0.9, 0.5, None], "stage": ["x", "y", "y"]})
    write_table(store, users)
    batch = store.open()
    assert batch.select({"stage": "y"}, by="churn_probability").tolist() == [1]
    with pytest.raises(ScoresError, match="rate churn only"):
        batch.select({})


@pytest.mark.parametrize("wordy", [1, 10_000], ids=["lists", "bitmaps"])
@pytest.mark.parametrize("by", ["koc_score", "rising"])
def test_either_way_to_a_selection_finds_the_same(
    batches: list[Known], wordy: int, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, _, users = batches[5]
    monkeypatch.setattr(search, "WORDY", wordy)
    monkeypatch.setattr(search, "FEW", 1)
    for filters in (
        {"churn_probability": {"min": 0.41, "max": 0.77}},
        {"churn_probability": {"max": 0.77}, "rising": {"min": -0.3}, "attribute_tier": ["gold", "silver"]},
        {"attribute_shop": ["s1", "s2", "s3"], "reachable": "sms", "stage": "active"},
    ):
        assert batch.select(filters, 20, by).tolist() == ranked(users, filters, by)[:20]
