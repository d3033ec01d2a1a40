"""Lists as files to work with elsewhere: CSV that Excel opens, Parquet and Excel, with places to fill in what happened."""

import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from serving.access.principal import Principal, Scope
from serving.lists.lists import CandidateList
from serving.lists.pages import Pages, Part
from serving.lists.states import IN_CHINESE, State
from serving.lists.words import suggested

AT_ONCE = 5_000
BOM = b"\xef\xbb\xbf"
"""Tells Excel that a CSV file is UTF-8."""

DANGEROUS = r"^\s*[=+\-@]|^[\t\r\n]"
"""Beginnings of texts that a spreadsheet takes for a formula."""

_CONTROL = r"[\x00-\x08\x0b\x0c\x0e-\x1f]"
"""What a cell of Excel cannot hold."""

_CHUNK = 2**16


class Form(StrEnum):
    """Kinds of files."""

    CSV = "csv"
    PARQUET = "parquet"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        return {
            Form.CSV: "text/csv; charset=utf-8",
            Form.PARQUET: "application/vnd.apache.parquet",
            Form.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        }[self]


@dataclass(frozen=True)
class Export:
    """``name`` of the file, ``rows``: people in it, ``taken_out``: cause -> people of the list who are not in it."""

    name: str
    form: Form
    rows: int
    taken_out: Mapping[str, int]
    chunks: Iterator[bytes]


class Exports:
    """Writes the lists of one operations database."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.lists = pages.lists

    def export(
        self,
        principal: Principal,
        list_id: str,
        form: Form,
        *,
        part: Part = Part.CONTACT,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> Export:
        """A file of the people to contact, as they may be contacted now; the holdout is in it only if asked for.

        It has ``list_id``, ``rank``, ``user_id``, the state columns, external ids for keys that may see them (one column a
        kind), suggested words, and the columns of the list. The audit log knows of it before the first byte is out.

        Raises:
            NotFoundError: there is no such list.
        """
        record = self.lists.get(principal, list_id)
        kinds = self._kinds(principal, record)
        now = now or datetime.now(UTC)
        rows, taken_out = self.pages.counts(principal, record, part=part, now=now)
        self.lists.audit.write(
            principal,
            "list.export",
            list_id,
            model_version=record.model_version,
            criteria={"form": form, "part": part, "external_ids": list(kinds)},
            rows=rows,
            request_id=request_id,
            now=now,
        )
        tables = self._tables(principal, record, part, kinds, now)
        return Export(f"{list_id}.{form}", form, rows, taken_out, WRITERS[form](tables))

    def _kinds(self, principal: Principal, record: CandidateList) -> tuple[str, ...]:
        """Kinds of external ids that people of the list have; none for keys that may not see them."""
        if not principal.may(Scope.IDENTIFY):
            return ()
        known = self.pages.external_ids(self.lists.payload(record).user_ids.to_pylist())
        return tuple(sorted({kind for kinds in known.values() for kind in kinds}))

    def _tables(
        self, principal: Principal, record: CandidateList, part: Part, kinds: Sequence[str], now: datetime
    ) -> Iterator[pa.Table]:
        """Tables of one schema, at least one."""
        empty = True
        for piece in self.pages.walk(principal, record, part=part, at_once=AT_ONCE, now=now):
            empty = False
            yield self._table(record, piece.rows, kinds)
        if empty:
            none = self.lists.payload(record).table().slice(0, 0)
            for name in ("state", "state_reason", "staff"):
                none = none.append_column(name, pa.array([], pa.string()))
            yield self._table(record, none, kinds)

    def _table(self, record: CandidateList, rows: pa.Table, kinds: Sequence[str]) -> pa.Table:
        users = rows["user_id"].to_pylist()
        known = self.pages.external_ids(users) if kinds else {}
        said = [IN_CHINESE[State(state)] for state in rows["state"].to_pylist()]
        first: dict[str, Any] = {
            "list_id": pa.array([record.list_id] * len(rows), pa.string()),
            "rank": rows["rank"],
            "user_id": rows["user_id"],
            **{
                f"external_id_{kind}": pa.array(
                    ["; ".join(known.get(user, {}).get(kind, [])) for user in users], pa.string()
                )
                for kind in kinds
            },
            "state": rows["state"],
            "state_zh": pa.array(said, pa.string()),
            "state_reason": rows["state_reason"],
            "staff": rows["staff"],
            "words_zh": pa.array([suggested(row) for row in rows.to_pylist()], pa.string()),
        }
        return pa.table({**first, **{name: rows[name] for name in rows.column_names if name not in first}})


def harmless(table: pa.Table) -> pa.Table:
    """``table`` with an apostrophe before every text, and name of a column, that a spreadsheet would take for a formula."""
    for place, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            dangerous = pc.match_substring_regex(table[field.name], DANGEROUS)
            guarded = pc.binary_join_element_wise(pa.scalar("'"), table[field.name], "")
            table = table.set_column(place, field.name, pc.if_else(dangerous, guarded, table[field.name]))
    return table.rename_columns([f"'{name}" if re.match(DANGEROUS, name) else name for name in table.column_names])


def _csv(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    yield BOM
    for place, table in enumerate(tables):
        sink = pa.BufferOutputStream()
        pyarrow.csv.write_csv(harmless(table), sink, pyarrow.csv.WriteOptions(include_header=place == 0))
        yield sink.getvalue().to_pybytes()


def _parquet(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    with tempfile.TemporaryFile() as file:
        writer = None
        for table in tables:
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table)
        if writer is not None:
            writer.close()
        yield from _read(file)


def _xlsx(tables: Iterator[pa.Table]) -> Iterator[bytes]:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("list")
    for place, table in enumerate(tables):
        cells = harmless(table)
        if not place:
            sheet.append(cells.column_names)
        texts = {name for name, kind in zip(cells.column_names, cells.schema.types, strict=True) if pa.types.is_string(kind)}
        for row in cells.to_pylist():
            sheet.append([re.sub(_CONTROL, "", value) if name in texts and value else value for name, value in row.items()])
    with tempfile.TemporaryFile() as file:
        book.save(file)
        yield from _read(file)


def _read(file: Any) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


WRITERS: dict[Form, Callable[[Iterator[pa.Table]], Iterator[bytes]]] = {
    Form.CSV: _csv,
    Form.PARQUET: _parquet,
    Form.XLSX: _xlsx,
}
