from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest

from features.blocks.block import Scope
from features.engine import DuckDB
from features.user_table import UserTable
from training.matrix import Matrix, among, places_of, to_matrix, values_of


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def matrix(engine: DuckDB) -> Matrix:
    table = pa.table({"user_id": ["b", "c", "a"], "acts": [2, 3, 1], "gap": [None, 0.5, 0.25], "near": [20, 30, 10]})
    return matrix_of(user_table(engine, table, {"own": ("acts", "gap"), "graph": ("near",)}), engine)


def user_table(engine: DuckDB, rows: pa.Table, columns: Mapping[Scope, tuple[str, ...]]) -> UserTable:
    table, nobody = engine.from_arrow(rows), engine.from_arrow(pa.table({"user_id": pa.array([], pa.string())}))
    parts = (table.select("user_id", *names) for names in columns.values() if names)
    return UserTable(table.select("user_id"), parts, columns, frozenset(), nobody, ())


def matrix_of(table: UserTable, engine: DuckDB) -> Matrix:
    return to_matrix(table, engine, *places_of(table, engine))


def test_rows_are_sorted_by_user_and_nulls_are_nan(matrix: Matrix) -> None:
    assert matrix.users.tolist() == ["a", "b", "c"]
    assert matrix.columns == ("acts", "gap", "near")
    np.testing.assert_array_equal(matrix.x, np.array([[1, 0.25, 10], [2, np.nan, 20], [3, 0.5, 30]], np.float32))


def test_users_whom_a_part_does_not_list_have_counts_of_0_and_people_who_are_no_users_no_row(engine: DuckDB) -> None:
    users = engine.from_arrow(pa.table({"user_id": ["b", "a"]}))
    acts = engine.from_arrow(pa.table({"user_id": ["b", "z"], "acts": [3, 9], "gap": [0.5, 0.25]}))
    near = engine.from_arrow(pa.table({"user_id": ["a"], "near": [7]}))
    columns: Mapping[Scope, tuple[str, ...]] = {"own": ("acts", "gap"), "graph": ("near",)}
    found = matrix_of(UserTable(users, iter((acts, near)), columns, frozenset({"acts", "near"}), users, ()), engine)
    assert found.users.tolist() == ["a", "b"]
    np.testing.assert_array_equal(found.x, np.array([[0, np.nan, 7], [3, 0.5, 0]], np.float32))


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
    empty = matrix_of(user_table(engine, table, {"own": ("acts",), "graph": ()}), engine)
    assert (len(empty.users), empty.x.shape) == (0, (0, 1))
