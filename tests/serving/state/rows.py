"""Rows for every table of the operations database, with values that are easily spoilt on the way."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from serving.state.database import Database
from serving.state.tables import Moment, metadata

AT = datetime(2024, 5, 31, 23, 59, 59, 123456, tzinfo=UTC)


def fill(database: Database, rows: int = 2) -> int:
    """Put so many rows into each table; returns how many that are in all. Every second one leaves out what it may."""
    with database.write() as connection:
        for table in metadata.sorted_tables:
            for number in range(rows):
                values = {
                    column.name: _value(column, number)
                    for column in table.columns
                    if not (column.nullable and number % 2) and column.autoincrement is not True
                }
                connection.execute(table.insert().values(**values))
    return rows * len(metadata.tables)


def content(database: Database) -> dict[str, list[Any]]:
    """Every row of every table."""
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }


VALUES: tuple[tuple[type[Any], Callable[[int], Any]], ...] = (
    (Moment, lambda _: AT),
    (sa.LargeBinary, lambda number: b"\x00\xff\n" + bytes([number])),
    (sa.JSON, lambda _: {"城市": ["Hangzhou", None], "n": [1, 0.1, True]}),
    (sa.Boolean, lambda number: bool(number % 2)),
    (sa.Float, lambda number: 0.1 + number),
    (sa.BigInteger, lambda number: 2**53 + 1 + number),
    (sa.Integer, lambda number: number),
)


def _value(column: sa.Column[Any], number: int) -> Any:
    if column.foreign_keys or column.primary_key:
        return number if isinstance(column.type, sa.Integer) else f"id {number}"
    of = (make(number) for kind, make in VALUES if isinstance(column.type, kind))
    return next(of, f"{column.name} 杭州 '{number}'\n")
