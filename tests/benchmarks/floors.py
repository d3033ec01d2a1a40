"""The least that features can cost: what they read is read once, and grouped by user."""

from pathlib import Path

import ibis.expr.operations as ops
import ibis.expr.types as ir

from features.blocks.all import ALL_BLOCKS
from features.blocks.block import Block
from features.engine import DuckDB
from features.lookback import within_lookback
from features.schema import TABLES, Kind
from features.snapshot import Snapshot
from features.tie_parts import EVERYBODY
from features.tie_table import build_tie_table


def scan(folder: Path, engine: DuckDB) -> None:
    """Read every column of every source of a simulated market, and reduce it by user."""
    for file in sorted(folder.glob("*.parquet")):
        table = engine.read_parquet(file)
        spec = TABLES.get(file.stem)
        users = [column.name for column in spec.of_kind(Kind.USER) if column.name in table.columns] if spec else []
        _reduced(table, users[0] if users else table.columns[0], table.columns, engine)


def with_tie_table(snapshot: Snapshot) -> Snapshot:
    """What blocks read, of a prepared ``snapshot``."""
    lately = within_lookback(snapshot)
    return lately.with_tables(tie_table=lately.engine.materialise(build_tie_table(lately, EVERYBODY)))


def blocks_of(snapshot: Snapshot) -> list[Block]:
    return [block for block in ALL_BLOCKS if block.available(snapshot)]


def scan_of_each(snapshot: Snapshot, engine: DuckDB) -> None:
    """Of each block on its own, read the columns that its features are made of, and reduce them by user.

    What a block computes before it is an expression, such as ranks in the whole graph, has no floor here.
    """
    for block in blocks_of(snapshot):
        expression = block.build(snapshot).op()
        read: dict[ops.Node, set[str]] = {leaf: set() for leaf in expression.find(ops.PhysicalTable)}
        for field in expression.find(ops.Field):
            if field.rel in read:
                read[field.rel].add(field.name)
        for leaf, columns in read.items():
            table = leaf.to_expr()
            names = [column for column in columns if table[column].type().is_string()]
            _reduced(table, min(names, default=table.columns[0]), columns, engine)


def _reduced(table: ir.Table, key: str, columns: set[str] | tuple[str, ...], engine: DuckDB) -> None:
    """The largest of each column by key: counts, and what is not grouped, DuckDB tells from a file's footer unread."""
    largest = {f"most_{number}": table[column].max() for number, column in enumerate(columns)}
    engine.release(engine.materialise(table.group_by(key=table[key]).agg(**largest)))
