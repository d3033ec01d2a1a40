from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from features.blocks.block import Scope
from features.engine import DuckDB
from features.user_table import UserTable
from training.matrix import Matrix, among, to_matrix, values_of


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def matrix(engine: DuckDB) -> Matrix:
    table = pa.table({"user_id": ["b", "c", "a"], "acts": [2, 3, 1], "gap": [None, 0.5, 0.25], "near": [20, 30, 10]})
    return to_matrix(user_table(engine, table, {"own": ("acts", "gap"), "graph": ("near",)}), engine)


def user_table(engine: DuckDB, rows: pa.Table, columns: Mapping[Scope, tuple[str, ...]]) -> UserTable:
    nobody = engine.from_arrow(pa.table({"user_id": pa.array([], pa.string())}))
    return UserTable(engine.from_arrow(rows), columns, nobody, ())


def test_rows_are_sorted_by_user_and_nulls_are_nan(matrix: Matrix) -> None:
    assert matrix.users.tolist() == ["a", "b", "c"]
    assert matrix.columns == ("acts", "gap", "near")
    np.testing.assert_array_equal(matrix.x, np.array([[1, 0.25, 10], [2, np.nan, 20], [3, 0.5, 30]], np.float32))


def test_columns_come_in_the_order_asked_for(matrix: Matrix) -> None:
    np.testing.assert_array_equal(matrix.select(["near", "acts"]), np.array([[10, 1], [20, 2], [30, 3]], np.float32))
    np.testing.assert_array_equal(matrix.column("acts"), [1.0, 2.0, 3.0])
    assert "gap" in matrix
    assert "user_id" not in matrix


def test_values_of_users_whom_a_table_does_not_list_are_0(engine: DuckDB) -> None:
    table = engine.from_arrow(pa.table({"user_id": ["c", "z", "a"], "moved": [3, 9, 1], "value": [30, 90, 10]}))
    found = values_of(table, engine, np.array(["a", "b", "c"], object), ("moved", "value"))
    assert {name: values.tolist() for name, values in found.items()} == {"moved": [1, 0, 3], "value": [10, 0, 30]}


def test_nobody_is_among_nobody(engine: DuckDB) -> None:
    users = np.array(["a", "b"], object)
    nobody = engine.from_arrow(pa.table({"user_id": pa.array([], pa.string()), "moved": pa.array([], pa.int64())}))
    assert among(users, nobody, engine).tolist() == [False, False]
    assert values_of(nobody, engine, users, ("moved",))["moved"].tolist() == [0, 0]
    some = engine.from_arrow(pa.table({"user_id": ["b", "b", "z"]}))
    assert among(users, some, engine).tolist() == [False, True]


def test_a_table_without_users_gives_a_matrix_without_rows(engine: DuckDB) -> None:
    table = pa.table({"user_id": pa.array([], pa.string()), "acts": pa.array([], pa.int64())})
    empty = to_matrix(user_table(engine, table, {"own": ("acts",), "graph": ()}), engine)
    assert (len(empty.users), empty.x.shape) == (0, (0, 1))
