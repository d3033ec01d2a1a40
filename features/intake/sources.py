"""Raw record batches out of a stranger's file or database table, as the source has them, with their row numbers."""

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

import ibis
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
from ibis.common.exceptions import TableNotFound

from features.dataset import Dataset, TableSource, without_password
from features.errors import DatasetError

ROW = "_row"
_BATCH_ROWS = 131_072
_SHEET_BATCH_ROWS = 20_000
_TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz")
_NULL_TEXTS = ["", "NULL", "null", "\\N"]
_FILE_SCHEMES = {"duckdb": ibis.duckdb, "sqlite": ibis.sqlite}


@dataclass(frozen=True)
class Part:
    """One file of a table, with ``rows`` rows; ``batches(names, first)`` as those of `Source`, numbered from ``first``."""

    path: Path
    rows: int
    batches: Callable[[Sequence[str], int], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Source:
    """One table as its owner keeps it.

    ``place``: names it in messages, without passwords. ``names``: its columns. ``batches(names)``: the rows of some of its
    columns plus ``_row`` (int64), the number by which the owner finds a row again: spreadsheets and text files count the
    header as row 1, Parquet and databases start their first row at 1. Empty spreadsheet rows and blank lines are no
    rows; a blank line of a text file does not count. ``parts``: the files of a folder in the order of their rows, else none.
    """

    place: str
    names: tuple[str, ...]
    batches: Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
    parts: tuple[Part, ...] = ()


def open_source(dataset: Dataset, source: TableSource) -> Source:
    """The table behind a ``source`` of the dataset file; nothing but its header is read yet.

    Raises:
        DatasetError: there is no such file, sheet or table, or its text cannot be decoded.
    """
    if "://" in source.source:
        return _open_database(source.source, source.table, dataset.root)
    return open_file(dataset.root / source.source, source.sheet, source.encoding or dataset.encoding)


def sample(path: Path, rows: int = 1000, sheet: str | None = None, encoding: str | None = None) -> pd.DataFrame:
    """The first ``rows`` rows of a file under its own column names, for people and programs that guess what they mean.

    Values are text for text files, cell values (text, numbers, datetimes) for spreadsheets, and of the file's own types
    for Parquet; missing ones are None or NaN.

    Raises:
        DatasetError: as ``open_source``.
    """
    if path.suffix.lower() == ".xlsx":
        names, cells = _sheet(path, sheet)
        values = [row for _, row in islice(cells, rows)]
        return pd.DataFrame({name: pd.Series([row[i] for row in values], dtype=object) for i, name in enumerate(names)})
    source = open_file(path, sheet, encoding)
    found: list[pa.RecordBatch] = []
    for batch in source.batches(source.names):
        found.append(batch.slice(0, rows - sum(b.num_rows for b in found)))
        if sum(b.num_rows for b in found) >= rows:
            break
    if not found:
        return pd.DataFrame({name: pd.Series(dtype=object) for name in source.names})
    frame: pd.DataFrame = pa.Table.from_batches(found).drop_columns([ROW]).to_pandas()
    return frame.astype({name: object for name in frame.columns if isinstance(frame[name].dtype, pd.StringDtype)})


def open_file(path: Path, sheet: str | None = None, encoding: str | None = None) -> Source:
    """The table in a file, by the ending of its name; ``sheet`` (default: the first) and ``encoding`` where it has them.

    Raises:
        DatasetError: as ``open_source``.
    """
    if not path.exists():
        raise DatasetError(f"no file or folder at {path}; correct `source`, or `root` (--root), in the dataset file")
    if path.name.lower().endswith(_TEXT_SUFFIXES):
        return _open_text(path, encoding)
    if path.suffix.lower() == ".xlsx":
        return _open_sheet(path, sheet)
    if path.is_dir() or path.suffix.lower() in (".parquet", ".pq"):
        return _open_parquet(path)
    raise DatasetError(f"{path} is none of .parquet, .csv, .tsv, .txt and .xlsx; save it as one of these")


def _numbered(batches: Iterator[pa.RecordBatch], first: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.append_column(ROW, pa.array(np.arange(first, first + batch.num_rows)))
        first += batch.num_rows


def _open_parquet(path: Path) -> Source:
    try:
        data = pa.dataset.dataset(path, format="parquet", partitioning="hive")
    except (pa.ArrowException, OSError) as error:
        raise DatasetError(f"{path} cannot be read as Parquet ({error}); export it again") from None
    if not data.files:
        raise DatasetError(f"no Parquet file in folder {path}; correct `source` in the dataset file")

    def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        return _numbered(data.to_batches(columns=list(dict.fromkeys(names)), batch_size=_BATCH_ROWS), 1)

    def part(fragment: pa.dataset.ParquetFileFragment) -> Part:
        def rows_of(names: Sequence[str], first: int) -> Iterator[pa.RecordBatch]:
            columns = list(dict.fromkeys(names))
            return _numbered(fragment.to_batches(data.schema, columns=columns, batch_size=_BATCH_ROWS), first)

        return Part(Path(fragment.path), fragment.count_rows(), rows_of)

    parts = tuple(map(part, data.get_fragments())) if path.is_dir() else ()
    return Source(str(path), tuple(data.schema.names), batches, parts)


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Headers that can be told apart: trimmed, empty ones named by position, repeated ones numbered."""
    found: list[str] = []
    for i, raw in enumerate(names, start=1):
        name = raw.strip() or f"column {i}"
        found.append(name if name not in found else f"{name}.{sum(other.split('.')[0] == name for other in found)}")
    return tuple(found)


def text_encoding(path: Path, named: str | None) -> str:
    """The encoding that decodes all of a text file: its byte order mark's, else the named one, else UTF-8 or GB18030.

    Raises:
        DatasetError: none of them does.
    """
    try:
        candidates = [codecs.lookup(named).name] if named else ["utf-8", "gb18030"]
    except LookupError:
        raise DatasetError(f"unknown encoding {named!r} for {path}; use a name such as 'utf-8' or 'gb18030'") from None
    with pa.input_stream(path) as stream:
        start = stream.read(3)
    if start == codecs.BOM_UTF8:
        candidates = ["utf-8"]
    elif start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        candidates = ["utf-16"]
    for encoding in candidates:
        decoder = codecs.getincrementaldecoder(encoding)()
        seen = 0
        try:
            with pa.input_stream(path) as stream:
                while block := stream.read(1 << 22):
                    decoder.decode(block)
                    seen += len(block)
                decoder.decode(b"", final=True)
            return encoding
        except UnicodeDecodeError as error:
            failure = f"byte {seen + error.start}: {error.object[error.start : error.start + 4]!r}"
    raise DatasetError(
        f"{path} is not text in {' or '.join(candidates)} ({failure}); name its `encoding` in the dataset file"
    )


def _open_text(path: Path, encoding: str | None) -> Source:
    encoding = text_encoding(path, encoding)
    with pa.input_stream(path) as stream, io.TextIOWrapper(stream, encoding, newline="") as text:
        start = text.read(1 << 16).lstrip("\ufeff")
    first = start.lstrip("\r\n").splitlines()[:1]
    if not first:
        raise DatasetError(f"{path} is empty; its first line must name the columns")
    delimiter = max(",\t;|", key=first[0].count)
    reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
    names = _unique(next(row for row in reader if row))

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        try:
            yield from _numbered(
                pa.csv.open_csv(
                    pa.input_stream(path),
                    read_options=pa.csv.ReadOptions(
                        column_names=names, skip_rows=reader.line_num, encoding=encoding, block_size=1 << 23
                    ),
                    parse_options=pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                    convert_options=pa.csv.ConvertOptions(
                        column_types=dict.fromkeys(names, pa.string()),
                        include_columns=list(dict.fromkeys(wanted)),
                        null_values=_NULL_TEXTS,
                        strings_can_be_null=True,
                    ),
                ),
                2,
            )
        except pa.ArrowInvalid as error:
            if "Empty CSV" in str(error):
                return
            raise DatasetError(
                f"{path}: {error}; every row needs {len(names)} columns, quote texts that hold {delimiter!r}"
            ) from None

    return Source(str(path), names, batches)


def _sheet(path: Path, sheet: str | None) -> tuple[tuple[str, ...], Iterator[tuple[int, tuple[Any, ...]]]]:
    """Header of a sheet, and its rows that are not empty with their numbers."""
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except Exception as error:  # openpyxl lets zipfile, XML and key errors through
        raise DatasetError(f"{path} cannot be read as a spreadsheet ({error}); save it as .xlsx again") from None
    if sheet is not None and sheet not in book.sheetnames:
        raise DatasetError(f"{path} has no sheet {sheet!r}; choose `sheet` from {', '.join(book.sheetnames)}")
    page = book[sheet] if sheet is not None else book.worksheets[0]
    page.reset_dimensions()  # some exporters write the size of the sheet wrong
    rows = enumerate(page.iter_rows(values_only=True), start=1)
    filled = ((number, row) for number, row in rows if any(value not in (None, "") for value in row))
    _, header = next(filled, (0, ()))
    while header and header[-1] is None:
        header = header[:-1]
    if not header:
        raise DatasetError(f"sheet {page.title!r} of {path} is empty; its first row must name the columns")
    names = _unique([str(value or "") for value in header])
    return names, ((number, (*row, *[None] * len(names))[: len(names)]) for number, row in filled)


def _cell_text(value: object) -> str | None:
    """A cell as text. Numbers of 16 and more digits keep their exponent, since a spreadsheet holds 15 digits of them."""
    if isinstance(value, bool | str):
        return str(value)
    if isinstance(value, int | float):
        if abs(value) >= 1e15:
            return f"{value:.14E}"
        return str(int(value)) if value == int(value) else repr(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return None if value is None else str(value)


def _open_sheet(path: Path, sheet: str | None) -> Source:
    names, _ = _sheet(path, sheet)

    def batches(wanted: Sequence[str]) -> Iterator[pa.RecordBatch]:
        _, rows = _sheet(path, sheet)
        where = {name: names.index(name) for name in wanted}
        while block := list(islice(rows, _SHEET_BATCH_ROWS)):
            columns = {name: pa.array([_cell_text(row[i]) for _, row in block], pa.string()) for name, i in where.items()}
            yield pa.record_batch({**columns, ROW: pa.array([number for number, _ in block], pa.int64())})

    return Source(f"sheet {sheet!r} of {path}" if sheet else str(path), names, batches)


def _open_database(url: str, table: str | None, root: Path) -> Source:
    shown = without_password(url)
    if table is None:
        raise DatasetError(f"{shown} is a database; name its `table` in the dataset file")
    scheme, _, rest = url.partition("://")
    try:
        if scheme in _FILE_SCHEMES:
            path = root / rest
            if not path.is_file():
                raise DatasetError(f"no {scheme} file at {path}; correct `source`, or `root` (--root), in the dataset file")
            options = {"read_only": True} if scheme == "duckdb" else {}
            connection = _FILE_SCHEMES[scheme].connect(path, **options)
        else:
            connection = ibis.connect(url)
        schema, _, name = table.rpartition(".")
        rows = connection.table(name, database=schema or None)
    except DatasetError:
        raise
    except TableNotFound:
        raise DatasetError(f"no table {table!r} in {shown}; correct `table` in the dataset file") from None
    except Exception as error:  # each driver has errors of its own
        reason = str(error).replace(url, shown).splitlines()[0]
        raise DatasetError(f"cannot open {shown} ({reason}); correct `source` or start the database") from None

    def batches(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        wanted = rows.select(*dict.fromkeys(names))
        if scheme == "duckdb":  # ibis 12 streams through a method that DuckDB 2 no longer has
            found = connection.con.sql(connection.compile(wanted)).to_arrow_reader(_BATCH_ROWS)
        else:
            found = connection.to_pyarrow_batches(wanted, chunk_size=_BATCH_ROWS)
        return _numbered(iter(found), 1)

    return Source(f"table {table!r} of {shown}", tuple(rows.columns), batches)
