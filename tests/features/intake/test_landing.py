"""Landing: the contract's columns and types, notes on bad values, and mappings that cannot be right."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DatasetError
from features.intake.landing import Landed, land, map_table
from tests.files import ORDERS, dataset_of, write_csv


def landed(root: Path, name: str = "orders", **source: Any) -> tuple[Landed, list[dict[str, Any]]]:
    """A table landed beside its source."""
    tables = {name: source} if name == "orders" else {name: source, "orders": {"source": "none"}}
    dataset = dataset_of(root, tables, zone="Asia/Shanghai")
    (root / "scratch").mkdir(exist_ok=True)
    result = land(dataset, map_table(dataset, name), root / "scratch")
    return result, pq.read_table(result.path).to_pylist()


def test_a_shop_s_export_lands_in_the_contract_s_types(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", "张三,2024/3/5 12:03,¥9.50", encoding="gb18030")
    result, rows = landed(tmp_path, source=source, columns=ORDERS, money="major", constants={"channel": "store"})
    assert (result.rows, result.unreadable, result.rounded) == (1, frozenset(), frozenset())
    assert [str(row) for row in rows] == [
        "{'user_id': '张三', 'amount': 950, 'channel': 'store', 'ordered_at': datetime.datetime(2024, 3, 5, 4, 3), "
        "'_row': 2, '_unreadable': None, '_rounded': None}"
    ]


def test_unreadable_values_are_noted_with_column_and_text(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", "1,soon,abc", "2,2024-01-01,5", "3,later,7")
    result, rows = landed(tmp_path, source=source, columns=ORDERS)
    assert result.unreadable == {"amount", "ordered_at"}
    notes = [row["_unreadable"] for row in rows]
    assert [sorted(note.split("; ")) if note else None for note in notes] == [
        ["amount: 'abc'", "ordered_at: 'soon'"],
        None,
        ["ordered_at: 'later'"],
    ]


def test_a_column_of_long_ids_that_mostly_end_in_zeros_is_marked_on_a_second_reading(tmp_path: Path) -> None:
    lines = ["690123456789012000,2024-01-01,1", "690123456789013000,2024-01-01,1", "690123456789012345,2024-01-01,1"]
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", *lines)
    result, rows = landed(tmp_path, source=source, columns=ORDERS)
    assert result.rounded == {"user_id"}
    assert result.rows == 3
    assert [row["_rounded"] for row in rows] == ["user_id: '690123456789012000'", "user_id: '690123456789013000'", None]


def test_a_few_long_ids_may_end_in_zeros(tmp_path: Path) -> None:
    lines = ["690123456789012000,2024-01-01,1", "690123456789012345,2024-01-01,1", "1234567890123450,2024-01-01,1"]
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", lines[0], lines[1], lines[1])
    assert landed(tmp_path, source=source, columns=ORDERS)[0].rounded == frozenset()
    single = write_csv(tmp_path / "b.csv", "buyer,paid at,total", lines[2])
    assert landed(tmp_path, source=single, columns=ORDERS)[0].rounded == frozenset()


def test_a_source_in_our_own_names_needs_no_mapping(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": ["a"], "ordered_at": ["2024-01-01"], "other": [1]}), tmp_path / "o.parquet")
    _, rows = landed(tmp_path, source="o.parquet")
    assert list(rows[0]) == ["user_id", "ordered_at", "_row", "_unreadable", "_rounded"]


def test_unpivot_makes_a_row_of_each_filled_attribute(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "u.csv", "id,地区,等级", "a,杭州,V1", "b,,V2")
    _, rows = landed(
        tmp_path,
        "attributes",
        source=source,
        columns={"user_id": "id"},
        constants={"valid_from": "2024-01-01"},
        unpivot={"region": "地区", "tier": "等级"},
    )
    assert [(row["user_id"], row["name"], row["value"], row["_row"]) for row in rows] == [
        ("a", "region", "杭州", 2),
        ("a", "tier", "V1", 2),
        ("b", "tier", "V2", 3),
    ]


def test_a_missing_source_column_lists_what_there_is(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "buyer,paid_at,total", "1,2024-01-01,5")
    with pytest.raises(
        DatasetError,
        match=r"orders.ordered_at is mapped to 'paid at', which .*a.csv does not have; did you mean 'paid_at'\? "
        r"its columns are buyer, paid_at, total; correct \[tables.orders.columns\]",
    ):
        landed(tmp_path, source=source, columns=ORDERS)


def test_a_column_cannot_also_be_a_constant_and_a_constant_must_be_readable(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", "1,2024-01-01,5")
    with pytest.raises(DatasetError, match=r"orders.amount is both a column and a constant"):
        landed(tmp_path, source=source, columns=ORDERS, constants={"amount": 1})
    with pytest.raises(DatasetError, match=r"orders.quantity: the constant 'two' is no count; correct \[tables.orders.con"):
        landed(tmp_path, source=source, columns=ORDERS, constants={"quantity": "two"})


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    source = write_csv(tmp_path / "a.csv", "buyer,paid at,total", "1,2024-01-01,5")
    with pytest.raises(DatasetError, match=r"unknown zone 'Mars/Base' in \[tables.orders\]"):
        landed(tmp_path, source=source, columns=ORDERS, zone="Mars/Base")


def test_a_column_of_lists_is_refused_with_its_type(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user_id": [["a"]], "ordered_at": ["2024-01-01"]}), tmp_path / "o.parquet")
    with pytest.raises(
        DatasetError, match=r"orders.user_id: 'user_id' in .*o.parquet is of type list<.*>, which is no user"
    ):
        landed(tmp_path, source="o.parquet")
