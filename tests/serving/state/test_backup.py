import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from features.errors import StateError
from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.access.principal import LOCAL
from serving.state.backup import MANIFEST, read_manifest, restore_backup, write_backup
from serving.state.database import Database
from serving.state.tables import audit_log, facts, list_members, metadata
from tests.databases import NewDatabase
from tests.serving.state.rows import content, fill


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest) -> Iterator[Database]:
    make: NewDatabase = request.getfixturevalue(f"new_{request.param}")
    opened = Database(make())
    yield opened
    opened.close()


def rewritten(file: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """A copy of a zip with members changed, or left out where ``change`` returns None."""
    copy = file.with_name("changed.zip")
    with zipfile.ZipFile(file) as archive, zipfile.ZipFile(copy, "w") as out:
        for name in archive.namelist():
            if (now := change(name, archive.read(name))) is not None:
                out.writestr(name, now)
    return copy


def test_a_backup_comes_back_on_either_database(database: Database, target: Database, tmp_path: Path) -> None:
    rows = fill(database)
    file = tmp_path / "koc.zip"
    assert write_backup(database, file).rows == rows
    assert restore_backup(target, file) == read_manifest(file)
    before, after = content(database), content(target)
    told = after["audit_log"].pop()
    assert after == before
    with target.read() as connection:
        *_, last = connection.execute(sa.select(audit_log.c.entry, audit_log.c.action).order_by(audit_log.c.entry))
    assert last == (told[0], "database.restore")
    assert told[0] == 3, "numbers go on where the backup's ended"


def test_values_that_are_absent_stay_absent(database: Database, target: Database, tmp_path: Path) -> None:
    fill(database)
    write_backup(database, tmp_path / "koc.zip")
    restore_backup(target, tmp_path / "koc.zip")
    jobs = metadata.tables["jobs"]
    with target.read() as connection:
        assert len(connection.execute(sa.select(jobs.c.job_id).where(jobs.c.result.cast(sa.Text).is_(None))).all()) == 1


def test_only_the_owner_may_read_the_file(database: Database, tmp_path: Path) -> None:
    write_backup(database, tmp_path / "koc.zip")
    assert (tmp_path / "koc.zip").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("*.zip*")] == ["koc.zip"]


def test_a_file_that_exists_is_not_overwritten(database: Database, tmp_path: Path) -> None:
    (tmp_path / "koc.zip").write_text("precious")
    with pytest.raises(StateError, match=r"koc.zip exists; name a new file"):
        write_backup(database, tmp_path / "koc.zip")
    assert (tmp_path / "koc.zip").read_text() == "precious"


def test_a_database_with_rows_is_replaced_only_when_asked(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "koc.zip"
    write_backup(database, file)
    rows = fill(database)
    with pytest.raises(StateError, match=f"holds {rows} rows, which restoring would replace; confirm with --yes"):
        restore_backup(database, file)
    restore_backup(database, file, overwrite=True)
    left = content(database)
    assert [len(rows) for name, rows in left.items() if name != "audit_log"] == [0] * (len(metadata.tables) - 1)
    assert len(left["audit_log"]) == 1


def test_the_restored_log_is_still_append_only(database: Database, tmp_path: Path) -> None:
    write_backup(database, tmp_path / "koc.zip")
    restore_backup(database, tmp_path / "koc.zip")
    with pytest.raises(sa.exc.DBAPIError, match="audit_log is append-only"), database.write() as connection:
        connection.execute(audit_log.delete())


def test_keys_work_after_a_restore(database: Database, target: Database, tmp_path: Path) -> None:
    text, key = Keys(database).create("ops", ["read"])
    write_backup(database, tmp_path / "koc.zip")
    restore_backup(target, tmp_path / "koc.zip")
    assert Keys(target).verify(text).key_id == key.key_id


def test_an_altered_table_is_refused_and_nothing_is_touched(database: Database, tmp_path: Path) -> None:
    fill(database)
    write_backup(database, tmp_path / "koc.zip")
    altered = rewritten(tmp_path / "koc.zip", lambda name, data: data + b"\n" if name == "facts.jsonl" else data)
    before = content(database)
    with pytest.raises(StateError, match=r"changed.zip: table facts does not match its checksum; use another backup"):
        restore_backup(database, altered, overwrite=True)
    assert content(database) == before


def test_a_restore_that_fails_half_way_leaves_everything(database: Database, tmp_path: Path) -> None:
    fill(database)
    write_backup(database, tmp_path / "koc.zip")
    # Its checksums hold, but a member of a list that is not there cannot be added.
    without = Database(f"sqlite:///{tmp_path / 'without.db'}")
    with without.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        row = {"list_id": "gone", "rank": 1, "user_id": "a", "arm": "contact", "state": "selected"}
        connection.exec_driver_sql("BEGIN")
        at = sa.func.current_timestamp()
        connection.execute(list_members.insert().values(**row, changed_at=at))
        connection.commit()
    write_backup(without, tmp_path / "torn.zip")
    without.close()
    before = content(database)
    with pytest.raises(sa.exc.IntegrityError):
        restore_backup(database, tmp_path / "torn.zip", overwrite=True)
    assert content(database) == before


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda name, data: None if name == MANIFEST else data, "is not a whole backup; name a file of `koc backup`"),
        (lambda name, data: None if name == "facts.jsonl" else data, "is not a whole backup"),
        (
            lambda name, data: json.dumps({**json.loads(data), "format": 2}) if name == MANIFEST else data,
            "has format 2, this version reads 1; install a newer one",
        ),
        (
            lambda name, data: json.dumps({**json.loads(data), "revision": "9999"}) if name == MANIFEST else data,
            "the backup is of a newer version \\(revision 9999\\)",
        ),
    ],
)
def test_what_is_no_backup_is_refused(
    new_sqlite: NewDatabase, tmp_path: Path, change: Callable[[str, bytes], bytes | None], said: str
) -> None:
    database = Database(new_sqlite())
    write_backup(database, tmp_path / "koc.zip")
    with pytest.raises(StateError, match=said):
        restore_backup(database, rewritten(tmp_path / "koc.zip", change))
    database.close()


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"cannot read .*none.zip: No such file or directory; name a file of `koc backup`"):
        read_manifest(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("hello")
    with pytest.raises(StateError, match=r"text.zip is not a whole backup"):
        read_manifest(tmp_path / "text.zip")


def test_a_backup_is_of_one_moment(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that come while it is written are all in it or all out of it."""
    import serving.state.backup as module

    write_table = module._write_table

    def slow(connection: sa.Connection, archive: zipfile.ZipFile, table: sa.Table) -> module.TableBackup:
        if table is facts:
            with database.write() as other:
                other.execute(facts.insert().values(name="late", value="1"))
            Audit(database).write(LOCAL, "late", "late")
        return write_table(connection, archive, table)

    monkeypatch.setattr(module, "_write_table", slow)
    manifest = write_backup(database, tmp_path / "koc.zip")
    assert (manifest.tables["facts"].rows, manifest.tables["audit_log"].rows) == (0, 0)
