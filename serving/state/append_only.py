"""Triggers by which a table refuses changes, so that not even a slip of our own code can rewrite a log."""

import sqlalchemy as sa

# DDL that SQLAlchemy has no words for; names come from the code alone.
SQLITE = """CREATE TRIGGER {table}_refuse_{change} BEFORE {change} ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"""
POSTGRES_FUNCTION = """CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"""
POSTGRES = """CREATE TRIGGER {table}_refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION {table}_refuse()"""


def make_append_only(connection: sa.Connection, table: str) -> None:
    """From now on the table takes new rows only: UPDATE, DELETE and, on PostgreSQL, TRUNCATE fail."""
    if connection.dialect.name == "sqlite":
        for change in ("UPDATE", "DELETE"):
            connection.exec_driver_sql(SQLITE.format(table=table, change=change))
    else:
        connection.exec_driver_sql(POSTGRES_FUNCTION.format(table=table))
        connection.exec_driver_sql(POSTGRES.format(table=table))


def drop_refusal(connection: sa.Connection, table: str) -> None:
    """Undo `make_append_only`, once the table is gone; triggers go with it."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql(f"DROP FUNCTION {table}_refuse()")
