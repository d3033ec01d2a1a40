"""Where expressions run when data outgrows one machine: the one adapter that knows Spark."""

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot.expressions as sge
from ibis.backends.sql.compilers.pyspark import PySparkCompiler

from features.engine import ROWS_AT_ONCE
from features.errors import EngineError
from features.scratch import scratch_folder

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

JAVA = "17"

SETTINGS: Mapping[str, str] = {
    "spark.app.name": "kocscout",
    "spark.sql.session.timeZone": "UTC",
    # Our times carry no zone: as TIMESTAMP_NTZ they pass Parquet and Arrow unchanged.
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
    # Overflow and unreadable text stop the run, as they do on the embedded engine, instead of becoming null.
    "spark.sql.ansi.enabled": "true",
    # What models read comes to this process, however large it is.
    "spark.driver.maxResultSize": "0",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.log.level": "ERROR",
}
"""Settings of every session; options given by the user go over them."""

FIXED = frozenset({"spark.sql.session.timeZone", "spark.sql.timestampType", "spark.sql.ansi.enabled"})
"""Settings that results depend on; options do not change them."""


class _Compiler(PySparkCompiler):  # type: ignore[misc]
    """Expressions in Spark's words, where ibis's own mean something else than on the embedded engine."""

    __slots__ = ()

    def visit_CountStar(self, op: Any, *, arg: Any, where: Any) -> Any:  # noqa: N802
        """A sum of no rows, or of nulls only, is null; a count of them is 0."""
        counted = super().visit_CountStar(op, arg=arg, where=where)
        return counted if where is None else self.f.coalesce(counted, 0)

    def visit_ExtractEpochSeconds(self, _: Any, *, arg: Any) -> Any:  # noqa: N802
        """With the fraction of the second, which Spark's own function drops."""
        zoned = sge.Cast(this=arg, to=sge.DataType.build("TIMESTAMP_LTZ", dialect="databricks"))
        return self.f.anon.unix_micros(zoned) / sge.convert(1_000_000)

    def visit_TimestampTruncate(self, op: Any, *, arg: Any, unit: Any) -> Any:  # noqa: N802
        """Without the zone that Spark's own function adds."""
        return self.cast(super().visit_TimestampTruncate(op, arg=arg, unit=unit), dt.timestamp)

    def visit_NonNullLiteral(self, op: Any, *, value: Any, dtype: Any) -> Any:  # noqa: N802
        """``0.5`` is a decimal to Spark, whose products round at a few digits."""
        if dtype.is_floating():
            return self.cast(sge.convert(str(value)), dt.float64)
        return super().visit_NonNullLiteral(op, value=value, dtype=dtype)

    def visit_Cast(self, op: Any, *, arg: Any, to: Any) -> Any:  # noqa: N802
        """A number becomes the nearest integer; Spark cuts its fraction off."""
        if op.arg.dtype.is_floating() and to.is_integer():
            arg = self.f.anon.rint(arg)
        return super().visit_Cast(op, arg=arg, to=to)


