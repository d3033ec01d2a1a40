"""`koc validate`: a data-quality report."""

from pathlib import Path
from typing import Annotated

import typer

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
) -> None:
    """Check the tables against the data contract and print a data-quality report.

    Example: koc validate --dataset dataset.toml --quarantine bad-rows
    """
    from features.intake.quality import render

    _, report = open_dataset(read(dataset, root), quarantine=quarantine, memory=memory, threads=threads)
    render(report, console)
    if json:
        write_text(json, report.to_json())
