"""A backup of the operations database: one zip of JSON lines by table, the same for SQLite and PostgreSQL."""

import base64
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from features.errors import StateError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal
from serving.state.database import Database
from serving.state.tables import Moment, metadata

FORMAT = 1
MANIFEST = "manifest.json"
ROWS = 1000
"""Rows that are read or written at once."""

PLAIN, MOMENT, BYTES, JSON = "plain", "moment", "bytes", "json"
TYPES: Mapping[str, sa.types.TypeEngine[Any]] = {
    PLAIN: sa.types.NullType(),
    MOMENT: Moment(),
    BYTES: sa.LargeBinary(),
    JSON: sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql"),
}
OUT: Mapping[str, Callable[[Any], Any]] = {MOMENT: datetime.isoformat, BYTES: lambda value: base64.b64encode(value).decode()}
IN: Mapping[str, Callable[[Any], Any]] = {MOMENT: datetime.fromisoformat, BYTES: base64.b64decode}


@dataclass(frozen=True)
class TableBackup:
    """A table in a backup. ``columns``: name -> ``plain``, ``moment``, ``bytes`` or ``json``; ``sha256`` of its lines."""

    rows: int
    sha256: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class BackupManifest:
    """What a backup holds; ``tables`` in an order in which rows can be added."""

    format: int
    made_at: str
    revision: str
    tables: Mapping[str, TableBackup]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables.values())


def write_backup(database: Database, file: Path, *, now: datetime | None = None) -> BackupManifest:
    """Write everything as of one moment, while others go on writing; the file is for its owner's eyes only.

    Raises:
        StateError: the file exists, or cannot be written.
    """
    if file.exists():
        raise StateError(f"{file} exists; name a new file")
    partial = file.with_name(f".{file.name}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        partial.touch(mode=0o600)
        with database.read() as connection, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
            tables = {table.name: _write_table(connection, archive, table) for table in metadata.sorted_tables}
            revision = database.revision(connection)
            assert revision is not None
            manifest = BackupManifest(FORMAT, (now or datetime.now(UTC)).isoformat(), revision, tables)
            archive.writestr(MANIFEST, json.dumps(asdict(manifest), indent=1))
        os.replace(partial, file)
    except OSError as error:
        raise StateError(f"cannot write {file}: {error.strerror}; name another file") from None
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def read_manifest(file: Path) -> BackupManifest:
    """What a backup holds, every checksum verified.

    Raises:
        StateError: it is not a backup, is altered or incomplete, or a newer version made it.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            content = json.loads(archive.read(MANIFEST))
            if content["format"] != FORMAT:
                raise StateError(f"{file} has format {content['format']}, this version reads {FORMAT}; install a newer one")
            tables = {name: TableBackup(**table) for name, table in content["tables"].items()}
            for name, table in tables.items():
                if _checksum(archive, name) != table.sha256:
                    raise StateError(f"{file}: table {name} does not match its checksum; use another backup")
            return BackupManifest(**{**content, "tables": tables})
    except OSError as error:
        raise StateError(f"cannot read {file}: {error.strerror}; name a file of `koc backup`") from None
    except (zipfile.BadZipFile, KeyError, TypeError, ValueError):
        raise StateError(f"{file} is not a whole backup; name a file of `koc backup`") from None


def restore_backup(
    database: Database, file: Path, *, overwrite: bool = False, by: Principal = LOCAL, now: datetime | None = None
) -> BackupManifest:
    """Make the database what it was when the backup was made, all of it or nothing; says so in its audit log.

    Raises:
        StateError: as `read_manifest`; or the database holds rows and ``overwrite`` is not set.
    """
    manifest = read_manifest(file)
    with zipfile.ZipFile(file) as archive, database.alone("migrate") as connection:
        if not overwrite and (found := _rows(connection)):
            raise StateError(
                f"{database.engine.url} holds {found:,} rows, which restoring would replace; confirm with --yes"
            )
        database.make_anew(connection, manifest.revision)
        for name, table in manifest.tables.items():
            _read_table(connection, archive, name, table)
        database.bring_up_to_date(connection)
        _count_on(database, connection)
        told = {"file": file.name, "made_at": manifest.made_at}
        Audit(database).write(by, "database.restore", file.name, criteria=told, connection=connection, now=now)
    return manifest


def _write_table(connection: sa.Connection, archive: zipfile.ZipFile, table: sa.Table) -> TableBackup:
    columns = {column.name: _kind(column.type) for column in table.columns}
    digest, rows = hashlib.sha256(), 0
    wanted = sa.select(table).order_by(*table.primary_key.columns).execution_options(yield_per=ROWS)
    with archive.open(_member(table.name), "w", force_zip64=True) as out:
        for row in connection.execute(wanted):
            line = orjson.dumps(_converted(row, columns.values(), OUT), option=orjson.OPT_APPEND_NEWLINE)
            digest.update(line)
            out.write(line)
            rows += 1
    return TableBackup(rows, digest.hexdigest(), columns)


def _read_table(connection: sa.Connection, archive: zipfile.ZipFile, name: str, table: TableBackup) -> None:
    # As the backup has the columns, which may be fewer than those of today.
    into = sa.table(name, *(sa.column(column, TYPES[kind]) for column, kind in table.columns.items()))
    batch: list[dict[str, Any]] = []
    for line in _lines(archive, name):
        batch.append(dict(zip(table.columns, _converted(orjson.loads(line), table.columns.values(), IN), strict=True)))
        if len(batch) == ROWS:
            connection.execute(into.insert(), batch)
            batch.clear()
    if batch:
        connection.execute(into.insert(), batch)


def _converted(row: Any, kinds: Any, by: Mapping[str, Callable[[Any], Any]]) -> list[Any]:
    return [by[kind](value) if value is not None and kind in by else value for value, kind in zip(row, kinds, strict=True)]


def _kind(of: sa.types.TypeEngine[Any]) -> str:
    if isinstance(of, Moment):
        return MOMENT
    if isinstance(of, sa.LargeBinary):
        return BYTES
    return JSON if isinstance(of, sa.JSON) else PLAIN


def _member(table: str) -> str:
    return f"{table}.jsonl"


def _lines(archive: zipfile.ZipFile, table: str) -> Iterator[bytes]:
    with archive.open(_member(table)) as lines:
        yield from lines


def _checksum(archive: zipfile.ZipFile, table: str) -> str:
    with archive.open(_member(table)) as lines:
        return hashlib.file_digest(lines, "sha256").hexdigest()  # type: ignore[arg-type]


def _rows(connection: sa.Connection) -> int:
    """Rows of the database in all tables that it has."""
    counts = (connection.execute(sa.select(sa.func.count()).select_from(table)) for table in metadata.sorted_tables)
    return sum(count.scalar_one() for count in counts)


def _count_on(database: Database, connection: sa.Connection) -> None:
    """Let numbers that count up go on after the restored ones; SQLite does so by itself."""
    if database.is_sqlite:
        return
    for table in metadata.sorted_tables:
        for column in table.primary_key.columns:
            if column.autoincrement is True:
                highest = connection.execute(sa.select(sa.func.max(column))).scalar_one()
                sequence = sa.func.pg_get_serial_sequence(table.name, column.name)
                connection.execute(sa.select(sa.func.setval(sequence, highest or 1, highest is not None)))
