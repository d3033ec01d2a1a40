"""`koc keys`: API keys, made, listed, rotated and revoked."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.operations import DatabaseUrl, moment, operations, row_scope
from serving.cli.options import DEFAULT_HOME, Home, console, notes, say

if TYPE_CHECKING:
    from serving.access.keys import Key

keys = typer.Typer(name="keys", help="Make, list, rotate and revoke keys of the API.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="Id of the key, as `koc keys list` shows it.")]


@keys.command()
def create(
    name: Annotated[str, typer.Argument(help="Who will use it; logs and the audit show the name.")],
    scope: Annotated[
        list[str] | None,
        typer.Option(help="read, operate, train, admin or identify; repeat for several. Default: read."),
    ] = None,
    rows: Annotated[
        list[str] | None,
        typer.Option(help="See these people only: COLUMN=VALUE,VALUE of the scores; repeat for several columns."),
    ] = None,
    expires: Annotated[str | None, typer.Option(help="Ends at this date or moment (UTC).")] = None,
    days: Annotated[int | None, typer.Option(min=1, help="Ends after this many days.")] = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key and print it, once: what is kept cannot be turned back into it.

    Example: koc keys create crm --scope operate --rows attribute_region=Hangzhou --days 90
    """
    from serving.access.keys import Keys

    if expires is not None and days is not None:
        raise typer.BadParameter("--expires and --days both say when the key ends; give one")
    ends = moment(expires, "--expires") if days is None else datetime.now(UTC) + timedelta(days=days)
    with operations(home, database_url) as database:
        text, key = Keys(database).create(name, scope or ["read"], row_scope(rows or []), ends)
    _show_once(text, key)


@keys.command("list")
def list_(home: Home = DEFAULT_HOME, database_url: DatabaseUrl = None) -> None:
    """List every key that was made, the newest first.

    Example: koc keys list
    """
    from serving.access.keys import Keys

    with operations(home, database_url) as database:
        found = Keys(database).all()
    if not found:
        console.print("No key was made yet; make one with `koc keys create NAME`.")
        return
    now = datetime.now(UTC)
    grid = Table(Column("id", no_wrap=True), "name", "scopes", "rows", "created (UTC)", "ends (UTC)", "state")
    for key in found:
        seen = "; ".join(f"{column}={','.join(values)}" for column, values in key.row_scope.items())
        ends = "-" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}"
        cells = (key.key_id, key.name, ", ".join(key.scopes), seen or "all", f"{key.created_at:%Y-%m-%d %H:%M}", ends)
        grid.add_row(*map(escape, cells), key.state(now))
    console.print(grid)


@keys.command()
def rotate(
    key_id: KeyId,
    grace_hours: Annotated[float, typer.Option(min=0, help="How long the old key goes on working.")] = 24,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Make a key in place of another, with the same name, scopes and rows, and print it once.

    Example: koc keys rotate 3f9c0a52d1a9 --grace-hours 2
    """
    from serving.access.keys import Keys

    with operations(home, database_url) as database:
        text, key = Keys(database).rotate(key_id, timedelta(hours=grace_hours))
    _show_once(text, key)
    notes.print(f"{key_id} goes on working for {grace_hours:g} hours.", soft_wrap=True)


@keys.command()
def revoke(key_id: KeyId, home: Home = DEFAULT_HOME, database_url: DatabaseUrl = None) -> None:
    """End a key: within a second a running service refuses it.

    Example: koc keys revoke 3f9c0a52d1a9
    """
    from serving.access.keys import Keys

    with operations(home, database_url) as database:
        key = Keys(database).revoke(key_id)
    notes.print(f"{escape(key.name)} ({key_id}) is revoked.", soft_wrap=True)


def _show_once(text: str, key: "Key") -> None:
    say(text)
    ends = "" if key.expires_at is None else f", until {key.expires_at:%Y-%m-%d %H:%M} UTC"
    held = f"{key.name} ({key.key_id}) may {', '.join(key.scopes)}{ends}"
    notes.print(f"{escape(held)}. Keep the key now: it is not shown again.", soft_wrap=True, highlight=False)
