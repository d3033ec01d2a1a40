"""Values of the contract out of a stranger's: text, exact money, UTC times, counts, numbers and flags."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.schema import Kind

Money = Literal["major", "minor"]

_MICROS = pa.timestamp("us")
_EXACT = pa.decimal128(38, 18)
_FROM_FLOAT = pa.decimal128(38, 9)
_FLOAT_LIMIT = 1e17
_INT64_MAX = 2**63 - 1
_EXACT_FLOAT = 2**53
_CURRENCY = r"(?i)[¥￥$€£元]|RMB|CNY|USD|EUR|GBP|\s"
_PLAIN = r"^[-+]?([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})$"
_EXPONENT = r"^[-+]?[0-9](\.[0-9]+)?[eE][-+]?[0-9]{1,2}$"
_GROUPED = r"^([-+]?[0-9]{1,3})((?:,[0-9]{3})+)(\.[0-9]*)?$"
_MOMENT = (
    r"^(?P<year>\d{4})[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?"
    r"(?:[T ]*(?P<half>上午|下午|AM|PM|am|pm)? ?(?P<hour>\d{1,2})[:时点](?P<minute>\d{1,2})"
    r"(?:[:分](?P<second>\d{1,2})秒?(?:[.,](?P<fraction>\d{1,9}))?|分)? ?(?P<late>AM|PM|am|pm)?)?"
    r" ?(?P<offset>Z|UTC|[+-]\d{2}:?\d{2}|[+-]\d{2})?$"
)
_COMPACT_DAY = r"^(19|20)\d{6}$"
_FLAGS = {
    **dict.fromkeys(("yes", "y", "true", "t", "1", "1.0", "是", "真", "有", "成功", "√"), True),
    **dict.fromkeys(("no", "n", "false", "f", "0", "0.0", "否", "假", "无", "失败", "×"), False),
}


@dataclass(frozen=True)
class Parsed:
    """A column of the contract: its ``values``, and where the source had something unreadable (None: nowhere)."""

    values: pa.Array
    unreadable: pa.Array | None = None


def parse(raw: pa.Array, kind: Kind, *, zone: str, money: Money) -> Parsed:
    """``raw`` as values of ``kind``; what is empty stays null, what cannot be read becomes null and is marked.

    ``zone``: of times that do not carry their own. ``money``: whether ``raw`` counts whole units or hundredths; an amount
    in hundredths with a fraction is unreadable, since it is most likely in whole units.

    Raises:
        pa.ArrowException: the type of ``raw`` (a list, a struct) has no reading as ``kind`` at all.
    """
    if pa.types.is_dictionary(raw.type):
        raw = raw.dictionary_decode()
    if pa.types.is_null(raw.type):
        return Parsed(pa.nulls(len(raw), kind.dtype.to_pyarrow()))
    if kind in (Kind.USER, Kind.ID, Kind.TEXT):
        return Parsed(as_text(raw))
    readers: dict[Kind, Callable[[], Parsed]] = {
        Kind.TIME: lambda: _times(raw, zone),
        Kind.MONEY: lambda: _integers(raw, scale=100 if money == "major" else 1, rounding=money == "major"),
        Kind.COUNT: lambda: _integers(raw, scale=1, rounding=False),
        Kind.NUMBER: lambda: _numbers(raw),
        Kind.FLAG: lambda: _flags(raw),
    }
    return readers[kind]()


def as_text(raw: pa.Array) -> pa.Array:
    """Trimmed text, null where empty; whole numbers that were kept as floats lose their ``.0``."""
    if pa.types.is_floating(raw.type):
        raw = _nan_to_null(raw)
        whole = pc.and_(pc.equal(raw, pc.trunc(raw)), pc.less(pc.abs(raw), 1e15))
        integers = pc.cast(pc.if_else(whole, raw, None), pa.int64())
        return pc.coalesce(pc.cast(integers, pa.string()), pc.cast(raw, pa.string()))
    text = raw if pa.types.is_string(raw.type) else pc.cast(raw, pa.string())
    if not _is_text(raw.type):
        return text
    text = pc.utf8_trim_whitespace(text)
    empty = pc.equal(pc.binary_length(text), 0)
    return pc.if_else(empty, None, text) if pc.any(empty).as_py() else text


def rounded_ids(raw: pa.Array, ids: pa.Array) -> pa.Array | None:
    """Where ``ids`` are long numbers that a spreadsheet or a float has certainly rounded; None: nowhere.

    Certain are floats of 2**53 and more, and text with an exponent such as ``6.90123E+17``.
    """
    if pa.types.is_floating(raw.type):
        marks = pc.fill_null(pc.greater_equal(pc.abs(_nan_to_null(raw)), float(_EXACT_FLOAT)), False)
    elif _is_text(raw.type) and pc.any(pc.match_substring(ids, "+")).as_py():
        marks = pc.fill_null(pc.match_substring_regex(ids, r"^[0-9](\.[0-9]+)?[eE]\+[0-9]{2}$"), False)
    else:
        return None
    return marks if pc.any(marks).as_py() else None


def ends_in_zeros(ids: pa.Array) -> tuple[int, pa.Array | None]:
    """How many ``ids`` are numbers of 16 and more digits, and where all digits after the 15th are zeros (None: nowhere).

    A spreadsheet holds 15 digits: where most long numbers of a column end like this, it has rounded them.
    """
    if (pc.max(pc.binary_length(ids)).as_py() or 0) < 16:
        return 0, None
    long = pc.and_(pc.greater_equal(pc.binary_length(ids), 16), pc.ascii_is_decimal(ids))
    count = pc.sum(long).as_py() or 0
    if not count:
        return 0, None
    marks = pc.fill_null(pc.and_(long, pc.match_substring_regex(ids, "^[0-9]{15}0+$")), False)
    return count, marks if pc.any(marks).as_py() else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _nan_to_null(raw: pa.Array) -> pa.Array:
    return pc.if_else(pc.is_nan(raw), None, raw) if pa.types.is_floating(raw.type) else raw


def _parsed(values: pa.Array, present: pa.Array) -> Parsed:
    """Marks what is ``present`` in the source and null in ``values``."""
    if values.null_count == present.null_count:
        return Parsed(values)
    return Parsed(values, pc.and_(pc.is_valid(present), pc.is_null(values)))


def _integers(raw: pa.Array, *, scale: int, rounding: bool) -> Parsed:
    """Exact integers of ``scale`` times ``raw``: halves away from zero, or unreadable when there is a fraction."""
    if pa.types.is_integer(raw.type):
        if scale == 1 and raw.type != pa.uint64():
            return Parsed(pc.cast(raw, pa.int64()))
        wide = pc.cast(raw, pa.decimal128(20, 0))
        fits = pc.less_equal(pc.abs(wide), pa.scalar(_INT64_MAX // scale, pa.decimal128(20, 0)))
        return _parsed(pc.multiply(pc.cast(pc.if_else(fits, wide, None), pa.int64()), scale), raw)
    if pa.types.is_floating(raw.type):
        present = _nan_to_null(raw)
        exact = _exact(present)
    else:
        present = as_text(raw)
        exact = _decimals(present)
    scaled = pc.round(exact, ndigits=len(str(scale)) - 1, round_mode="half_towards_infinity")
    if not rounding:
        scaled = pc.if_else(pc.equal(exact, scaled), scaled, None)
    fits = pc.less_equal(pc.abs(scaled), pa.scalar(_INT64_MAX // scale, pa.decimal128(20, 0)))
    units = pc.cast(pc.if_else(fits, scaled, None), pa.decimal128(22, 2))
    return _parsed(pc.cast(pc.multiply(units, pa.scalar(scale, pa.decimal128(3, 0))), pa.int64()), present)


def _exact(floats: pa.Array) -> pa.Array:
    """Floats to nine decimals, which undoes binary noise: 1.005 is 1.005 and not 1.00499...; null from 1e17 on."""
    small = pc.less(pc.abs(floats), _FLOAT_LIMIT)
    return pc.cast(pc.cast(pc.if_else(small, floats, None), _FROM_FLOAT), _EXACT)


def _decimals(present: pa.Array) -> pa.Array:
    text = _plain_number(present)
    exact = pc.cast(pc.if_else(pc.match_substring_regex(text, _PLAIN), text, None), _EXACT)
    if exact.null_count == present.null_count:
        return exact
    exponent = pc.if_else(pc.match_substring_regex(text, _EXPONENT), text, None)
    return pc.coalesce(exact, _exact(pc.cast(exponent, pa.float64())))


def _plain_number(text: pa.Array) -> pa.Array:
    """``¥1,299.00``, ``1,299.00元`` and ``(12.5)`` as ``1299.00`` and ``-12.5``; other text is left as it is."""
    if pc.all(pc.match_substring_regex(text, _PLAIN)).as_py() is not False:
        return text
    bare = pc.replace_substring_regex(text, _CURRENCY, "")
    bare = pc.replace_substring(pc.replace_substring(bare, "（", "("), "）", ")")
    bare = pc.replace_substring(bare, "，", ",")
    bare = pc.replace_substring_regex(bare, r"^\((.+)\)$", r"-\1")
    grouped = pc.match_substring_regex(bare, _GROUPED)
    return pc.if_else(grouped, pc.replace_substring(bare, ",", ""), bare)


def _numbers(raw: pa.Array) -> Parsed:
    if not _is_text(raw.type):
        return Parsed(_nan_to_null(pc.cast(raw, pa.float64())))
    present = as_text(raw)
    text = _plain_number(present)
    readable = pc.or_(pc.match_substring_regex(text, _PLAIN), pc.match_substring_regex(text, _EXPONENT))
    return _parsed(pc.cast(pc.if_else(readable, text, None), pa.float64()), present)


def _flags(raw: pa.Array) -> Parsed:
    if pa.types.is_boolean(raw.type):
        return Parsed(raw)
    present = as_text(raw)
    found = pc.index_in(pc.utf8_lower(present), pa.array(list(_FLAGS)))
    return _parsed(pc.take(pa.array(list(_FLAGS.values())), found), present)


def _times(raw: pa.Array, zone: str) -> Parsed:
    """Naive UTC microseconds; an hour that a zone repeats counts as its first, one that it skips as the hour after."""
    if pa.types.is_timestamp(raw.type) and raw.type.tz:
        return Parsed(pc.cast(raw, _MICROS, safe=False))
    if pa.types.is_timestamp(raw.type):
        return Parsed(_to_utc(raw if raw.type == _MICROS else pc.cast(raw, _MICROS, safe=False), zone))
    if pa.types.is_date(raw.type):
        return Parsed(_to_utc(pc.cast(raw, _MICROS), zone))
    present = as_text(raw)
    if _is_text(raw.type):
        try:
            return Parsed(_to_utc(pc.cast(present, _MICROS), zone))
        except pa.ArrowInvalid:  # some value is not ISO without offset: read them one form after another
            pass
    return _parsed(pc.coalesce(_moments(present, zone), _unix_moments(present)), present)


def _to_utc(local: pa.Array, zone: str) -> pa.Array:
    if zone == "UTC":
        return local
    return pc.cast(pc.assume_timezone(local, zone, ambiguous="earliest", nonexistent="latest"), _MICROS)


def _unix_moments(text: pa.Array) -> pa.Array:
    """Seconds (10 digits) or milliseconds (13 digits) since 1970, which count from UTC."""
    seconds, millis = (pc.match_substring_regex(text, rf"^\d{{{digits}}}(\.0*)?$") for digits in (10, 13))
    digits = pc.cast(pc.if_else(pc.or_(seconds, millis), pc.utf8_slice_codeunits(text, 0, 13), None), pa.float64())
    micros = pc.multiply(digits, pc.if_else(seconds, 1e6, 1e3))
    return pc.cast(pc.cast(micros, pa.int64()), _MICROS)


def _moments(text: pa.Array, zone: str) -> pa.Array:
    """Written times, such as ``2024/3/5 12:03``, ``2024年3月5日``, ``2024-03-05T12:03:44.5+08:00``, ``20240305``."""
    compact = pc.match_substring_regex(text, _COMPACT_DAY)
    text = pc.if_else(compact, pc.replace_substring_regex(text, r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3"), text)
    parts = pc.extract_regex(text, _MOMENT)
    found = pc.is_valid(parts).to_numpy(zero_copy_only=False)

    def part(name: str) -> NDArray[np.int64]:
        digits = pc.struct_field(parts, name)
        numbers = pc.cast(pc.fill_null(pc.if_else(pc.equal(digits, ""), "0", digits), "0"), pa.int64())
        return np.asarray(numbers, dtype=np.int64)

    def has(name: str, *texts: str) -> NDArray[np.bool_]:
        values = pc.utf8_upper(pc.struct_field(parts, name))
        return np.asarray(pc.fill_null(pc.is_in(values, pa.array(texts)), False), dtype=bool)

    year, month, day, hour, minute, second = (part(name) for name in ("year", "month", "day", "hour", "minute", "second"))
    evening = has("half", "下午", "PM") | has("late", "PM")
    morning = has("half", "上午", "AM") | has("late", "AM")
    hour = np.where(evening & (hour < 12), hour + 12, np.where(morning & (hour == 12), 0, hour))
    fraction = pc.struct_field(parts, "fraction")
    micros = pc.cast(pc.utf8_slice_codeunits(pc.utf8_rpad(pc.fill_null(fraction, ""), 6, "0"), 0, 6), pa.int64()).to_numpy()
    months = np.where(found, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (day - 1)
    good = found & (month >= 1) & (month <= 12) & (days.astype("datetime64[M]") == months)
    good &= (hour < 24) & (minute < 60) & (second < 60)
    local = days.astype("datetime64[us]") + ((hour * 3600 + minute * 60 + second) * 1_000_000 + micros)
    moments = pa.array(local, _MICROS, mask=~good)

    offset = pc.struct_field(parts, "offset")
    own = pc.fill_null(pc.not_equal(offset, ""), False)
    sign = pc.if_else(pc.starts_with(offset, "-"), -1, 1)
    numbers = pc.replace_substring_regex(pc.replace_substring_regex(offset, r"^(Z|UTC)?$", "0000"), r"[^0-9]", "")
    four = pc.cast(pc.utf8_slice_codeunits(pc.utf8_rpad(numbers, 4, "0"), 0, 4), pa.int64())
    minutes = pc.add(pc.multiply(pc.divide(four, 100), 60), pc.subtract(four, pc.multiply(pc.divide(four, 100), 100)))
    shift = pc.cast(pc.multiply(pc.multiply(sign, minutes), 60_000_000), pa.duration("us"))
    return pc.if_else(own, pc.subtract(moments, shift), _to_utc(moments, zone))
