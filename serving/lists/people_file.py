"""Ids of people to leave out, from a file that somebody keeps of their own."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from features.dataset import Dataset
from features.errors import ListError
from features.intake.people_list import PeopleList, open_list, read_list
from serving.store.batch import Batch

SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".xlsx", ".parquet", ".pq")
"""Of files that can be read."""


def excluded_in(path: Path, batch: Batch, column: str | None = None) -> PeopleList:
    """The ids in a file, and which column they stand in; text files may be a bare column of ids without a header.

    Raises:
        ListError: it is no kind of file that can be read.
        DatasetError: none of its ids is in the batch, or no column holds ids for the most part.
        ValidationError: a spreadsheet has rounded the ids.
    """
    require_table(path)
    known = batch.table(columns=["user_id"])["user_id"].combine_chunks()
    if column is None and (bare := _bare(path, known)) is not None:
        return bare
    return read_list(_LIST, open_list(path, column), known, column)


def require_table(path: Path) -> None:
    """Raises:
    ListError: the ending of the file's name is none that can be read.
    """
    if not path.name.lower().endswith(SUFFIXES):
        raise ListError(f"{path.name} is none of {', '.join(SUFFIXES)}; save it as one of these")


def _bare(path: Path, known: pa.Array) -> PeopleList | None:
    """The ids of a text file with one a line and none above them; None if it is another kind of file."""
    if path.suffix.lower() != ".txt":
        return None
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return None
    ids = [line.strip() for line in lines]
    # Otherwise the first line is a header, or somebody whom nobody knows, which is as good as none.
    if not ids or not pc.is_in(pa.scalar(ids[0]), value_set=known).as_py():
        return None
    return PeopleList([one for one in ids if one], ids.count(""), "user_id", "the only one")


_LIST = Dataset.model_validate(
    {"name": "list", "root": Path(), "tables": {name: {"source": "list"} for name in ("users", "orders")}}
)
"""How a list is read: as a table of users. (A dataset has orders too.)"""
