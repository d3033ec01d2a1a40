"""Fixtures of the service: operations databases of both kinds."""

from tests.databases import (
    database,
    database_url,
    empty_sqlite,
    new_database,
    new_postgres,
    new_sqlite,
    postgres_server,
)

__all__ = ["database", "database_url", "empty_sqlite", "new_database", "new_postgres", "new_sqlite", "postgres_server"]
