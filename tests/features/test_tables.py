"""Tables of one dataset, with what their sources give."""

from datetime import datetime

import ibis
import pyarrow as pa
import pytest

from features.engine import DuckDB
from features.schema import TABLES
from features.tables import complete
from tests.worlds import day, rows_of, world


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.mark.parametrize("name", TABLES)
def test_completed_tables_have_the_columns_of_their_spec_in_order_and_type(name: str) -> None:
    spec = TABLES[name]
    given = ibis.table({column.name: column.kind.dtype for column in reversed(spec.columns) if column.required}, name=name)
    full = complete(given, spec)
    assert dict(full.schema().items()) == {column.name: column.kind.dtype for column in spec.columns}
    assert list(full.columns) == list(spec.by_name)


def test_absent_columns_are_null_and_present_ones_keep_their_values(engine: DuckDB) -> None:
    table = engine.from_arrow(
        pa.table(
            {"user_id": ["a"], "ordered_at": pa.array([day(1)], pa.timestamp("ms")), "amount": pa.array([5], pa.int32())}
        )
    )
    full = complete(table, TABLES["orders"])
    assert dict(full.schema().items()) == {column.name: column.kind.dtype for column in TABLES["orders"].columns}
    row = engine.to_arrow(full).to_pylist()[0]
    assert {name: value for name, value in row.items() if value is not None} == {
        "user_id": "a",
        "ordered_at": datetime(2024, 1, 2),
        "amount": 5,
    }


def test_a_column_beyond_the_contract_is_left_out(engine: DuckDB) -> None:
    table = engine.from_arrow(pa.table({"item_id": ["x"], "colour": ["red"]}))
    assert "colour" not in complete(table, TABLES["items"]).columns


def test_has_tells_what_the_source_gives(engine: DuckDB) -> None:
    tables = world(engine=engine, orders=[{"user_id": "a", "ordered_at": day(1), "amount": None}])
    assert tables.has("orders")
    assert tables.has("orders", "amount", "user_id")  # given, though null
    assert not tables.has("orders", "amount", "item_id")
    assert not tables.has("items")
    assert "item_id" in rows_of(tables, tables.tables["orders"]).columns  # null, since it is not given
