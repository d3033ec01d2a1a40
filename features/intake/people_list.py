"""Ids of people out of a list that somebody keeps in a file of their own, with the column that was taken and why."""

import difflib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.dataset import Dataset, Defect, Severity, TableSource
from features.errors import DatasetError, ValidationError
from features.intake.landing import ROUNDED, Mapped, land
from features.intake.parse import as_text
from features.intake.sources import ROW, Source, open_file
from features.intake.validate import EXAMPLES, Example, Finding
from features.schema import TABLES

USER = "user_id"
MOST = 0.5
"""Share of a column's ids that must be known users for it to be taken without being named."""


@dataclass(frozen=True)
class PeopleList:
    """``ids``: one for each filled row, in order. ``empty``: rows without one. ``because``: why ``column`` was taken."""

    ids: Sequence[str]
    empty: int
    column: str
    because: str


def open_list(path: Path, column: str | None = None) -> Source:
    """The list in a file; nothing but its header is read yet.

    Raises:
        DatasetError: there is no such file, it cannot be read, or it has no column ``column``.
    """
    if not path.exists():
        raise DatasetError(f"no list at {path}; name the file of the people with --list")
    source = open_file(path)
    if column is not None and column not in source.names:
        close = difflib.get_close_matches(column, source.names, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, close))}? " if close else ""
        raise DatasetError(f"{source.place} has no column {column!r}; {hint}its columns are {', '.join(source.names)}")
    return source


def read_list(dataset: Dataset, source: Source, known: pa.Array, column: str | None = None) -> PeopleList:
    """The ids in ``column`` of a list; without one, in ``user_id``, the only column, or the only one of known users mostly.

    known: ids (string) of users, all accounts of one person among them.

    Raises:
        DatasetError: no id is known, no column or several hold known users for the most part, or the file has no header.
        ValidationError: a spreadsheet has rounded the ids.
    """
    column, because = (column, "as asked for") if column else _guess(source, known)
    if pc.is_in(pa.scalar(column), value_set=known).as_py():
        raise DatasetError(f"the first row of {source.place} is the user {column!r}; give the file a header, such as {USER}")
    # Landed as any table is, so that ids are read and refused by the same rules.
    mapped = Mapped(TABLES["users"], TableSource(source=source.place), source, {USER: column})
    with tempfile.TemporaryDirectory(prefix="koc-list-") as folder:
        rows = pq.read_table(land(dataset, mapped, Path(folder)).path, columns=[USER, ROW, ROUNDED])
    _refuse_rounded(rows, source, column)
    ids = rows[USER].drop_null()
    if not pc.any(pc.is_in(ids, value_set=known)).as_py():
        such = f", such as {ids[0].as_py()!r}," if len(ids) else ""
        raise DatasetError(
            f"none of the {len(ids):,} ids in {column!r} of {source.place}{such} is a user known by the date; "
            f"name another --column of {', '.join(source.names)}, or another date"
        )
    return PeopleList(ids.to_pylist(), len(rows) - len(ids), column, because)


def _guess(source: Source, known: pa.Array) -> tuple[str, str]:
    if USER in source.names:
        return USER, "by its name"
    if len(source.names) == 1:
        return source.names[0], "the only one"
    # The first batch holds thousands of rows: enough to tell ids from other things.
    first = next(source.batches(source.names), None)
    shares = {name: _share_known(first[name], known) if first else 0.0 for name in source.names}
    best = max(shares, key=lambda name: shares[name])
    if shares[best] < MOST:
        raise DatasetError(
            f"no column of {source.place} holds known users for the most part (the nearest is {best!r} with "
            f"{shares[best]:.0%}); its columns are {', '.join(source.names)}; name one with --column"
        )
    # Who was invited and by whom are often both known: the wrong one of them would be judged without a word.
    if len(others := [name for name, share in shares.items() if share >= MOST]) > 1:
        told = " and ".join(f"{name!r} ({shares[name]:.0%})" for name in others)
        raise DatasetError(f"several columns of {source.place} hold known users: {told}; name the one meant with --column")
    return best, f"{shares[best]:.0%} of its ids are known users"


def _share_known(raw: pa.Array, known: pa.Array) -> float:
    try:
        ids = as_text(raw).drop_null().unique()
    except pa.ArrowException:  # a column of lists or the like holds no ids
        return 0.0
    return float(pc.mean(pc.is_in(ids, value_set=known)).as_py()) if len(ids) else 0.0


def _refuse_rounded(rows: pa.Table, source: Source, column: str) -> None:
    bad = rows.filter(pc.is_valid(rows[ROUNDED]))
    if len(bad):
        first = [Example(row[ROW], row[USER]) for row in bad.slice(0, EXAMPLES).to_pylist()]
        found = Finding(source.place, column, Defect.ROUNDED_ID, Severity.ERROR, len(bad), tuple(first))
        raise ValidationError(
            f"{source.place}: {found.words} in {found.rows:,} row{'s' if found.rows > 1 else ''} of {column!r}, such as "
            f"{found.shown}; {found.remedy}"
        )
