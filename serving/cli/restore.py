"""`koc restore`: the operations database as a backup has it."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, notes, progress


def restore(
    file: Annotated[Path, typer.Argument(help="A file of `koc backup`, of SQLite or PostgreSQL.")],
    yes: Annotated[bool, typer.Option("--yes", help="Replace what the database holds now.")] = False,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Check a backup, then put it in place of the database, all of it or nothing; stop the service before.

    Example: koc restore koc-2024-05-31.zip --yes
    """
    from serving.state.backup import restore_backup

    with operations(home, database_url) as database, progress(f"restoring {file}"):
        manifest = restore_backup(database, file, overwrite=yes)
    notes.print(f"{manifest.rows:,} rows as of {manifest.made_at} are back", soft_wrap=True, markup=False)
