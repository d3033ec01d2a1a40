"""`koc backup`: the operations database in one file."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, notes, progress


def backup(
    file: Annotated[Path, typer.Argument(help="A new file; such as koc-2024-05-31.zip.")],
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Write lists, contacts, outcomes, suppressions, jobs, keys and audit as of one moment; the service may go on.

    Example: koc backup koc-2024-05-31.zip
    """
    from serving.state.backup import write_backup

    with operations(home, database_url) as database, progress(f"writing {file}"):
        manifest = write_backup(database, file)
    notes.print(f"{file}: {manifest.rows:,} rows of {len(manifest.tables)} tables", soft_wrap=True, markup=False)
