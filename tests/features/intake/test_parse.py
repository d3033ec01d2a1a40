"""Values: exact money, UTC times, ids, counts and flags, and what counts as unreadable."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.intake.parse import ends_in_zeros, parse, rounded_ids
from features.schema import Kind

BAD = object()


def read(values: Any, kind: Kind, *, zone: str = "UTC", money: Any = "minor") -> list[Any]:
    """Parsed values; BAD stands for unreadable ones."""
    raw = values if isinstance(values, pa.Array) else pa.array(values)
    parsed = parse(raw, kind, zone=zone, money=money)
    assert parsed.values.type == kind.dtype.to_pyarrow()
    bad = parsed.unreadable.to_pylist() if parsed.unreadable is not None else [False] * len(raw)
    return [BAD if marked else value for value, marked in zip(parsed.values.to_pylist(), bad, strict=True)]


@pytest.mark.parametrize(
    ("text", "fen"),
    [
        ("¥1,299.00", 129900),
        ("1,299.00元", 129900),
        ("￥ 12，000", 1200000),
        ("(12.5)", -1250),
        ("（1,000）", -100000),
        ("-3", -300),
        ("+.5", 50),
        ("1e3", 100000),
        ("0.005", 1),
        ("CNY 7", 700),
        (" ", None),
        (None, None),
        ("abc", BAD),
        ("1.299,00", BAD),
        ("1,29", BAD),
        ("1.2万", BAD),
        ("99999999999999999999", BAD),
    ],
)
def test_written_amounts_in_yuan_become_fen(text: str | None, fen: Any) -> None:
    assert read(pa.array([text], pa.string()), Kind.MONEY, money="major") == [fen]


def test_amounts_in_numbers_are_exact() -> None:
    floats = [11.77, 1.005, 0.29, -1.005, 0.1 + 0.2, float("nan"), float("inf"), 1e18]
    assert read(floats, Kind.MONEY, money="major") == [1177, 101, 29, -101, 30, None, BAD, BAD]
    assert read([Decimal("1.25"), None], Kind.MONEY, money="major") == [125, None]
    assert read([5, 2**62], Kind.MONEY, money="major") == [500, BAD]
    assert read(pa.array([7, 2**64 - 1], pa.uint64()), Kind.MONEY) == [7, BAD]


def test_a_fraction_of_a_fen_is_unreadable_because_it_is_likely_yuan() -> None:
    assert read([11.77, 12.0], Kind.MONEY) == [BAD, 12]
    assert read(["11.5", "1,000"], Kind.MONEY) == [BAD, 1000]


@given(st.decimals(min_value=-(10**9), max_value=10**9, places=2))
def test_every_way_of_writing_an_amount_gives_the_same_fen(amount: Decimal) -> None:
    fen = int(amount * 100)
    for written in (amount, float(amount), str(amount), f"¥{amount:,.2f}"):
        assert read([written], Kind.MONEY, money="major") == [fen]


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2024-03-05 12:03:44", datetime(2024, 3, 5, 4, 3, 44)),
        ("2024/3/5 12:03", datetime(2024, 3, 5, 4, 3)),
        ("2024年3月5日", datetime(2024, 3, 4, 16)),
        ("2024年3月5日 12时3分", datetime(2024, 3, 5, 4, 3)),
        ("2024/3/5 下午 2:03", datetime(2024, 3, 5, 6, 3)),
        ("20240305", datetime(2024, 3, 4, 16)),
        ("2024-03-05T12:03:44.5+08:00", datetime(2024, 3, 5, 4, 3, 44, 500000)),
        ("2024-03-05 12:00 -05:30", datetime(2024, 3, 5, 17, 30)),
        ("2024-03-05T12:03Z", datetime(2024, 3, 5, 12, 3)),
        ("1709611424", datetime(2024, 3, 5, 4, 3, 44)),
        ("1709611424000", datetime(2024, 3, 5, 4, 3, 44)),
        ("", None),
        ("soon", BAD),
        ("2024-02-30", BAD),
        ("2024-13-01", BAD),
        ("2024-03-05 24:01", BAD),
    ],
)
def test_written_times_become_utc(text: str, utc: Any) -> None:
    assert read([text, "x"], Kind.TIME, zone="Asia/Shanghai")[0] == utc


def test_typed_times_become_utc() -> None:
    shanghai = "Asia/Shanghai"
    assert read([date(2024, 3, 5)], Kind.TIME, zone=shanghai) == [datetime(2024, 3, 4, 16)]
    assert read([datetime(2024, 3, 5, 8, tzinfo=UTC)], Kind.TIME, zone=shanghai) == [datetime(2024, 3, 5, 8)]
    nanos = pa.array([datetime(2024, 3, 5, 8)], pa.timestamp("ns"))
    assert read(nanos, Kind.TIME, zone=shanghai) == [datetime(2024, 3, 5)]
    assert read([1709611424], Kind.TIME, zone=shanghai) == [datetime(2024, 3, 5, 4, 3, 44)]


def test_hours_that_a_zone_skips_or_repeats_have_a_moment() -> None:
    times = [datetime(2024, 3, 10, 2, 30), datetime(2024, 11, 3, 1, 30)]
    assert read(times, Kind.TIME, zone="America/New_York") == [datetime(2024, 3, 10, 7), datetime(2024, 11, 3, 5, 30)]


@given(st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)))
def test_all_ways_of_writing_a_time_agree_with_the_zone_database(local: datetime) -> None:
    local = local.replace(microsecond=0, fold=0)
    expected = local.replace(tzinfo=ZoneInfo("Asia/Tokyo")).astimezone(UTC).replace(tzinfo=None)
    for written in (local, f"{local:%Y-%m-%d %H:%M:%S}", f"{local:%Y/%m/%d %H:%M:%S}", f"{local:%Y年%m月%d日 %H:%M:%S}"):
        assert read([written], Kind.TIME, zone="Asia/Tokyo") == [expected]


def test_ids_are_trimmed_text_and_numbers_without_a_point() -> None:
    assert read([" 张三　", "", None], Kind.USER) == ["张三", None, None]
    assert read([1001.0, float("nan"), 2.5], Kind.ID) == ["1001", None, "2.5"]
    assert read([7, 2**63 - 1], Kind.ID) == ["7", "9223372036854775807"]
    assert read(pa.array(["a", "b", "a"]).dictionary_encode(), Kind.ID) == ["a", "b", "a"]
    assert read(pa.nulls(2), Kind.MONEY) == [None, None]


def test_counts_numbers_and_flags() -> None:
    assert read([5.0, 5.5], Kind.COUNT) == [5, BAD]
    assert read(["1,000", "two"], Kind.COUNT) == [1000, BAD]
    assert read(["1.5", "12%"], Kind.NUMBER) == [1.5, BAD]
    assert read([3], Kind.NUMBER) == [3.0]
    assert read(["是", "NO", "1", "0", "perhaps", None], Kind.FLAG) == [True, False, True, False, BAD, None]
    assert read([1, 0], Kind.FLAG) == [True, False]


def test_a_list_has_no_reading_as_money() -> None:
    with pytest.raises(pa.ArrowException):
        parse(pa.array([[1]]), Kind.MONEY, zone="UTC", money="minor")


def test_rounded_ids_are_floats_beyond_their_digits_and_text_with_an_exponent() -> None:
    floats = pa.array([2.0**53, 2.0**53 - 1, None])
    assert rounded_ids(floats, pa.array(["x", "y", None])).to_pylist() == [True, False, False]
    text = pa.array(["6.90123E+17", "5e10", "a+b", None])
    assert rounded_ids(text, text).to_pylist() == [True, False, False, False]
    assert rounded_ids(pa.array([2**60]), pa.array([str(2**60)])) is None


def test_long_ids_that_end_in_zeros_are_counted() -> None:
    count, marks = ends_in_zeros(pa.array(["690123456789012000", "690123456789012345", "0" * 15, "a" * 20, None]))
    assert (count, marks.to_pylist()) == (2, [True, False, False, False, False])
    assert ends_in_zeros(pa.array(["1", None])) == (0, None)
