"""Intake: from files as they come to tables that snapshots are taken from."""

import gc
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from features.engine import DuckDB
from features.errors import ValidationError
from features.intake.open_tables import open_tables
from features.schema import TABLES
from tests.files import ORDERS, dataset_of, write_csv
from tests.worlds import rows_of


def shop(root: Path, **settings: Any) -> dict[str, Any]:
    """An order export in GB18030 and a roster from a spreadsheet."""
    orders = write_csv(
        root / "订单.csv",
        "buyer,paid at,total",
        '张三,2024/3/5 12:03,"¥1,299.00"',
        "李四,2024/3/6 08:00,9元",
        encoding="gb18030",
    )
    book = openpyxl.Workbook()
    for row in (["客户", "邀请人", "等级"], ["李四", "张三", "V1"], ["王五", "张三", None]):
        book.active.append(row)
    book.save(root / "名单.xlsx")
    return {
        "orders": {"source": orders, "columns": ORDERS, "money": "major"},
        "ties": {"source": "名单.xlsx", "columns": {"user_id": "客户", "influencer_id": "邀请人"}, **settings},
        "attributes": {
            "source": "名单.xlsx",
            "columns": {"user_id": "客户"},
            "constants": {"valid_from": "2024-03-07"},
            "unpivot": {"tier": "等级"},
        },
    }


def test_an_order_export_and_a_roster_become_tables(tmp_path: Path) -> None:
    said: list[str] = []
    tables, report = open_tables(
        dataset_of(tmp_path, shop(tmp_path), zone="Asia/Shanghai"), DuckDB(threads=1), progress=said.append
    )
    orders = rows_of(tables, tables.tables["orders"], "ordered_at")
    assert list(orders.columns) == list(TABLES["orders"].by_name)
    assert orders.amount.tolist() == [129900, 900]
    assert tables.given["orders"] == {"user_id", "ordered_at", "amount"}
    # Just after the last order; attributes go on for longer, but labels are told by orders.
    assert tables.observed_until == datetime(2024, 3, 6, 0, 0, 1)
    assert rows_of(tables, tables.tables["attributes"]).value.tolist() == ["V1"]
    assert len(rows_of(tables, tables.tables["ties"])) == 2
    assert report.set_aside == 0
    assert any("reading orders from" in line for line in said)


def test_undirected_ties_are_there_once_in_both_directions(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", "a,b", "1,2", "2,1", "1,3", "3,3")
    tables = {
        **shop(tmp_path),
        "ties": {"source": "t.csv", "undirected": True, "columns": {"user_id": "a", "influencer_id": "b"}},
    }
    opened, report = open_tables(dataset_of(tmp_path, tables), DuckDB(threads=1))
    ties = rows_of(opened, opened.tables["ties"], "user_id", "influencer_id")
    assert list(zip(ties.user_id, ties.influencer_id, strict=True)) == [("1", "2"), ("1", "3"), ("2", "1"), ("3", "1")]
    assert (report.tables["ties"].read, report.tables["ties"].kept, report.tables["ties"].set_aside) == (4, 3, 1)


def test_the_data_is_complete_until_the_dataset_says_so(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path, shop(tmp_path), time={"until": "2024-03-06"})
    tables, report = open_tables(dataset, DuckDB(threads=1))
    assert tables.observed_until == datetime(2024, 3, 6)
    assert report.tables["orders"].set_aside == 1


def test_tables_live_as_long_as_their_engine(tmp_path: Path) -> None:
    tables, _ = open_tables(dataset_of(tmp_path, shop(tmp_path)), DuckDB(threads=1))
    gc.collect()
    assert len(rows_of(tables, tables.tables["orders"])) == 2


def test_columns_that_are_not_mapped_and_rows_that_cannot_be_read_stop(tmp_path: Path) -> None:
    mapped = shop(tmp_path)
    missing = {**mapped, "orders": {**mapped["orders"], "columns": {"user_id": "buyer"}}}
    with pytest.raises(ValidationError, match=r"orders.ordered_at: name the source's columns"):
        open_tables(dataset_of(tmp_path, missing), DuckDB(threads=1), quarantine=tmp_path / "bad")
    minor = {**mapped, "orders": {**mapped["orders"], "columns": {**ORDERS, "quantity": "buyer"}}}
    with pytest.raises(
        ValidationError, match=r"orders.quantity: values that cannot be read in 2 rows, such as row 2: .*张三"
    ):
        open_tables(dataset_of(tmp_path, minor), DuckDB(threads=1))


def test_a_dataset_without_any_event_left_stops(tmp_path: Path) -> None:
    write_csv(tmp_path / "o.csv", "user_id,ordered_at", "1,2999-01-01")
    with pytest.raises(ValidationError, match=r"no event is left \(orders: 1 read, 1 set aside\)"):
        open_tables(dataset_of(tmp_path, {"orders": {"source": "o.csv"}}), DuckDB(threads=1))


def test_days_without_times_are_over_at_their_end(tmp_path: Path) -> None:
    days = write_csv(tmp_path / "days.csv", "buyer,day", "a,2024-03-01", "b,2024-03-05")
    orders = {"source": days, "columns": {"user_id": "buyer", "ordered_at": "day"}}
    tables, _ = open_tables(dataset_of(tmp_path, {"orders": orders}), DuckDB(threads=1))
    assert tables.observed_until == datetime(2024, 3, 6)


def test_of_repeated_orders_the_one_recorded_first_stays(tmp_path: Path) -> None:
    export = write_csv(
        tmp_path / "orders.csv",
        "id,item,buyer,at,recorded",
        "1,tea,a,2024-01-04 10:00,2024-03-01 09:00",
        "1,tea,a,2024-01-04 10:00,2024-01-05 09:00",
        "2,tea,b,2024-02-04 10:00,",
    )
    columns = {"order_id": "id", "item_id": "item", "user_id": "buyer", "ordered_at": "at", "recorded_at": "recorded"}
    orders = {"source": export, "columns": columns}
    tables, report = open_tables(dataset_of(tmp_path, {"orders": orders}), DuckDB(threads=1))
    assert report.tables["orders"].set_aside == 1
    assert rows_of(tables, tables.tables["orders"], "order_id").recorded_at[0] == datetime(2024, 1, 5, 9)


def test_a_last_order_far_from_all_others_is_doubted(tmp_path: Path) -> None:
    rows = [f"u{n},2023-0{1 + n % 6}-1{n % 9}" for n in range(600)]
    export = write_csv(tmp_path / "orders.csv", "buyer,at", *rows, "typo,2025-01-01")
    orders = {"source": export, "columns": {"user_id": "buyer", "ordered_at": "at"}}
    _, report = open_tables(dataset_of(tmp_path, {"orders": orders}), DuckDB(threads=1))
    assert any("is the last time mistyped" in caution for caution in report.cautions)
