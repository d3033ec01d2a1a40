"""Where expressions run: the one adapter that knows DuckDB."""

from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import duckdb
import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.errors import EngineError
from features.scratch import scratch_folder

ROWS_AT_ONCE = 500_000

TABLES_IN = "ATTACH '{file}' AS tables (RECOVERY_MODE NO_WAL_WRITES); USE tables"
"""Where DuckDB keeps its tables, which ibis has no words for; with a log the space of dropped ones is not used again."""

RESTING = "512MB"
"""Memory of an engine while others need it."""


class Engine(Protocol):
    """What the rest asks of an engine; tables of one engine can be joined with each other only."""

    def read_parquet(self, path: Path) -> ir.Table:
        """A lazy table over a Parquet file or folder."""
        ...

    def from_arrow(self, table: pa.Table) -> ir.Table:
        """A table of the engine with the rows of ``table``."""
        ...

    def materialise(self, *parts: ir.Table, in_order: bool = False) -> ir.Table:
        """Compute once, so that several later expressions read the result: the rows of one part after those of another.

        in_order: join in the order that the expressions were written in, where whoever wrote them knows better than an
        estimate which order keeps the rows few.
        """
        ...

    def release(self, *tables: ir.Table) -> None:
        """Give back what ``materialise`` holds; the tables, and what is built on them, cannot be read any more."""
        ...

    def resting(self) -> AbstractContextManager[None]:
        """A block in which others need the memory: what ``materialise`` holds waits on disk, where it does not fit."""
        ...

    def to_arrow(self, expression: ir.Expr) -> pa.Table:
        """Rows in memory, in no particular order."""
        ...

    def stream(self, expression: ir.Table) -> Generator[pa.RecordBatch, None, None]:
        """Rows in the order of the expression, at most ``ROWS_AT_ONCE`` at a time; nothing else may be asked of the engine
        before the last of them, or before it is closed."""
        ...

    def write_parquet(self, expression: ir.Table, path: Path) -> None:
        """Stream the rows of an expression into one Parquet file."""
        ...


def rows_in(table: ir.Table, engine: Engine) -> int:
    """How many rows a table has."""
    count: int = engine.to_arrow(table.aggregate(rows=table.count()))["rows"][0].as_py()
    return count


class DuckDB:
    """The embedded default. Its tables lie in a file of the folder for temporary files, of which it keeps in memory what
    fits into ``memory_limit`` (such as ``"6GB"``); what it works on spills there too."""

    def __init__(self, *, memory_limit: str | None = None, threads: int | None = None) -> None:
        self._folder = scratch_folder(self)
        settings: Mapping[str, object] = {
            "temp_directory": str(self._folder),
            "preserve_insertion_order": False,
            # Gives what queries no longer need back to the system while other work goes on beside the engine.
            "allocator_background_threads": True,
            **({"memory_limit": memory_limit} if memory_limit else {}),
            **({"threads": threads} if threads else {}),
        }
        self._connection = ibis.duckdb.connect(**settings)
        # Tables beyond the memory are read from a file and forgotten. In a database in memory each block that is read again
        # is also written again, which made a scan of 10 M users' purchases many times as long.
        file = str(self._folder / "tables.duckdb").replace("'", "''")
        self._connection.raw_sql(TABLES_IN.format(file=file))
        self._memory = memory_limit or self._value("current_setting", "memory_limit")

    def read_parquet(self, path: Path) -> ir.Table:
        pattern = path / "*.parquet" if path.is_dir() else path
        return self._connection.read_parquet(str(pattern), table_name=ibis.util.gen_name("parquet"))

    def from_arrow(self, table: pa.Table) -> ir.Table:
        return self._connection.create_table(ibis.util.gen_name("arrow"), table)

    def materialise(self, *parts: ir.Table, in_order: bool = False) -> ir.Table:
        first, *others = parts
        self._connection.settings["disabled_optimizers"] = "join_order" if in_order else ""
        try:
            with self._enough_memory():
                table = self._connection.create_table(ibis.util.gen_name("step"), first)
                for part in others:
                    self._connection.insert(table.op().name, part)
        finally:
            self._connection.settings["disabled_optimizers"] = ""
        return table

    def release(self, *tables: ir.Table) -> None:
        for table in tables:
            self._connection.drop_table(table.op().name)

    @contextmanager
    def resting(self) -> Iterator[None]:
        now = self._value("current_setting", "memory_limit")
        if self._value("parse_formatted_bytes", now) > self._value("parse_formatted_bytes", RESTING):
            self._connection.settings["memory_limit"] = RESTING
        try:
            yield
        finally:
            self._connection.settings["memory_limit"] = self._memory

    def _value(self, function: str, argument: str) -> Any:
        """What a function of DuckDB says, asked on a connection of its own, since the other may be in the middle of rows."""
        with self._connection.con.cursor() as connection:
            asked = duckdb.FunctionExpression(function, duckdb.ConstantExpression(argument))
            return connection.values(asked).fetchall()[0][0]

    def to_arrow(self, expression: ir.Expr) -> pa.Table:
        with self._enough_memory():
            return self._connection.to_pyarrow(expression)

    def stream(self, expression: ir.Table) -> Generator[pa.RecordBatch, None, None]:
        connection = self._connection
        # Otherwise several threads give out even sorted rows as they come.
        connection.settings["preserve_insertion_order"] = True
        try:
            # ibis 12 streams through a method that DuckDB 2 no longer has.
            with self._enough_memory():
                yield from connection.con.sql(connection.compile(expression)).to_arrow_reader(ROWS_AT_ONCE)
        finally:
            connection.settings["preserve_insertion_order"] = False

    def write_parquet(self, expression: ir.Table, path: Path) -> None:
        with self._enough_memory():
            self._connection.to_parquet(expression, path)

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        """
        Raises:
            EngineError: what is done inside fits neither the memory nor the disk.
        """
        try:
            yield
        except (duckdb.OutOfMemoryException, OSError) as error:
            said, *_ = str(error).splitlines() or [""]
            # What a query meets while its rows are streamed comes through Arrow, which has no error of its own for it.
            if isinstance(error, OSError) and not said.startswith("Out of Memory Error"):
                raise
            raise EngineError(
                f"DuckDB needs more than its {self._memory} of memory, or more disk than {self._folder} has: {said}; "
                "give it more with --memory, or set TMPDIR to a folder with more room"
            ) from error
