"""What a stranger's file looks like: its sheets, and for each column its values, read as times or amounts where they are."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa

from features.errors import DatasetError
from features.intake.parse import as_text, parse
from features.intake.sources import sample, text_encoding
from features.schema import Kind

SAMPLE_ROWS = 300_000

_TIME_LIKE = re.compile(r"\s*\d{4}[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,2}")
# Bare numbers may be ids: they are times only under a header that says so.
_UNIX_LIKE = re.compile(r"\s*(\d{4}[-/.年]\s?\d{1,2}[-/.月]\s?\d{1,2}|(19|20)\d{6}$|1\d{9}(\d{3})?$)")
_TIME_HEADER = re.compile(r"(time|date|stamp|_at|ts|dt|day|时间|日期|日)$", re.IGNORECASE)
_MONEY_LIKE = re.compile(r"\s*([¥￥$€£]?)\s*-?\s*([¥￥$€£]?)\s*(\d[\d,]*)(\.\d+)?\s*元?\s*")


@dataclass(frozen=True, eq=False)
class Seen:
    """What the values of one column look like.

    ``values``: the filled cells as text, indexed by row; ``times``: the same read as times (UTC where the source has a
    zone, else local), or None where fewer than nine in ten are times.
    """

    header: str
    values: pd.Series
    times: pd.Series | None

    @cached_property
    def distinct(self) -> frozenset[str]:
        return frozenset(self.values)

    @property
    def unique(self) -> bool:
        """Whether hardly any value comes twice."""
        return len(self.values) > 0 and len(self.distinct) >= 0.98 * len(self.values)

    def share(self, pattern: re.Pattern[str]) -> float:
        """Share of distinct values that match all of ``pattern``."""
        sample = list(self.distinct)[:2000]
        return sum(pattern.fullmatch(value) is not None for value in sample) / max(1, len(sample))

    @cached_property
    def numeric(self) -> bool:
        return self.times is None and self.share(_MONEY_LIKE) >= 0.9

    @cached_property
    def decimals(self) -> bool:
        return self.numeric and any((found := _MONEY_LIKE.fullmatch(value)) and found[4] for value in self.distinct)

    @cached_property
    def symbol(self) -> str | None:
        """The currency sign in front of most amounts."""
        signs = Counter(m[1] or m[2] for value in self.distinct if self.numeric and (m := _MONEY_LIKE.fullmatch(value)))
        sign = signs.most_common(1)[0][0] if signs else ""
        return sign.replace("￥", "¥") or None

    def overlap(self, ids: frozenset[str]) -> float:
        """Share of distinct values that are among ``ids``."""
        return len(self.distinct & ids) / max(1, len(self.distinct))


def see(header: str, raw: pd.Series) -> Seen:
    """Look at one column of a sample."""
    filled = raw.dropna()
    if isinstance(filled.dtype, pd.DatetimeTZDtype):
        filled = filled.dt.tz_convert("UTC").dt.tz_localize(None)
    cells = pa.array(filled.astype(str) if filled.dtype == object else filled)
    text = pd.Series(as_text(cells).to_pylist(), index=filled.index, dtype=object).dropna()
    if pd.api.types.is_datetime64_any_dtype(filled.dtype):
        return Seen(header, text, filled)
    distinct = pd.Series(text.unique(), dtype=object)
    like = _UNIX_LIKE if _TIME_HEADER.search(header) else _TIME_LIKE
    if not len(distinct) or distinct.head(1000).map(lambda value: like.match(value) is not None).mean() < 0.9:
        return Seen(header, text, None)
    moments = parse(pa.array(distinct), Kind.TIME, zone="UTC", money="minor").values.to_pandas()
    times = pd.to_datetime(text.map(dict(zip(distinct, moments, strict=True))))
    return Seen(header, text, times if times.notna().mean() >= 0.9 else None)


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One file, or one sheet of a workbook: ``rows`` read (at most ``SAMPLE_ROWS``), and its columns.

    ``encoding`` is None for UTF-8 and for formats that carry their own; ``sheet`` is None for the first one.
    """

    path: Path
    sheet: str | None
    encoding: str | None
    rows: int
    seen: Sequence[Seen]

    @property
    def label(self) -> str:
        return f"{self.path.name} [{self.sheet}]" if self.sheet else self.path.name

    @property
    def cut_short(self) -> bool:
        """Whether the file may hold more rows than were read."""
        return self.rows >= SAMPLE_ROWS

    def __getitem__(self, header: str) -> Seen:
        return next(one for one in self.seen if one.header == header)


def look(path: Path) -> list[SourceFile]:
    """Sample a file: one entry, or one for each filled sheet of a workbook.

    Raises:
        DatasetError: the file is missing, empty or in a format that cannot be read.
    """
    if not path.exists():
        raise DatasetError(f"no file or folder at {path}; check the path")
    if path.suffix.lower() != ".xlsx":
        is_text = path.is_file() and path.suffix.lower() not in (".parquet", ".pq")
        encoding = text_encoding(path, None) if is_text else "utf-8"
        return [_look(path, None, None if encoding == "utf-8" else encoding)]
    try:
        others = openpyxl.load_workbook(path, read_only=True).sheetnames[1:]
    except Exception as error:  # openpyxl lets zipfile, XML and key errors through
        raise DatasetError(f"{path} cannot be read as a spreadsheet ({error}); save it as .xlsx again") from None
    found = [_look(path, None, None)]
    for sheet in others:
        try:
            found.append(_look(path, sheet, None))
        except DatasetError:  # an empty sheet, as new workbooks have
            continue
    return found


def _look(path: Path, sheet: str | None, encoding: str | None) -> SourceFile:
    frame = sample(path, SAMPLE_ROWS, sheet, encoding)
    return SourceFile(path, sheet, encoding, len(frame), [see(header, frame[header]) for header in frame.columns])
