"""`koc validate`: a data-quality report."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.engines import EngineName, EngineOption, SparkMaster, SparkOptions, make_engine
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_THREADS,
    DatasetFile,
    MemoryLimit,
    Quarantine,
    Root,
    Threads,
    console,
    open_dataset,
    read,
    write_text,
)


def validate(
    dataset: DatasetFile = DEFAULT_DATASET,
    root: Root = None,
    quarantine: Quarantine = None,
    json: Annotated[Path | None, typer.Option(help="Also write the report to this file.")] = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
    engine: EngineOption = EngineName.DUCKDB,
    spark_master: SparkMaster = None,
    spark_option: SparkOptions = None,
) -> None:
    """Check the tables against the data contract and print a data-quality report.

    Example: koc validate --dataset dataset.toml --quarantine bad-rows
    """
    from features.intake.quality import render

    running = make_engine(engine, memory=memory, threads=threads, master=spark_master, options=spark_option)
    _, report = open_dataset(read(dataset, root), quarantine=quarantine, engine=running)
    render(report, console)
    if json:
        write_text(json, report.to_json())
