"""Validation: one test for each kind of defect, severities, quarantine, and rows that add up."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.engine import DuckDB
from features.errors import ValidationError
from features.intake.landing import land, map_table
from features.intake.validate import Checked, Validator, check_columns
from tests.files import dataset_of

T = "2024-01-01"
Rows = list[dict[str, Any]]


def validator(root: Path, rows: dict[str, Rows], *, quarantine: Path | None = None, **options: Any) -> Validator:
    """Tables of rows in our own names (text or numbers), checked."""
    tables = {}
    for name, records in rows.items():
        columns = dict.fromkeys(column for record in records for column in record)
        pq.write_table(pa.table({c: [record.get(c) for record in records] for c in columns}), root / f"{name}.parquet")
        tables[name] = {"source": f"{name}.parquet", **options.get(name, {})}
    tables.setdefault("orders", {"source": "orders.parquet"})
    dataset = dataset_of(root, tables, **{key: value for key, value in options.items() if key not in rows})
    scratch = root / "scratch"
    scratch.mkdir(exist_ok=True)
    result = Validator(dataset, DuckDB(threads=1), scratch, quarantine)
    for name in Validator.order(rows):
        result.check(name, land(dataset, map_table(dataset, name), scratch))
    return result


def check(root: Path, name: str, records: Rows, **options: Any) -> Checked:
    """The result for one table."""
    return validator(root, {name: records}, **options).checked[name]


def found(result: Checked) -> list[tuple[str, str, str, int, list[tuple[int, str]]]]:
    """Findings in short."""
    return [
        (f.defect.value, f.column, f.severity.value, f.rows, [(e.row, e.value) for e in f.examples]) for f in result.findings
    ]


def order(user: Any = "a", at: Any = T, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "ordered_at": at, **more}


def test_clean_rows_have_no_findings(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order("a", amount=0), order("b", amount=5)])
    assert (result.read, result.kept, result.set_aside, result.findings) == (2, 2, 0, ())
    assert sorted(result.rows.columns) == ["amount", "ordered_at", "user_id"]


def test_missing_required_columns_stop_all_at_once() -> None:
    with pytest.raises(
        ValidationError,
        match=r"not mapped:\n  orders.ordered_at: name the source's columns in \[tables.orders.columns\].*"
        r"\n  ties.user_id, ties.influencer_id: name",
    ):
        check_columns({"orders": frozenset({"user_id"}), "ties": frozenset({"kind"}), "items": frozenset({"item_id"})})


def test_responses_need_a_share_or_a_sharer() -> None:
    with pytest.raises(ValidationError, match=r"share_responses.share_id or share_responses.sharer_id: without either"):
        check_columns({"share_responses": frozenset({"responder_id", "responded_at"})})


def test_unreadable_values_stop_with_column_number_examples_and_remedy(tmp_path: Path) -> None:
    amounts = ["1", "abc", "2", "x", "?", "!"]
    result = validator(tmp_path, {"orders": [order(f"u{i}", amount=value) for i, value in enumerate(amounts)]})
    with pytest.raises(
        ValidationError,
        match=r"orders.amount: values that cannot be read in 4 rows, such as row 2: amount: 'abc', row 4: amount: 'x', "
        r"row 5: amount: '\?'; correct them, or map another column, "
        r"or set money = .major. where .*\nor go on without these rows: --quarantine DIR",
    ):
        result.raise_errors()


def test_an_unreadable_key_is_no_empty_key_as_well(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order(at="soon")])
    assert found(result) == [("unreadable", "ordered_at", "error", 1, [(1, "ordered_at: 'soon'")])]


def test_rounded_ids_stop_and_name_the_row(tmp_path: Path) -> None:
    result = validator(tmp_path, {"orders": [order("a"), order("6.90123E+17")]})
    with pytest.raises(
        ValidationError,
        match=r"orders.user_id: ids rounded by a spreadsheet in 1 row, such as row 2: user_id: '6.90123E\+17'; export the "
        "column as text",
    ):
        result.raise_errors()
    floats = check(tmp_path, "orders", [order(float(2**53)), order(5.0)])
    assert found(floats)[0][:4] == ("rounded_id", "user_id", "error", 1)


def test_null_keys_are_set_aside(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order(None), order(at=""), order("b")])
    assert found(result) == [
        ("null_key", "user_id", "set_aside", 1, [(1, "null")]),
        ("null_key", "ordered_at", "set_aside", 1, [(2, "null")]),
    ]
    assert (result.read, result.kept, result.set_aside) == (3, 1, 2)


def test_of_duplicate_keys_the_first_row_that_is_otherwise_good_stays(tmp_path: Path) -> None:
    items = [{"item_id": "x", "price": price} for price in (-1, 1, 2)] + [{"item_id": "y", "price": 3}]
    result = check(tmp_path, "items", items)
    assert found(result) == [
        ("negative_amount", "price", "set_aside", 1, [(1, "-1")]),
        ("duplicate_key", "item_id", "set_aside", 1, [(3, "x")]),
    ]
    assert sorted(row["price"] for row in result.rows.to_pyarrow().to_pylist()) == [1, 3]


def test_a_key_is_looked_at_only_where_all_of_it_is_given(tmp_path: Path) -> None:
    rows = [order(order_id="1", item_id="x"), order(order_id="1", item_id="y"), order(order_id=None, item_id="x")]
    assert check(tmp_path, "orders", rows).findings == ()
    assert found(check(tmp_path, "orders", [*rows, rows[0]]))[0][:4] == (
        "duplicate_key",
        "order_id, item_id",
        "set_aside",
        1,
    )
    assert check(tmp_path, "orders", [order("a", order_id="1"), order("b", order_id="1")]).findings == ()


def test_negative_money_and_counts_are_set_aside_but_a_margin_may_be(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order("a", amount=-5, quantity=1), order("b", amount=5, quantity=-1)])
    assert [finding[:2] for finding in found(result)] == [("negative_amount", "quantity"), ("negative_amount", "amount")]
    assert result.set_aside == 2
    assert check(tmp_path, "items", [{"item_id": "x", "margin": -1}]).findings == ()


def test_future_times_are_set_aside_in_both_clocks(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order(at="2999-01-01"), order("b", recorded_at="2999-01-01"), order("c")])
    assert [finding[:4] for finding in found(result)] == [
        ("future_time", "ordered_at", "set_aside", 1),
        ("future_time", "recorded_at", "set_aside", 1),
    ]
    until = {"time": {"until": "2024-01-02"}}
    limited = check(tmp_path, "orders", [order(at="2024-01-01 23:59:59"), order(at="2024-01-02")], **until)
    assert found(limited) == [("future_time", "ordered_at", "set_aside", 1, [(2, "2024-01-02 00:00:00")])]


def test_self_ties_are_set_aside(tmp_path: Path) -> None:
    result = check(tmp_path, "ties", [{"user_id": "a", "influencer_id": i} for i in ("a", "b")])
    assert found(result) == [("self_tie", "user_id, influencer_id", "set_aside", 1, [(1, "a, a")])]


def test_responses_whose_sharer_nobody_knows_are_set_aside(tmp_path: Path) -> None:
    shares = [{"share_id": "s", "sharer_id": "a", "shared_at": T}]
    given_ids = [("s", None), ("gone", None), ("gone", "a"), (None, "a"), (None, None)]
    responses = [
        {"share_id": share, "sharer_id": sharer, "responder_id": f"r{i}", "responded_at": T}
        for i, (share, sharer) in enumerate(given_ids)
    ]
    result = validator(tmp_path, {"shares": shares, "share_responses": responses}).checked["share_responses"]
    assert found(result) == [
        ("unknown_share", "share_id", "set_aside", 2, [(2, "gone"), (5, "null")]),
        ("dangling_id", "share_id", "warn", 1, [(3, "gone")]),
    ]
    alone = check(tmp_path, "share_responses", [{"share_id": "s", "responder_id": "r", "responded_at": T}])
    assert found(alone)[0][:2] == ("unknown_share", "share_id")


def test_equal_rows_of_events_are_reported_and_stay(tmp_path: Path) -> None:
    result = check(tmp_path, "orders", [order(item_id=None), order(item_id=None), order("b", item_id=None)])
    assert found(result) == [("duplicate_event", "user_id, ordered_at", "warn", 1, [(2, "a, 2024-01-01 00:00:00")])]
    assert result.kept == 3
    once = check(tmp_path, "orders", [order(), order(), order()], orders={"severity": {"duplicate_event": "set_aside"}})
    assert (once.kept, once.set_aside) == (1, 2)


def test_dangling_ids_are_reported_against_the_rows_that_stay(tmp_path: Path) -> None:
    rows = {"items": [{"item_id": "x", "price": 1}, {"item_id": "y", "price": -1}]}
    orders = [order("a", item_id=item) for item in ("x", "y", "z", None)]
    result = validator(tmp_path, {**rows, "orders": orders}).checked["orders"]
    assert found(result) == [("dangling_id", "item_id", "warn", 2, [(2, "y"), (3, "z")])]
    shares = [
        {"share_id": s, "sharer_id": "a", "parent_share_id": p, "shared_at": T}
        for s, p in (("1", None), ("2", "1"), ("3", "9"))
    ]
    assert found(check(tmp_path, "shares", shares)) == [("dangling_id", "parent_share_id", "warn", 1, [(3, "9")])]


def test_users_without_events_are_reported(tmp_path: Path) -> None:
    users = [{"user_id": user} for user in "abc"]
    rows = {"users": users, "orders": [order("a")], "rewards": [{"user_id": "b", "granted_at": T}]}
    result = validator(tmp_path, rows).checked["users"]
    assert found(result) == [("user_without_event", "user_id", "warn", 1, [(3, "c")])]


def test_distinct_tables_count_their_repeats(tmp_path: Path) -> None:
    rows = [{"item_id": "x", "category": c} for c in ("food", "food", "toys", "food")]
    result = check(tmp_path, "items", rows, items={"distinct": True})
    assert (result.read, result.repeats, result.kept, result.set_aside) == (4, 2, 1, 1)
    assert result.rows.to_pyarrow().to_pylist() == [{"item_id": "x", "category": "food"}]


def test_severities_can_be_changed_for_all_tables_and_for_one(tmp_path: Path) -> None:
    rows = [order("a", amount=-5), order("b", amount="abc")]
    rows = [{**row, "amount": str(row["amount"])} for row in rows]
    kept = check(tmp_path, "orders", rows, severity={"negative_amount": "warn", "unreadable": "warn"})
    assert (kept.kept, kept.set_aside) == (2, 0)
    mixed = check(
        tmp_path, "orders", rows, severity={"negative_amount": "warn"}, orders={"severity": {"negative_amount": "error"}}
    )
    assert {finding[2] for finding in found(mixed)} == {"error"}


def test_quarantine_keeps_bad_rows_with_number_reason_and_values_and_goes_on(tmp_path: Path) -> None:
    rows = [order("a", amount="1"), order(None, amount="-1"), order("c", amount="abc"), order("c", amount="2")]
    quarantine = tmp_path / "bad"
    result = validator(tmp_path, {"orders": rows, "ties": [{"user_id": "a", "influencer_id": "b"}]}, quarantine=quarantine)
    result.raise_errors()
    assert (result.checked["orders"].kept, result.checked["orders"].set_aside) == (2, 2)
    aside = sorted(pq.read_table(quarantine / "orders.parquet").to_pylist(), key=lambda row: row["_row"])
    assert [(row["_row"], row["_reason"], row["amount"]) for row in aside] == [
        (2, "null_key user_id; negative_amount amount", -1),
        (3, "unreadable amount: 'abc'", None),
    ]
    assert not (quarantine / "ties.parquet").exists()


def test_a_clean_run_removes_the_quarantine_of_an_earlier_one(tmp_path: Path) -> None:
    quarantine = tmp_path / "bad"
    check(tmp_path, "orders", [order(None), order("a")], quarantine=quarantine)
    assert (quarantine / "orders.parquet").exists()
    check(tmp_path, "orders", [order("b"), order("a")], quarantine=quarantine)
    assert not (quarantine / "orders.parquet").exists()


def test_tables_are_checked_after_those_that_they_refer_to() -> None:
    order_ = Validator.order(["users", "orders", "share_responses", "shares", "items"])
    assert order_ == ["items", "shares", "orders", "share_responses", "users"]


_row = st.fixed_dictionaries(
    {
        "user_id": st.sampled_from(["a", "b", None]),
        "order_id": st.sampled_from(["1", "2", None]),
        "item_id": st.sampled_from(["x", None]),
        "amount": st.sampled_from([None, "1", "-1", "abc"]),
        "ordered_at": st.sampled_from([T, "2999-01-01", None, "soon"]),
    }
)


@settings(max_examples=15, deadline=timedelta(seconds=20), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(_row, min_size=1, max_size=8))
def test_d01_rows_read_are_rows_kept_and_set_aside_and_each_is_accounted_for(tmp_path: Path, rows: Rows) -> None:
    quarantine = tmp_path / "bad"
    result = check(tmp_path, "orders", rows, quarantine=quarantine)
    path = quarantine / "orders.parquet"
    aside = {row["_row"] for row in pq.read_table(path).to_pylist()} if path.exists() else set()
    seen: set[tuple[Any, Any]] = set()
    expected = set()
    for number, row in enumerate(rows, start=1):
        key = (row["order_id"], row["item_id"])
        good = row["user_id"] and row["amount"] in (None, "1") and row["ordered_at"] == T
        if not good or (all(key) and key in seen):
            expected.add(number)
        elif all(key):
            seen.add(key)
    assert aside == expected
    assert (result.read, result.kept, result.set_aside) == (len(rows), len(rows) - len(aside), len(aside))


def test_a_result_does_not_depend_on_the_order_of_rows(tmp_path: Path) -> None:
    rows = [order(f"u{i % 7}", at=datetime(2024, 1, 1 + i % 3), amount=i % 5 - 1) for i in range(50)]
    kept = []
    for table in (rows, rows[::-1]):
        result = check(tmp_path, "orders", table)
        assert result.set_aside == 10
        kept.append(sorted(map(str, result.rows.to_pyarrow().to_pylist())))
    assert kept[0] == kept[1]
