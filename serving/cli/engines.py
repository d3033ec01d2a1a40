"""Options that choose the engine, and the engine that they choose."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from features.engine import Engine


class EngineName(StrEnum):
    """Where expressions run."""

    DUCKDB = "duckdb"
    SPARK = "spark"


EngineOption = Annotated[
    EngineName, typer.Option("--engine", envvar="KOC_ENGINE", help="duckdb: in this process. spark: on Spark.")
]
SparkMaster = Annotated[
    str | None,
    typer.Option(envvar="KOC_SPARK_MASTER", help="Where --engine spark runs, such as spark://host:7077; default: here."),
]
SparkOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--spark-option",
        envvar="KOC_SPARK_OPTIONS",
        help="A setting for --engine spark, such as spark.executor.memory=8g; repeat for several.",
    ),
]


def make_engine(
    name: EngineName, *, memory: str | None, threads: int, master: str | None = None, options: list[str] | None = None
) -> "Engine":
    """The engine that the options of a command name; those of Spark, which the environment may give, tell others nothing.

    Raises:
        BadParameter: an option of Spark without a value.
        EngineError: the engine lacks what it needs, or does not start.
    """
    if name is EngineName.DUCKDB:
        from features.engine import DuckDB

        return DuckDB(memory_limit=memory, threads=threads)
    from features.engine_spark import Spark

    settings = dict(_setting(text) for text in options or [])
    return Spark(master=master, memory_limit=memory, threads=threads, options=settings)


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise typer.BadParameter(f"--spark-option {text!r} is no setting; write it as spark.executor.memory=8g")
    return key, value
