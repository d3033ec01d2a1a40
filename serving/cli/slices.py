"""`koc slices`: who moved others and who stayed, by paid tier and by permission to distribute."""

import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.candidates import Format
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_THREADS,
    DatasetFile,
    MemoryLimit,
    Root,
    Threads,
    console,
    notes,
    open_dataset,
    read,
)

CAUTION = (
    "Counts, not effects: who pays or may distribute differs from others in more than that. "
    "For comparison only: in one survey 37.3 % of paying members would recommend and 35.8 % might; those are stated "
    "intentions, and no benchmark of what people do."
)


def slices(
    dataset: DatasetFile = DEFAULT_DATASET,
    root: Root = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the counts.")] = Format.TABLE,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Over the last horizon of the data, by what held when it began: people, who moved somebody, and who stayed.

    Example: koc slices --dataset market/dataset.toml --format json
    """
    import pyarrow.csv

    from features.prepare import prepare
    from features.slices import membership_slices
    from features.snapshot import take_snapshot

    tables, _ = open_dataset(read(dataset, root), memory=memory, threads=threads)
    found = membership_slices(prepare(take_snapshot(tables, tables.observed_until)))
    if form is Format.CSV:
        pyarrow.csv.write_csv(found, sys.stdout.buffer)
        return
    if form is Format.JSON:
        import json

        print(json.dumps(found.to_pylist(), ensure_ascii=False, indent=1))
        return
    grid = Table("slice", "value", *(Column(name, justify="right") for name in ("people", "moved somebody", "stayed")))
    for row in found.to_pylist():
        told = [
            f"{row[name]:,} = {row[f'{name}_share']:.1%} ({row[f'{name}_low']:.1%} to {row[f'{name}_high']:.1%})"
            for name in ("moved", "stayed")
        ]
        grid.add_row(row["slice"], escape(row["value"]), f"{row['people']:,}", *told)
    console.print(grid)
    notes.print(CAUTION, soft_wrap=True)