class Spark:
    """A session of Spark; one process has one, which later engines share.

    ``master``: where it runs, such as ``spark://host:7077``, by default ``threads`` threads of this machine.
    ``memory_limit``: of the driver, such as ``"6GB"``, which is all there is without a cluster. ``options``: settings of
    Spark, such as ``spark.executor.memory``. Steps are written as Parquet into a folder of the temporary directory, which
    all machines of a cluster must see (``TMPDIR``): what a lost executor held is read again.

    Raises:
        EngineError: pyspark or Java is missing, the session does not start, or an option or amount cannot be used.
    """

    def __init__(
        self,
        *,
        master: str | None = None,
        memory_limit: str | None = None,
        threads: int | None = None,
        options: Mapping[str, str] | None = None,
    ) -> None:
        _require_parts()
        settings = {**SETTINGS, "spark.master": master or f"local[{threads or '*'}]"}
        if memory_limit:
            settings["spark.driver.memory"] = _amount(memory_limit)
        for name, value in (options or {}).items():
            if name in FIXED:
                raise EngineError(f"the option {name} stays {SETTINGS[name]}, since results depend on it; leave it out")
            settings[name] = value
        self._scratch = scratch_folder(self)
        self._session = _session(settings)
        self._connection = ibis.pyspark.connect(self._session)
        self._connection.compiler = _Compiler()

    def read_parquet(self, path: Path) -> ir.Table:
        return self._read(path.absolute(), ibis.util.gen_name("parquet"))

    def from_arrow(self, table: pa.Table) -> ir.Table:
        name = ibis.util.gen_name("arrow")
        folder = self._scratch / name
        folder.mkdir()
        pq.write_table(table, folder / "rows.parquet", coerce_timestamps="us")
        return self._read(folder, name)

    def materialise(self, *parts: ir.Table, in_order: bool = False) -> ir.Table:  # noqa: ARG002
        """Through Parquet, since Spark computes a plan anew for each reader and plans of plans outgrow its optimiser; it
        joins in the order written, whether that is asked for or not."""
        name = ibis.util.gen_name("step")
        for part in parts:
            self._frame(part).write.mode("append").parquet(str(self._scratch / name))
        return self._read(self._scratch / name, name)

    def release(self, *tables: ir.Table) -> None:
        for table in tables:
            name = table.op().name
            self._connection.drop_view(name)
            shutil.rmtree(self._scratch / name)

    def resting(self) -> AbstractContextManager[None]:
        """Steps lie in files as it is."""
        return nullcontext()

    def to_arrow(self, expression: ir.Expr) -> pa.Table:
        table = expression.as_table()
        return self._frame(table).toArrow().cast(table.schema().to_pyarrow())

    def stream(self, expression: ir.Table) -> Generator[pa.RecordBatch, None, None]:
        """All are in the driver at once: Spark has no other way to give out columns."""
        yield from self.to_arrow(expression).to_batches(ROWS_AT_ONCE)

    def write_parquet(self, expression: ir.Table, path: Path) -> None:
        with tempfile.TemporaryDirectory(dir=path.absolute().parent, prefix=f".{path.name}-") as scratch:
            parts = Path(scratch) / "parts"
            self._frame(expression).coalesce(1).write.parquet(str(parts))
            (written,) = parts.glob("*.parquet")
            written.replace(path)

    def _read(self, path: Path, name: str) -> ir.Table:
        """A table whose times are in microseconds, as all of Spark's are; ibis leaves the unit open."""
        table = self._connection.read_parquet(str(path), table_name=name).op()
        types = {name: dt.Timestamp(scale=6) if kind.is_timestamp() else kind for name, kind in table.schema.items()}
        return table.copy(schema=ibis.schema(types)).to_expr()

    def _frame(self, expression: ir.Table) -> "DataFrame":
        """The plan of an expression, with whole numbers as wide as it says: to Spark a literal is of 32 bits or more."""
        from ibis.backends.pyspark.datatypes import PySparkType
        from pyspark.sql.types import IntegralType

        frame = self._session.sql(self._connection.compile(expression))
        kinds = expression.schema()
        said = {
            field.name: frame[f"`{field.name}`"].cast(PySparkType.from_ibis(kinds[field.name]))
            for field in frame.schema
            if isinstance(field.dataType, IntegralType) and kinds[field.name].is_integer()
        }
        return frame.withColumns(said)


def _require_parts() -> None:
    if importlib.util.find_spec("pyspark") is None:
        raise EngineError(
            "the engine spark needs pyspark, which is not installed; pip install 'kocscout[spark]', or use the engine duckdb"
        )
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        where = f"JAVA_HOME={home} holds no bin/java" if home else "no java is on the PATH"
        raise EngineError(
            f"the engine spark needs Java {JAVA}, but {where}; install it (apt-get install openjdk-{JAVA}-jre-headless) "
            "or set JAVA_HOME, or use the engine duckdb"
        )


def _session(settings: Mapping[str, str]) -> Any:
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    try:
        return SparkSession.builder.config(map=dict(settings)).getOrCreate()
    except (PySparkException, OSError, RuntimeError) as error:
        raise EngineError(f"Spark does not start at {settings['spark.master']}: {error}; correct its options") from None


def _amount(text: str) -> str:
    """An amount of memory as Java says it: ``6g`` for ``6GB``."""
    found = re.fullmatch(r"(\d+)\s*([KMGT])i?B", text, re.IGNORECASE)
    if found is None:
        raise EngineError(f"the engine spark cannot use {text!r} as an amount of memory; write it in whole units, as 6GB")
    return f"{found[1]}{found[2].lower()}"
