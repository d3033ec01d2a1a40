"""The operations database: SQLite at home by default, PostgreSQL by a URL; every change is one transaction."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import ArgumentError, DBAPIError

from features.errors import StateError

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_SECONDS = 30
"""How long one writer waits for another before SQLite gives up."""


class Database:
    """One operations database, brought up to date when it is opened."""

    def __init__(self, url: str, *, migrate: bool = True) -> None:
        """url: as SQLAlchemy writes them, such as ``sqlite:///.koc/operations.db`` or ``postgresql://koc@db/koc``.

        Raises:
            StateError: the URL is not one, the database cannot be reached, or a newer version has written it.
        """
        self.engine = _engine(url)
        snapshot = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        self._reader = self.engine.execution_options(**snapshot)
        if migrate:
            self._migrate()

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for reading only; what it sees does not change underneath."""
        with self._reader.connect() as connection:
            if self.is_sqlite:
                connection.exec_driver_sql("BEGIN")
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction: all of it, or after an error nothing. On SQLite writers come one after the other."""
        with self.engine.connect() as connection:
            if self.is_sqlite:
                # Now rather than at the first change: a reader that turns writer in between fails at once as busy.
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.commit()
            except BaseException:
                connection.rollback()
                raise

    @contextmanager
    def alone(self, *names: str) -> Iterator[sa.Connection]:
        """A transaction during which no other one of any of the same ``names`` runs, in any process."""
        with self.write() as connection:
            if not self.is_sqlite:
                # In one order, so that two that want the same ones never wait for each other.
                for name in sorted(names):
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(name))))
            yield connection

    def close(self) -> None:
        self.engine.dispose()

    def revision(self, connection: sa.Connection) -> str | None:
        """The migration that the tables are at; None where there are none."""
        return MigrationContext.configure(connection).get_current_revision()

    def make_anew(self, connection: sa.Connection, revision: str) -> None:
        """Within the transaction, throw everything away and make the tables as they were at ``revision``, without rows.

        Raises:
            StateError: there is no such revision.
        """
        config = _alembic(connection)
        _known(ScriptDirectory.from_config(config), revision, "the backup")
        if self.revision(connection) is not None:
            command.downgrade(config, "base")
        command.upgrade(config, revision)

    def bring_up_to_date(self, connection: sa.Connection) -> None:
        """Within the transaction, run the migrations that are missing.

        Raises:
            StateError: a newer version has written the database.
        """
        config = _alembic(connection)
        script = ScriptDirectory.from_config(config)
        found = self.revision(connection)
        if found is not None:
            _known(script, found, _shown(self.engine.url))
        if found != script.get_current_head():
            command.upgrade(config, "head")

    def _migrate(self) -> None:
        try:
            with self.alone("migrate") as connection:
                self.bring_up_to_date(connection)
        except DBAPIError as error:
            raise StateError(
                f"cannot open {_shown(self.engine.url)}: {error.orig}; check the URL and that the database runs"
            ) from None


def _alembic(connection: sa.Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    return config


def _known(script: ScriptDirectory, revision: str, of: str) -> None:
    if revision not in {known.revision for known in script.walk_revisions()}:
        raise StateError(f"{of} is of a newer version (revision {revision}); install that, or restore a backup")


def _shown(url: sa.URL) -> str:
    """A URL without what may be secret in it."""
    return url.set(query={}).render_as_string(hide_password=True)


def _without_detail(context: sa.engine.ExceptionContext) -> DBAPIError | None:
    """Take what PostgreSQL adds to its message off an error: it quotes the row, whose values may name people."""
    error, original = context.sqlalchemy_exception, context.original_exception
    if isinstance(error, DBAPIError) and len(lines := str(original).splitlines()) > 1:
        original.args = (lines[0],)
        lost = error.connection_invalidated
        return type(error)(error.statement, None, original, hide_parameters=True, connection_invalidated=lost)
    return None


def _engine(url: str) -> sa.Engine:
    """Parameters are in no error, since errors are logged and parameters may name people."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # Where its password stands, if it has one, cannot be told.
        begin = re.match(r"\w[\w+]*://", url)
        shown = f"{begin[0]}..." if begin else "what is given as KOC_DATABASE_URL"
        raise StateError(f"{shown} is not a database URL; write it as sqlite:///FILE or postgresql://USER@HOST/DB") from None
    if parsed.get_backend_name() == "postgresql":
        engine = sa.create_engine(parsed.set(drivername="postgresql+psycopg"), pool_pre_ping=True, hide_parameters=True)
        sa.event.listen(engine, "handle_error", _without_detail, retval=True)
        return engine
    if parsed.get_backend_name() != "sqlite":
        raise StateError(f"{_shown(parsed)}: {parsed.get_backend_name()} is not supported; use SQLite or PostgreSQL")
    if not parsed.database or parsed.database == ":memory:":
        raise StateError(f"{_shown(parsed)} names no file; write it as sqlite:///FILE")
    Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    options = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    engine = sa.create_engine(parsed, connect_args=options, hide_parameters=True)

    def prepare(connection: Any, _: object) -> None:
        # The driver begins transactions by itself, and later than `Database.write` wants.
        connection.isolation_level = None
        for pragma in ("journal_mode = WAL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")

    sa.event.listen(engine, "connect", prepare)
    return engine
