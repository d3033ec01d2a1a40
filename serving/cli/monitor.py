"""`koc monitor`: whether what is served is fresh, has drifted, and turned out to be right."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import (
    DEFAULT_HOME,
    DEFAULT_THREADS,
    Home,
    MemoryLimit,
    Root,
    Threads,
    console,
    open_dataset,
    progress,
    read,
    say,
)

if TYPE_CHECKING:
    from serving.monitor import Health, Week


def monitor(
    dataset: Annotated[
        Path | None, typer.Option(help="Also tell how lists turned out, from the labels of these tables.")
    ] = None,
    root: Root = None,
    every: Annotated[bool, typer.Option("--all", help="Show every column, not the ones that have shifted alone.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Tell how old scores and model are, which columns have drifted since training, and how past lists turned out.

    Example: koc monitor --dataset dataset.toml
    """
    from serving.lists.lists import Lists
    from serving.monitor import health, realised, served_lists
    from serving.settings import ServiceSettings
    from serving.store.score_store import ScoreStore
    from serving.store.served import Served

    store = ScoreStore(home / "scores")
    batch = store.open()
    weeks: list[Week] | None = None
    if dataset is not None:
        tables, _ = open_dataset(read(dataset, root), memory=memory, threads=threads)
        with operations(home, database_url) as database, progress("judging past lists"):
            weeks = realised(tables, served_lists(Lists(database, Served(store), ServiceSettings(home=home))))
    found = health(batch, None if weeks is None else [week.to_dict() for week in weeks])
    if as_json:
        told = {**asdict(found), "alerts": [asdict(alert) for alert in found.alerts]}
        print(json.dumps(told, ensure_ascii=False, indent=1))
        return
    _show(found, every)
    if weeks is not None:
        _show_weeks(weeks)


def _show(found: "Health", every: bool) -> None:
    model = "" if found.model_days is None else f", {found.model} of {found.model_days:.1f} days ago"
    say(f"batch {found.batch}: scores of {found.score_days:.1f} days ago{model}")
    for alert in found.alerts:
        console.print(f"[bold yellow]alert[/bold yellow] {escape(alert.text)}", soft_wrap=True)
    shown = [row for row in found.drift if every or row["shifted"]]
    if not found.drift:
        say("The batch does not tell of drift; score again with `koc score`.")
    elif not shown:
        say(f"None of {len(found.drift)} columns has shifted since training; --all shows them.")
    else:
        numbers = (Column(name, justify="right") for name in ("psi", "limit", "unknown then", "unknown now"))
        grid = Table("column", "kind", *numbers)
        for row in shown:
            cells = (f"{row['psi']:.3f}", f"{row['limit']:.3f}", f"{row['unknown_then']:.1%}", f"{row['unknown_now']:.1%}")
            grid.add_row(row["column"], row["kind"], *cells)
        console.print(grid)


def _show_weeks(weeks: "list[Week]") -> None:
    if not weeks:
        say("No list is old enough: the label window of none is closed in these tables.")
        return
    names = ("lists", "people", "precision", "captured", "buyers", "expected to leave", "left")
    grid = Table("week of", *(Column(name, justify="right") for name in names))
    for week in weeks:
        shares = (week.precision, week.captured, week.expected, week.left)
        precision, captured, expected, left = ("-" if share is None else f"{share:.1%}" for share in shares)
        counts = (f"{week.lists:,}", f"{week.people:,}")
        grid.add_row(week.week, *counts, precision, captured, f"{week.buyers:,}", expected, left)
    console.print(grid)
