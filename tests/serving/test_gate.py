from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from serving.access.audit import Audit
from serving.gate import DAYS, Gated, gate, gate_batch
from serving.outreach.suppressions import Suppressions, blocked
from serving.state.database import Database
from serving.store.score_store import ScoreStore
from tests.serving.batches import write_users
from tests.serving.outreach.shop import ALL, day, people_of


def accused(user: str, code: str | None = "help_ring", acts: int = 24, until: str = "2024-05-30") -> dict[str, str | None]:
    evidence = None if code is None else f"one of 5 accounts that help each other in turn; {acts} acts until {until}"
    return {"user_id": user, "abuse_code": code, "abuse_evidence": evidence}


def said(*rows: dict[str, str | None]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in ("user_id", "abuse_code", "abuse_evidence")])
    return pa.Table.from_pylist([*rows], schema=schema)


def standing(database: Database, at: float) -> set[str]:
    with database.read() as connection:
        return set(blocked(connection, None, day(at))["user_id"].to_pylist())


def test_d42_every_suppression_has_code_evidence_and_expiry(database: Database, tmp_path: Path) -> None:
    users = said(*(accused(f"u{n}", code) for n, code in enumerate(DAYS)), accused("u9", None))
    assert gate(database, users, day(0)) == Gated(added=5, standing=0, not_newer=0, upheld=0)
    entries = [one for n in range(10) for one in Suppressions(database, people_of(tmp_path)).of(ALL, f"u{n}")]
    assert {one.code: one.expires_at and one.expires_at - one.starts_at for one in entries} == {
        "help_rule": timedelta(days=1),
        "dense_block": timedelta(days=7),
        "help_ring": timedelta(days=15),
        "sock_puppet": timedelta(days=90),
        "bot_timing": timedelta(days=90),
    }
    assert all(one.starts_at == day(0) and "24 acts until 2024-05-30" in str(one.evidence) for one in entries)
    assert [len(standing(database, at)) for at in (0.5, 1, 7, 15, 90)] == [5, 4, 3, 2, 0]
    (entry,) = Audit(database).read(action="suppression")
    assert (entry.key_id, entry.subject, entry.rows) == ("abuse-gate", "5 users", 5)


def test_d42_the_same_evidence_suppresses_once(database: Database) -> None:
    gate(database, said(accused("u1")), day(0))
    assert gate(database, said(accused("u1")), day(1)) == Gated(0, standing=1, not_newer=0, upheld=0)
    # Expired: only acts that came since make a new case.
    assert gate(database, said(accused("u1")), day(16)) == Gated(0, standing=0, not_newer=1, upheld=0)
    assert standing(database, 16) == set()
    assert gate(database, said(accused("u1", acts=25, until="2024-06-16")), day(16)) == Gated(1, 0, 0, 0)
    assert standing(database, 16) == {"u1"}


def test_d42_an_upheld_appeal_returns_the_user_in_the_next_run(database: Database, tmp_path: Path) -> None:
    gate(database, said(accused("u1"), accused("u2")), day(0))
    suppressions = Suppressions(database, people_of(tmp_path))
    (entry,) = suppressions.of(ALL, "u1")
    suppressions.lift(ALL, entry.suppression, "colleagues of one office", now=day(2))
    assert gate(database, said(accused("u1"), accused("u2")), day(3)) == Gated(0, standing=1, not_newer=0, upheld=1)
    assert standing(database, 3) == {"u2"}
    # A few helps more, as colleagues give, are the same case; twice as many are another.
    assert gate(database, said(accused("u1", acts=30, until="2024-06-20")), day(20)).upheld == 1
    assert gate(database, said(accused("u1", acts=48, until="2024-06-02")), day(20)).upheld == 1
    assert gate(database, said(accused("u1", acts=48, until="2024-06-20")), day(20)).added == 1
    assert standing(database, 20) == {"u1"}


def test_what_others_entered_is_theirs(database: Database, tmp_path: Path) -> None:
    suppressions = Suppressions(database, people_of(tmp_path))
    (entry,) = suppressions.add(ALL, "suppressed", ["u1"], "help_ring", now=day(0))  # type: ignore[arg-type]
    suppressions.lift(ALL, entry.suppression, "a mistake", now=day(1))
    assert gate(database, said(accused("u1")), day(2)).added == 1


@pytest.mark.parametrize("columns", [True, False])
def test_d39_whom_a_batch_accuses_is_suppressed_and_stays_scored(database: Database, tmp_path: Path, columns: bool) -> None:
    store = ScoreStore(tmp_path / "scores")
    rows = [accused("u1", "bot_timing"), accused("u2", None)] if columns else [{"user_id": "u1"}, {"user_id": "u2"}]
    write_users(store, [*rows])
    batch = store.open()
    assert gate_batch(database, batch, day(0)).added == int(columns)
    assert standing(database, 1) == ({"u1"} if columns else set())
    assert len(batch) == 2
