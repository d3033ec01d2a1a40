"""Features of users as a float matrix, sorted by user, and their ids."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.block import Scope
from features.engine import Engine
from features.user_table import UserTable
from training.roomy import let_go, roomy

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]
CELLS_AT_ONCE = 30_000_000


@dataclass(frozen=True)
class Matrix:
    """Features of users at one date.

    ``users``: (N,) ids, ascending; ``x``: (N, F) float32, nan where unknown, `roomy` with one column after the other, read
    by the methods; ``columns``: (F,) names; ``scopes``: scope -> its columns.
    """

    users: npt.NDArray[np.object_]
    x: npt.NDArray[np.float32]
    columns: tuple[str, ...]
    scopes: Mapping[Scope, tuple[str, ...]]

    def select(
        self, columns: Sequence[str], rows: npt.NDArray[np.bool_] | Places | slice = slice(None)
    ) -> npt.NDArray[np.float32]:
        """(n, len(columns)) in the order asked for; rows: some of the users, as a mask in their order."""
        place = {column: index for index, column in enumerate(self.columns)}
        some = np.flatnonzero(rows) if isinstance(rows, np.ndarray) and rows.dtype == bool else rows
        read = np.empty((len(self.users[some]), len(columns)), np.float32)
        for index, column in enumerate(columns):
            read[:, index] = self.x[some, place[column]]
            # Of a few rows anywhere the system brings what lies around each: of all columns that would be the whole file.
            let_go(self.x)
        return read

    def parts(
        self, columns: Sequence[str], only: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Rows and what `select` gives of them, so many at a time that they fit into memory where all would not.

        only: (N,) users to be told of alone; rows are then places among these.
        """
        asked = None if only is None else np.flatnonzero(only)
        step = max(1, CELLS_AT_ONCE // max(1, len(columns)))
        for start in range(0, len(self.users) if asked is None else len(asked), step):
            rows = slice(start, start + step)
            yield rows, self.select(columns, rows if asked is None else asked[rows])

    def column(self, name: str) -> Floats:
        """(N,) of one feature."""
        values = self.x[:, self.columns.index(name)].astype(np.float64)
        let_go(self.x)
        return values

    def __contains__(self, column: str) -> bool:
        return column in self.columns


def places_of(table: UserTable, engine: Engine) -> tuple[npt.NDArray[np.object_], ir.Table]:
    """The users of a table, (N,) ids ascending, and (user_id, place) of them in the engine, held until it is released."""
    users = engine.to_arrow(table.users.select("user_id").order_by("user_id"))
    return _ids(users["user_id"]), engine.from_arrow(users.append_column("place", pa.array(np.arange(len(users)))))


def to_matrix(table: UserTable, engine: Engine, users: npt.NDArray[np.object_], places: ir.Table) -> Matrix:
    """Read all parts of a user table, each as it is computed; users, places: see `places_of`.

    Raises:
        ValueError: the parts are read already, so that columns would hold whatever lay in memory.
    """
    columns = tuple(column for names in table.columns.values() for column in names)
    x = roomy((len(columns), len(users))).T
    missing = set(columns)
    for part in table.parts:
        told = [column for column in part.columns if column != "user_id"]
        at = [columns.index(column) for column in told]
        for column, index in zip(told, at, strict=True):
            x[:, index] = 0 if column in table.counts else np.nan
        floats = {column: part[column].cast("float32") for column in told}
        with closing(engine.stream(part.join(places, "user_id").select("place", **floats))) as batches:
            for rows in batches:
                place = rows["place"].to_numpy()
                for column, index in zip(told, at, strict=True):
                    x[place, index] = rows[column].to_numpy(zero_copy_only=False)
        let_go(x)
        missing.difference_update(told)
    if missing:
        raise ValueError(
            f"no part of the user table told {min(missing)} (of {len(missing)}); it can be read once: build it again"
        )
    return Matrix(users, x, columns, table.columns)


def values_of(table: ir.Table, engine: Engine, users: npt.NDArray[np.object_], columns: Sequence[str]) -> dict[str, Floats]:
    """column -> (N,) for ``users``, 0 for those whom ``table`` does not list."""
    rows = engine.to_arrow(table.select("user_id", *columns))
    place = pc.index_in(pa.array(users, pa.string()), value_set=rows["user_id"].combine_chunks())
    return {column: _looked_up(rows[column], place) for column in columns}


def among(users: npt.NDArray[np.object_], table: ir.Table, engine: Engine) -> npt.NDArray[np.bool_]:
    """(N,) whether ``table`` lists the user."""
    listed = engine.to_arrow(table.select("user_id"))["user_id"].combine_chunks()
    found: npt.NDArray[np.bool_] = pc.is_in(pa.array(users, pa.string()), value_set=listed).to_numpy(zero_copy_only=False)
    return found


def _looked_up(values: pa.ChunkedArray, place: pa.Array) -> Floats:
    found = pc.take(values.cast(pa.float64()), place)
    looked_up: Floats = pc.fill_null(found, 0.0).to_numpy()
    return looked_up


def _ids(column: pa.ChunkedArray) -> npt.NDArray[np.object_]:
    ids: npt.NDArray[np.object_] = column.to_numpy().astype(object)
    return ids
