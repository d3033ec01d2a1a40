"""Validated tables of one dataset, before any cut in time: what snapshots are taken from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.dataset import Dataset
from features.engine import Engine
from features.schema import TableSpec


@dataclass(frozen=True)
class Tables:
    """Every table of the contract that the dataset maps, with every column of its spec.

    ``tables``: name -> lazy table; a column that the source does not give is null, of its type.
    ``given``: name -> the columns that the source (or a constant) does give.
    ``observed_until``: events before this moment are complete; labels must end by then.
    """

    dataset: Dataset
    engine: Engine
    tables: Mapping[str, ir.Table]
    given: Mapping[str, frozenset[str]]
    observed_until: datetime

    def has(self, table: str, *columns: str) -> bool:
        """Whether the dataset maps ``table`` and all of ``columns``."""
        return table in self.given and self.given[table].issuperset(columns)


def complete(table: ir.Table, spec: TableSpec) -> ir.Table:
    """``table`` with exactly the columns of ``spec``, in its order and types; absent ones are null."""
    return table.select(
        **{
            column.name: table[column.name].cast(column.kind.dtype)
            if column.name in table.columns
            else ibis.null(column.kind.dtype)
            for column in spec.columns
        }
    )
