"""A user table in memory: ids and a float matrix, sorted by user."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.block import Scope
from features.engine import Engine
from features.user_table import UserTable

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Matrix:
    """Features of users at one date.

    ``users``: (N,) ids, ascending; ``x``: (N, F) float32, nan where unknown; ``columns``: (F,) names; ``scopes``:
    scope -> its columns.
    """

    users: npt.NDArray[np.object_]
    x: npt.NDArray[np.float32]
    columns: tuple[str, ...]
    scopes: Mapping[Scope, tuple[str, ...]]

    def select(self, columns: Sequence[str]) -> npt.NDArray[np.float32]:
        """(N, len(columns)) in the order asked for."""
        place = {column: index for index, column in enumerate(self.columns)}
        return self.x[:, [place[column] for column in columns]]

    def column(self, name: str) -> Floats:
        """(N,) of one feature."""
        return self.x[:, self.columns.index(name)].astype(np.float64)

    def __contains__(self, column: str) -> bool:
        return column in self.columns


def to_matrix(table: UserTable, engine: Engine) -> Matrix:
    """Read a user table into memory, sorted by user so that nothing depends on the order of rows."""
    rows = engine.to_arrow(table.table)
    rows = rows.take(pc.sort_indices(rows["user_id"]))
    columns = tuple(column for names in table.columns.values() for column in names)
    x = np.empty((len(rows), len(columns)), np.float32)
    for index, column in enumerate(columns):
        x[:, index] = rows[column].cast(pa.float32(), safe=False).to_numpy()
    return Matrix(_ids(rows["user_id"]), x, columns, table.columns)


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
