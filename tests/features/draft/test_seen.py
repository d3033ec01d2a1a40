"""What columns and files look like: times, amounts, ids, sheets and encodings."""

from datetime import datetime
from pathlib import Path

import pandas as pd
import pytest
from openpyxl import Workbook

from features.draft.seen import look, see
from features.errors import DatasetError


def test_times_are_read_as_sources_write_them() -> None:
    for values in (("2024/3/5 12:03", "2024/3/6 1:00"), ("2024年3月5日", None), (datetime(2024, 3, 5, 12), None)):
        seen = see("x", pd.Series(list(values), dtype=object))
        assert seen.times is not None, values
        assert seen.times.iloc[0].date() == datetime(2024, 3, 5).date()


def test_bare_numbers_are_times_only_under_a_header_that_says_so() -> None:
    assert see("timestamp", pd.Series([1_709_600_000, 1_709_700_000])).times is not None
    assert see("pay_date", pd.Series(["20240305", "20240306"])).times is not None
    assert see("order_no", pd.Series([1_709_600_000, 1_709_700_000])).times is None


def test_rows_stay_aligned_when_cells_are_empty() -> None:
    seen = see("t", pd.Series([None, "2024-01-02", " ", "2024-01-03"], dtype=object))
    assert list(seen.values.index) == [1, 3]
    assert seen.times is not None
    assert list(seen.times.index) == [1, 3]


def test_amounts_show_sign_and_decimals() -> None:
    seen = see("m", pd.Series(["¥1,299.00", "￥9", "¥0.50"]))
    assert (seen.numeric, seen.symbol, seen.decimals) == (True, "¥", True)
    whole = see("m", pd.Series([100, 2_500]))
    assert (whole.numeric, whole.symbol, whole.decimals) == (True, None, False)


def test_whole_floats_are_ids() -> None:
    assert see("u", pd.Series([7.0, 8.0, None])).distinct == {"7", "8"}


def test_look_finds_the_encoding_of_text(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("客户,金额\n甲,1\n".encode("gb18030"))
    (tmp_path / "b.csv").write_bytes("客户,金额\n甲,1\n".encode("utf-8-sig"))
    first, second = look(tmp_path / "a.csv")[0], look(tmp_path / "b.csv")[0]
    assert (first.encoding, second.encoding) == ("gb18030", None)
    assert [one.header for one in first.seen] == [one.header for one in second.seen] == ["客户", "金额"]
    assert first["客户"].distinct == {"甲"}


def test_look_opens_every_filled_sheet(tmp_path: Path) -> None:
    book = Workbook()
    book.active.append(["a"])
    book.active.append([1])
    book.create_sheet("empty")
    book.create_sheet("more").append(["b"])
    book.save(tmp_path / "book.xlsx")
    assert [(one.label, one.rows) for one in look(tmp_path / "book.xlsx")] == [("book.xlsx", 1), ("book.xlsx [more]", 0)]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("missing.csv", None, "no file or folder at .*missing.csv"),
        ("empty.csv", b"", "is empty; its first line must name the columns"),
        ("old.xls", b"x", "none of .parquet"),
        ("broken.xlsx", b"x", "cannot be read as a spreadsheet"),
        ("broken.parquet", b"x", "cannot be read as Parquet"),
    ],
)
def test_look_refuses_what_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        look(tmp_path / name)
