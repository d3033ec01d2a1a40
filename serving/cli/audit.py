"""`koc audit`: the log of who did what with whom."""

import csv
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from serving.cli.candidates import Format
from serving.cli.operations import DatabaseUrl, moment, operations
from serving.cli.options import DEFAULT_HOME, Home, console

if TYPE_CHECKING:
    from serving.access.audit import Entry


def audit(
    since: Annotated[str | None, typer.Option(help="From this date or moment (UTC) on.")] = None,
    until: Annotated[str | None, typer.Option(help="Before this date or moment (UTC).")] = None,
    key: Annotated[str | None, typer.Option(help="Of this key's id; `local` is the command line.")] = None,
    action: Annotated[str | None, typer.Option(help="Such as list.export, or all of a noun: list.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most this many, from the first on.")] = None,
    form: Annotated[Format, typer.Option("--format", help="How to print the log.")] = Format.TABLE,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Who made, exported and saw what, in the order in which it was done.

    Example: koc audit --since 2024-05-01 --action list.export --format csv > exports.csv
    """
    from serving.access.audit import Audit

    first, end = moment(since, "--since"), moment(until, "--until")
    with operations(home, database_url) as database:
        entries = Audit(database).read(since=first, until=end, key=key, action=action, limit=limit)
    if form is Format.JSON:
        print(json.dumps([_flat(entry) for entry in entries], ensure_ascii=False, indent=1))
    elif form is Format.CSV:
        out = csv.writer(sys.stdout, lineterminator="\n")
        out.writerow(COLUMNS)
        for entry in entries:
            flat = _flat(entry) | {"criteria": json.dumps(entry.criteria, ensure_ascii=False)}
            out.writerow([flat[column] for column in COLUMNS])
    else:
        _show(entries)


COLUMNS = ("entry", "at", "key_id", "action", "subject", "model_version", "criteria", "rows", "request_id")


def _flat(entry: "Entry") -> dict[str, object]:
    return {**vars(entry), "at": entry.at.isoformat()}


def _show(entries: "list[Entry]") -> None:
    grid = Table("entry", "at (UTC)", "key", "action", "subject", "rows", "criteria")
    for entry in entries:
        cells = (str(entry.entry), f"{entry.at:%Y-%m-%d %H:%M:%S}", entry.key_id, entry.action, entry.subject)
        rows = "-" if entry.rows is None else f"{entry.rows:,}"
        grid.add_row(*map(escape, cells), rows, escape(json.dumps(entry.criteria, ensure_ascii=False)))
    console.print(grid)
