"""Source tables in the contract's names and types, as one Parquet file each with row numbers and notes on bad values."""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.dataset import Dataset, TableSource
from features.errors import DatasetError
from features.intake.parse import as_text, ends_in_zeros, parse, rounded_ids
from features.intake.sources import ROW, Source, open_source
from features.schema import TABLES, Kind, TableSpec

UNREADABLE = "_unreadable"
ROUNDED = "_rounded"
_IDS = (Kind.USER, Kind.ID)
_NAME, _VALUE = "name", "value"
_CHANCE_DIGITS = 3
"""Fewer zeros than these after the 15th digits of a column may stand there by chance."""


Batches = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Raw batches by the names of their columns, as those of `Source`."""


@dataclass(frozen=True)
class Mapped:
    """How one source becomes a table: ``columns`` ours -> theirs, ``given`` all columns that the table will have."""

    spec: TableSpec
    table: TableSource
    source: Source
    columns: Mapping[str, str]

    @property
    def given(self) -> frozenset[str]:
        unpivoted = (_NAME, _VALUE) if self.table.unpivot else ()
        return frozenset((*self.columns, *self.table.constants, *unpivoted))


@dataclass(frozen=True)
class Landed:
    """A table in the contract's types, of ``rows`` rows, in the Parquet file, or folder of such files, ``path``.

    Besides the contract's columns a row has ``_row`` (the number of its source row), ``_unreadable`` and ``_rounded``:
    null, or the columns and raw texts of values that could not be read (they are null in the row) and of ids that were
    rounded, such as ``amount: 'abc'; ordered_at: '?'``. ``unreadable`` and ``rounded`` name the columns that occur there.
    ``place``: names the source in messages.
    """

    path: Path
    rows: int
    place: str
    unreadable: frozenset[str]
    rounded: frozenset[str]


@dataclass
class Tally:
    """What is seen while rows pass."""

    rows: int = 0
    unreadable: set[str] = field(default_factory=set)
    rounded: set[str] = field(default_factory=set)
    long: Counter[str] = field(default_factory=Counter)
    zeros: Counter[str] = field(default_factory=Counter)
    zero_digits: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """Count what was seen of other rows of the same table too."""
        self.rows += other.rows
        self.unreadable |= other.unreadable
        self.rounded |= other.rounded
        self.long.update(other.long)
        self.zeros.update(other.zeros)
        self.zero_digits.update(other.zero_digits)

    def rounded_by_spreadsheet(self) -> frozenset[str]:
        """Columns most of whose long numbers end in zeros after the 15th digit."""
        return frozenset(
            column
            for column, zeros in self.zeros.items()
            if 2 * zeros > self.long[column] and self.zero_digits[column] >= _CHANCE_DIGITS
        )


def map_table(dataset: Dataset, name: str) -> Mapped:
    """Open the source of a table and find the columns that the dataset file maps; without any, those of our own names.

    Raises:
        DatasetError: the source cannot be opened, lacks a column, a column is both mapped and constant, or a
            zone is unknown.
    """
    spec, table = TABLES[name], dataset.tables[name]
    if table.zone not in (None, *available_timezones()):
        raise DatasetError(f"unknown zone {table.zone!r} in [tables.{name}]; use a name such as 'Asia/Shanghai'")
    source = open_source(dataset, table)
    columns = dict(table.columns)
    if not columns and not table.unpivot:
        columns = {c.name: c.name for c in spec.columns if c.name in source.names and c.name not in table.constants}
    for column, theirs in (*columns.items(), *table.unpivot.items()):
        if theirs not in source.names:
            close = difflib.get_close_matches(theirs, source.names, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
            raise DatasetError(
                f"{name}.{column} is mapped to {theirs!r}, which {source.place} does not have; {hint}"
                f"its columns are {', '.join(source.names)}; correct [tables.{name}.columns]"
            )
    for column in set(columns) & set(table.constants):
        raise DatasetError(f"{name}.{column} is both a column and a constant; remove one of them from [tables.{name}]")
    return Mapped(spec, table, source, columns)


def land(dataset: Dataset, mapped: Mapped, folder: Path) -> Landed:
    """Stream the rows of a source into ``folder/<table>.parquet``; see ``Landed``.

    A column whose long ids turn out to be rounded for the most part is read a second time, to mark the rows.

    Raises:
        DatasetError: a column's type or a constant cannot be read as what it is mapped to.
    """
    path = folder / f"{mapped.spec.name}.parquet"
    tally = write_rows(dataset, mapped, path, frozenset(), mapped.source.batches)
    if rounded := tally.rounded_by_spreadsheet():
        tally = write_rows(dataset, mapped, path, rounded, mapped.source.batches)
    return landed_at(path, tally, mapped)


def landed_at(path: Path, tally: Tally, mapped: Mapped) -> Landed:
    """The rows in ``path``, of which ``tally`` tells."""
    return Landed(path, tally.rows, mapped.source.place, frozenset(tally.unreadable), frozenset(tally.rounded))


def write_rows(dataset: Dataset, mapped: Mapped, path: Path, rounded: frozenset[str], batches: Batches) -> Tally:
    """Write raw ``batches`` in the contract's types; rounded: columns of which long ids that end in zeros are marked."""
    tally = Tally()
    order = [column for column in mapped.spec.columns if column.name in mapped.given]
    schema = pa.schema(
        [(column.name, column.kind.dtype.to_pyarrow()) for column in order]
        + [(ROW, pa.int64()), (UNREADABLE, pa.string()), (ROUNDED, pa.string())]
    )
    converter = _Converter(dataset, mapped, tally, rounded)
    wanted = [*mapped.columns.values(), *mapped.table.unpivot.values()]
    with pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=False) as writer:
        for batch in batches(wanted):
            for columns in converter.tables(batch):
                rows = len(columns[ROW])
                arrays = [columns[f.name] if f.name in columns else pa.nulls(rows, f.type) for f in schema]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
                tally.rows += rows
    return tally


