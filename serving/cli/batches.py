"""`koc batches`: the batches of scores that are kept, and what changed between two of them."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.candidates import Format
from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, console, say

if TYPE_CHECKING:
    from serving.diff import Diff, Moved

batches = typer.Typer(name="batches", help="List batches of scores and compare them.", no_args_is_help=True)

Scores = Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")]


@batches.command("list")
def list_(home: Home = DEFAULT_HOME, scores: Scores = None) -> None:
    """List the batches that are kept, the latest written first.

    Example: koc batches list
    """
    from serving.store.score_store import ScoreStore

    store = ScoreStore(scores or home / "scores")
    current = store.current_id()
    grid = Table("batch", "as of (UTC)", "model", Column("people", justify="right"), "written (UTC)", "served")
    for found in store.batches():
        served = "yes" if found.batch == current else ""
        grid.add_row(found.batch, found.as_of, found.model, f"{found.rows:,}", found.written_at[:19], served)
    console.print(grid)


@batches.command()
def diff(
    batch: Annotated[str | None, typer.Option(help="The later batch; default: the one that is served.")] = None,
    before: Annotated[str | None, typer.Option(help="The earlier one; default: the one written before it.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Compare the first so many.")] = 100,
    form: Annotated[Format, typer.Option("--format", help="As a table or as JSON.")] = Format.TABLE,
    home: Home = DEFAULT_HOME,
    scores: Scores = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Show who entered and who left the top since the batch before, how far ranks moved, and why.

    Example: koc batches diff --top 50
    """
    from serving.diff import batch_diff
    from serving.outreach.suppressions import erased
    from serving.store.score_store import ScoreStore

    if form is Format.CSV:
        raise typer.BadParameter("a diff has several tables; use --format table or json")
    store = ScoreStore(scores or home / "scores")
    found = batch_diff(*store.pair(batch, before), top)
    with operations(home, database_url) as database, database.read() as connection:
        found = found.without(erased(connection, found.people_named))
    if form is Format.JSON:
        print(json.dumps(asdict(found), ensure_ascii=False, indent=1))
        return
    _show(found)


def _show(found: "Diff") -> None:
    correlation = "-" if found.rank_correlation is None else f"{found.rank_correlation:.3f}"
    say(f"{found.before} ({found.model_before}) -> {found.batch} ({found.model}), the first {found.top:,}")
    say(f"entered {len(found.entered):,}, left {len(found.left):,}; rank correlation of everybody {correlation}")
    say("of those who stayed, scores changed most by " + ", ".join(f"{side} {n:,}" for side, n in found.because.items()))
    for title, people in (("entered", found.entered), ("left", found.left), ("moved most", found.moved)):
        if people:
            console.print(_grid(title, people))


def _grid(title: str, people: "list[Moved]") -> Table:
    grid = Table("user_id", Column("before", justify="right"), Column("now", justify="right"), "by", "reason", title=title)
    for each in people:
        ranks = ["-" if rank is None else f"{rank:,}" for rank in (each.rank_before, each.rank)]
        grid.add_row(escape(each.user_id), *ranks, each.because or "", escape(each.reason or each.reason_before or ""))
    return grid
