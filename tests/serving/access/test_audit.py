import hashlib
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal
from serving.state.database import Database
from serving.state.tables import audit_log

DAY = datetime(2024, 5, 31, tzinfo=UTC)
OPS = Principal("k1", "ops", frozenset())


@pytest.fixture
def audit(database: Database) -> Audit:
    """Four entries, a day apart."""
    audit = Audit(database)
    audit.write(
        OPS, "list.create", "l1", model_version="koc/3", criteria={"城市": ["杭州"]}, rows=200, request_id="r1", now=DAY
    )
    audit.write(LOCAL, "list.export", "l1", rows=0, now=DAY + timedelta(days=1))
    audit.write(OPS, "listing.view", "x", now=DAY + timedelta(days=2))
    audit.write(OPS, "user.view", "u1", now=DAY + timedelta(days=3))
    return audit


def test_an_entry_says_who_did_what_with_how_many(audit: Audit) -> None:
    entry = audit.read(limit=1)[0]
    assert vars(entry) == {
        "entry": 1, "at": DAY, "key_id": "k1", "action": "list.create", "subject": "l1", "model_version": "koc/3",
        "criteria": {"城市": ["杭州"]}, "rows": 200, "request_id": "r1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [1, 2, 3, 4]),
        ({"since": DAY + timedelta(days=1)}, [2, 3, 4]),
        ({"until": DAY + timedelta(days=1)}, [1]),
        ({"key": "k1"}, [1, 3, 4]),
        ({"key": "local"}, [2]),
        ({"action": "list"}, [1, 2]),
        ({"action": "list.export"}, [2]),
        ({"action": "l_st"}, []),
        ({"after": 2, "limit": 1}, [3]),
    ],
)
def test_entries_are_found_by_time_key_and_action(audit: Audit, asked: dict[str, object], found: list[int]) -> None:
    assert [entry.entry for entry in audit.read(**asked)] == found  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [audit_log.update().values(key_id="somebody else"), audit_log.delete()])
def test_the_database_refuses_to_change_the_log(audit: Audit, change: sa.Update | sa.Delete) -> None:
    with pytest.raises(sa.exc.DBAPIError, match="audit_log is append-only"), audit.database.write() as connection:
        connection.execute(change)
    assert len(audit.read()) == 4


def test_postgres_refuses_to_truncate_the_log(audit: Audit) -> None:
    if audit.database.is_sqlite:
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(sa.exc.DBAPIError, match="audit_log is append-only"), audit.database.write() as connection:
        connection.exec_driver_sql("TRUNCATE audit_log")


def test_an_entry_belongs_to_the_transaction_that_it_is_about(database: Database) -> None:
    audit = Audit(database)

    def fail() -> None:
        with database.write() as connection:
            audit.write(OPS, "list.create", "l1", connection=connection)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert audit.read() == []


def test_of_many_ids_their_number_and_digest_are_kept(audit: Audit) -> None:
    for ids in (["b", "a"], ("a", "b")):
        audit.write(OPS, "list.create", "l2", criteria={"size": 1, "exclude": {"user_ids": ids, "lists": ["l1"]}})
    first, second = (entry.criteria for entry in audit.read(after=4))
    assert first == second
    digest = hashlib.sha256(b"a\nb").hexdigest()
    assert first == {"size": 1, "exclude": {"user_ids": {"count": 2, "sha256": digest}, "lists": ["l1"]}}
