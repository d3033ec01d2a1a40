import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.errors import StateError
from serving.state.database import Database
from serving.state.tables import application_persons, facts, metadata, suppressions
from tests.serving.state.rows import content, fill


def test_every_table_and_column_is_what_the_migrations_make(database: Database) -> None:
    found = sa.inspect(database.engine)
    assert set(found.get_table_names()) == {*metadata.tables, "alembic_version"}
    for table in metadata.sorted_tables:
        columns = {column["name"]: column["nullable"] for column in found.get_columns(table.name)}
        assert columns == {column.name: column.nullable for column in table.columns}, table.name
        indexed = {tuple(index["column_names"]) for index in found.get_indexes(table.name)}
        assert {tuple(index.columns.keys()) for index in table.indexes} <= indexed, table.name


def test_a_change_is_kept_whole_or_not_at_all(database: Database) -> None:
    with database.write() as connection:
        connection.execute(facts.insert().values(name="salt", value="1"))
    change = facts.insert().values(name="other", value="2")

    def twice() -> None:
        with database.write() as connection:
            connection.execute(change)
            connection.execute(change)

    with pytest.raises(sa.exc.IntegrityError):
        twice()
    with database.read() as connection:
        assert connection.execute(sa.select(facts.c.name, facts.c.value)).all() == [("salt", "1")]


def test_moments_come_back_as_they_went_in_and_in_utc(database: Database) -> None:
    shanghai = datetime(2024, 5, 31, 8, 30, 0, 125, tzinfo=timezone(timedelta(hours=8)))
    with database.write() as connection:
        row = {"user_id": "a", "kind": "suppressed", "code": "asked", "starts_at": shanghai, "key_id": "k"}
        connection.execute(suppressions.insert().values(**row))
        found = connection.execute(sa.select(suppressions.c.starts_at, suppressions.c.expires_at)).one()
    assert found == (shanghai, None)
    assert found.starts_at.tzinfo is UTC


def test_a_moment_without_a_zone_is_refused(database: Database) -> None:
    row = {"user_id": "a", "kind": "suppressed", "code": "asked", "starts_at": datetime(2024, 5, 31), "key_id": "k"}
    with pytest.raises(sa.exc.StatementError, match="has no zone; pass moments in UTC"), database.write() as connection:
        connection.execute(suppressions.insert().values(**row))


def test_an_error_does_not_tell_what_was_to_be_kept(database: Database) -> None:
    person = application_persons.insert().values(application_id="none", person={"name": "Zhang San", "phone": "138"})
    with pytest.raises(sa.exc.IntegrityError) as caught, database.write() as connection:
        connection.execute(person)
    assert "application_persons" in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert "none" not in str(error).replace("None", ""), error
        error = error.__cause__ or error.__context__
    assert "Zhang San" not in str(caught.value)


def test_counting_up_alone_loses_nothing(database: Database) -> None:
    with database.write() as connection:
        connection.execute(facts.insert().values(name="n", value="0"))

    def count_up() -> None:
        for _ in range(10):
            with database.alone("count") as connection:
                value = int(connection.execute(sa.select(facts.c.value)).scalar_one())
                connection.execute(facts.update().values(value=str(value + 1)))

    threads = [threading.Thread(target=count_up) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(sa.select(facts.c.value)).scalar_one() == "30"


def test_opening_again_keeps_what_is_there(database: Database, database_url: str) -> None:
    with database.write() as connection:
        connection.execute(facts.insert().values(name="salt", value="1"))
    again = Database(database_url)
    with again.read() as connection:
        assert connection.execute(sa.select(facts.c.value)).scalar_one() == "1"
    again.close()


def test_a_database_of_a_newer_version_is_left_alone(database: Database, database_url: str) -> None:
    version = sa.table("alembic_version", sa.column("version_num"))
    with database.write() as connection:
        connection.execute(version.update().values(version_num="9999"))
    with pytest.raises(StateError, match="is of a newer version \\(revision 9999\\); install that, or restore a backup"):
        Database(database_url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is not a database URL; write it as sqlite:///FILE or postgresql://USER@HOST/DB"),
        ("mysql://db/koc", "mysql is not supported; use SQLite or PostgreSQL"),
        ("sqlite://", "names no file; write it as sqlite:///FILE"),
    ],
)
def test_an_unusable_url_is_named_with_a_remedy(url: str, said: str) -> None:
    with pytest.raises(StateError, match=said):
        Database(url)


def test_a_server_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"(?s)cannot open postgresql.*; check the URL and that the database runs"):
        Database(f"postgresql://koc@/koc?host={tmp_path}")


def test_what_is_read_does_not_change_underneath(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute(sa.select(facts.c.name)).all() == []
        with database.write() as other:
            other.execute(facts.insert().values(name="late", value="1"))
        assert connection.execute(sa.select(facts.c.name)).all() == []
    with database.read() as connection:
        assert connection.execute(sa.select(facts.c.name)).all() == [("late",)]


def test_made_anew_a_database_is_as_at_first(database: Database) -> None:
    fill(database)
    with database.write() as connection:
        database.make_anew(connection, "0001")
        database.bring_up_to_date(connection)
    assert not any(content(database).values())


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://koc:geheim@db:port/koc",
        "koc:geheim@db/koc",
        "postgresql//koc:geheim@db/koc",
        "mysql://koc:geheim@db/koc?password=geheim",
        "sqlite://koc:geheim@",
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StateError) as caught:
        Database(url)
    assert "geheim" not in str(caught.value)
