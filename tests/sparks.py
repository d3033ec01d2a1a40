"""Spark as tests start it: one small session, on machines that have what it needs."""

import importlib.util
import shutil
from collections.abc import Mapping

from features.engine_spark import Spark

LACKS = next(
    (
        f"Spark lacks {name}"
        for name, found in (("pyspark", importlib.util.find_spec("pyspark")), ("java", shutil.which("java")))
        if not found
    ),
    None,
)
"""Why Spark cannot start here; None where it can."""

SMALL = {
    # Half of the time of a small step goes into compiling code for it: the quick compiler, and none of Spark's own.
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.shuffle.partitions": "2",
    "spark.default.parallelism": "2",
    "spark.sql.parquet.compression.codec": "uncompressed",
}


def start(engine: type[Spark] = Spark, master: str | None = None, options: Mapping[str, str] | None = None) -> Spark:
    """An engine on two threads or at ``master``; the process has one session, which they all share."""
    return engine(master=master, threads=2, memory_limit="2GB", options={**SMALL, **(options or {})})
