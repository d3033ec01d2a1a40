"""`koc communities`: what is so of each community, who is about to leave, and who could lead it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.candidates import Format
from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, console, notes

if TYPE_CHECKING:
    from serving.community_pages import Page


def communities(
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    by: Annotated[
        str, typer.Option(help="Sort by this column, such as survival_90d; the highest first.")
    ] = "value_per_head",
    rising: Annotated[bool, typer.Option("--rising", help="The lowest first.")] = False,
    kind: Annotated[str | None, typer.Option(help="Only this kind, such as wecom_group.")] = None,
    origin: Annotated[str | None, typer.Option(help="Only this origin, such as event.")] = None,
    size_band: Annotated[str | None, typer.Option(help="Only to_40, to_49, to_149, to_499 or from_500 members.")] = None,
    leaderless: Annotated[bool, typer.Option("--leaderless", help="Only those that nobody leads, with who could.")] = False,
    form: Annotated[Format, typer.Option("--format", help="How to print them.")] = Format.TABLE,
    scores: Annotated[Path | None, typer.Option(help="Folder of batches; default: scores/ at home.")] = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Communities of the current scores, the highest value per head first.

    People who were erased, or whom nobody may contact now, are not named.

    Example: koc communities --leaderless --by survival_90d --rising --limit 50
    """
    from dataclasses import replace
    from datetime import UTC, datetime

    import pyarrow.csv

    from features.errors import ScoresError
    from serving.community_pages import SortBy, Wanted, page, unnamed
    from serving.store.score_store import ScoreStore

    try:
        sort = SortBy(by)
    except ValueError:
        raise ScoresError(f"--by {by!r} is no column to sort by; choose from {', '.join(SortBy)}") from None
    batch = ScoreStore(scores or home / "scores").open()
    wanted = Wanted(
        kind, origin, None, size_band, leaderless=True if leaderless else None, by=sort, rising=rising, limit=limit
    )
    found = page(batch, wanted)
    with operations(home, database_url) as database, database.read() as connection:
        found = replace(found, rows=unnamed(found.rows, connection, datetime.now(UTC)))
    if form is Format.CSV:
        pyarrow.csv.write_csv(found.rows, sys.stdout.buffer)
    elif form is Format.JSON:
        import json

        print(json.dumps(found.rows.to_pylist(), ensure_ascii=False, indent=1))
    else:
        show(found)


def show(found: "Page") -> None:
    """Print communities for people; `docs/communities.md` tells what the columns mean."""
    heads = ("members", "value a head", "leaving", "alive in 90 d", "base rate", "one holds")
    grid = Table("community", "kind", "origin", *(Column(name, justify="right") for name in heads), "leader", "could lead")
    for row in found.rows.to_pylist():
        led = {True: "nobody", False: row["leader_id"], None: "-"}[row["leaderless"]]
        grid.add_row(
            escape(row["community_id"]), escape(row["kind"] or "-"), escape(row["origin"] or "-"), f"{row['members']:,}",
            _number(row["value_per_head"], ",.0f"), _number(row["leave_rate"], ".0%"), _number(row["survival_90d"], ".0%"),
            _number(row["survival_base_rate"], ".0%"), _number(row["broker_share"], ".0%"), escape(led or "-"),
            escape(row["candidate_id"] or "-"),
        )  # fmt: skip
    console.print(grid)
    if found.next is not None:
        notes.print(f"{found.total - found.next:,} more; ask for them with --limit {found.total}", soft_wrap=True)


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
