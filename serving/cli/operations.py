"""What commands on the operations database share: where it is, moments and row scopes as options."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from serving.state.database import Database

DatabaseUrl = Annotated[
    str | None,
    typer.Option("--database-url", envvar="KOC_DATABASE_URL", help="Operations database; default SQLite at home."),
]


@contextmanager
def operations(home: Path, database_url: str | None) -> Iterator["Database"]:
    """The operations database, closed at the end.

    Raises:
        StateError: it cannot be opened.
    """
    from serving.settings import ServiceSettings
    from serving.state.database import Database

    # The option has read its own environment variable, so that what is given here is all there is.
    database = Database(ServiceSettings(home=home, database_url=database_url).operations_url)
    try:
        yield database
    finally:
        database.close()


def moment(text: str | None, option: str) -> datetime | None:
    """A date or moment as an option gives it; without a zone, UTC."""
    if text is None:
        return None
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{option} {text!r} is not a date; write it as 2024-05-31 or 2024-05-31T08:00") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def row_scope(rows: Sequence[str]) -> dict[str, list[str]]:
    """``COLUMN=VALUE,VALUE`` options by column."""
    seen: dict[str, list[str]] = {}
    for text in rows:
        column, equals, values = text.partition("=")
        wanted = [value.strip() for value in values.split(",") if value.strip()]
        if not (column.strip() and equals and wanted):
            raise typer.BadParameter(f"--rows {text!r} is not COLUMN=VALUE,VALUE; such as attribute_region=Hangzhou")
        seen.setdefault(column.strip(), []).extend(wanted)
    return seen