class _Converter:
    """Turns raw batches into the contract's columns."""

    def __init__(self, dataset: Dataset, mapped: Mapped, tally: Tally, rounded: frozenset[str]) -> None:
        self._mapped = mapped
        self._tally = tally
        self._rounded = rounded
        self._zone = mapped.table.zone or dataset.zone
        self._constants = {name: self._constant(name, value) for name, value in mapped.table.constants.items()}

    def tables(self, batch: pa.RecordBatch) -> Iterator[dict[str, pa.Array]]:
        """One set of columns, or one for each attribute of an unpivoted table with its non-empty values."""
        columns: dict[str, pa.Array] = {ROW: batch[ROW]}
        for name, theirs in self._mapped.columns.items():
            self._convert(name, batch[theirs], columns)
        for name, value in self._constants.items():
            columns[name] = pa.repeat(value, batch.num_rows)
        if not self._mapped.table.unpivot:
            yield columns
        for attribute, theirs in self._mapped.table.unpivot.items():
            value = as_text(batch[theirs])
            named = {**columns, _NAME: pa.repeat(attribute, batch.num_rows), _VALUE: value}
            filled = pc.is_valid(value)
            yield {name: array.filter(filled) for name, array in named.items()}

    def _convert(self, name: str, raw: pa.Array, columns: dict[str, pa.Array]) -> None:
        kind = self._mapped.spec[name].kind
        try:
            parsed = parse(raw, kind, zone=self._zone, money=self._mapped.table.money)
        except pa.ArrowException:
            raise DatasetError(
                f"{self._mapped.spec.name}.{name}: {self._mapped.columns[name]!r} in {self._mapped.source.place} is of type "
                f"{raw.type}, which is no {kind}; map another column"
            ) from None
        columns[name] = parsed.values
        if parsed.unreadable is not None:
            self._tally.unreadable.add(name)
            _note(columns, UNREADABLE, name, as_text(raw), parsed.unreadable)
        if kind in _IDS:
            self._mark_rounded(name, raw, columns)

    def _mark_rounded(self, name: str, raw: pa.Array, columns: dict[str, pa.Array]) -> None:
        ids = columns[name]
        marks = rounded_ids(raw, ids)
        long, zeros = ends_in_zeros(ids)
        self._tally.long[name] += long
        if zeros is not None:
            ending = ids.filter(zeros)
            self._tally.zeros[name] += len(ending)
            self._tally.zero_digits[name] += pc.sum(pc.subtract(pc.binary_length(ending), 15)).as_py()
            if name in self._rounded:
                marks = zeros if marks is None else pc.or_(marks, zeros)
        if marks is not None:
            self._tally.rounded.add(name)
            _note(columns, ROUNDED, name, ids, marks)

    def _constant(self, name: str, value: Any) -> pa.Scalar:
        place = f"{self._mapped.spec.name}.{name}: the constant {value!r}"
        try:
            kind = self._mapped.spec[name].kind
            parsed = parse(pa.array([value]), kind, zone=self._zone, money=self._mapped.table.money)
        except pa.ArrowException:
            raise DatasetError(f"{place} is no {kind}; correct [tables.{self._mapped.spec.name}.constants]") from None
        if parsed.unreadable is not None:
            raise DatasetError(f"{place} is no {kind}; correct [tables.{self._mapped.spec.name}.constants]")
        return parsed.values[0]


def _note(columns: dict[str, pa.Array], note: str, name: str, raw: pa.Array, marks: pa.Array) -> None:
    """Add ``name: 'raw'`` to the notes of the marked rows."""
    text = pc.if_else(marks, pc.binary_join_element_wise(f"{name}: '", raw, "'", ""), None)
    if note in columns:
        before = columns[note]
        text = pc.coalesce(pc.binary_join_element_wise(before, text, "; "), before, text)
    columns[note] = text
