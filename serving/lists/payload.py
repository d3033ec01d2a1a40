"""What a list holds for ever: its rows as Parquet bytes with a checksum, and cursors that point into them."""

import base64
import binascii
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ListError, StateError
from serving.lists.selection import Rows, Scores
from serving.store.batch import Batch

GROUP_ROWS = 2_000
"""Rows of a row group: a page reads one or two of them."""

OWN = ("rank", "arm", "list_score")
HANDED = {"next_item": "item_id", "next_item_because": "because", "next_item_because_zh": "because_zh"}
"""Our column -> that of the batch's next items."""


def make(batch: Batch, chosen: Rows, arms: Sequence[str], score: Scores) -> pa.Table:
    """The rows of a list, best first.

    rank                     int64    from 1
    arm                      string   contact or holdout
    list_score               float64  what the objective says; see `serving.lists.objectives`
    all columns of the batch          as they were
    next_item                string   what to hand the person next, null where nothing is known
    next_item_because(_zh)   string   why, in English and in Chinese
    """
    users = batch.table(chosen)
    for place, field in enumerate(users.schema):
        if pa.types.is_dictionary(field.type):
            users = users.set_column(place, field.name, users[field.name].cast(field.type.value_type))
    own = (pa.array(range(1, len(chosen) + 1), pa.int64()), pa.array(arms, pa.string()), pa.array(score[chosen]))
    items = batch.evidence().next_items
    best = items.filter(pc.equal(items["place"], 1)).combine_chunks()
    place = pc.index_in(users["user_id"].combine_chunks(), value_set=best["user_id"].combine_chunks())
    handed = {name: pc.take(best[column], place) for name, column in HANDED.items()}
    columns = {name: users[name] for name in users.column_names if name not in (*OWN, *HANDED)}
    return pa.table({**dict(zip(OWN, own, strict=True)), **columns, **handed})


def encoded(rows: pa.Table) -> bytes:
    """``rows`` as Parquet."""
    sink = io.BytesIO()
    pq.write_table(rows, sink, compression="zstd", row_group_size=GROUP_ROWS)
    return sink.getvalue()


def checksum(content: bytes) -> str:
    """SHA-256, hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@dataclass(frozen=True)
class Payload:
    """The rows of one list, read in parts."""

    list_id: str
    content: bytes

    def require(self, expected: str) -> "Payload":
        """Itself.

        Raises:
            StateError: the bytes are not those that were stored.
        """
        if checksum(self.content) != expected:
            raise StateError(f"list {self.list_id} does not match its checksum; restore the operations database")
        return self

    @cached_property
    def _file(self) -> pq.ParquetFile:
        return pq.ParquetFile(pa.BufferReader(self.content))

    @property
    def columns(self) -> list[str]:
        return list(self._file.schema_arrow.names)

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    @cached_property
    def user_ids(self) -> pa.Array:
        """(rows,) by rank."""
        return self.table(["user_id"])["user_id"].combine_chunks()

    @cached_property
    def arms(self) -> pa.Array:
        """(rows,) by rank."""
        return self.table(["arm"])["arm"].combine_chunks()

    def table(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows by rank."""
        # A file of its own for each reader: one that is shared keeps its place and is not safe across threads.
        return pq.ParquetFile(pa.BufferReader(self.content)).read(columns=list(columns) if columns is not None else None)

    def rows(self, places: Rows) -> pa.Table:
        """The rows at ``places`` (rank - 1, ascending)."""
        groups = np.unique(places // GROUP_ROWS)
        read = pq.ParquetFile(pa.BufferReader(self.content)).read_row_groups(groups.tolist())
        return read.take(pa.array(np.searchsorted(groups, places // GROUP_ROWS) * GROUP_ROWS + places % GROUP_ROWS))


def cursor(list_id: str, rank: int) -> str:
    """An opaque text for the place after ``rank``."""
    return base64.urlsafe_b64encode(f"{list_id} {rank}".encode()).decode().rstrip("=")


def rank_of(text: str, list_id: str) -> int:
    """The rank that a cursor of this list stands after.

    Raises:
        ListError: it is no cursor, or one of another list.
    """
    try:
        told, rank = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True).decode().rsplit(" ", 1)
        place = int(rank) if rank.isascii() and rank.isdigit() else -1
    except (ValueError, binascii.Error):
        told, place = "", -1
    if told != list_id or not 0 <= place < 2**62:
        raise ListError(f"{text!r} is not a cursor of list {list_id}; pass the next_cursor of its last page, or none")
    return place
