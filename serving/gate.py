"""Suppressions for abuse: written from what a batch says, with code, evidence and expiry; an upheld appeal holds."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import pyarrow as pa
import sqlalchemy as sa

from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.outreach.suppressions import Cause, Suppression, entries_of
from serving.state.database import Database
from serving.state.tables import suppressions
from serving.store.batch import Batch

GATE = Principal("abuse-gate", "abuse gate", frozenset({Scope.OPERATE}))
"""Whose entries these are."""

DAYS: Mapping[str, int] = {
    "help_rule": 1,
    "dense_block": 7,
    "help_ring": 15,
    "sock_puppet": 90,
    "bot_timing": 90,
}
"""Code -> days that a suppression lasts: a broken rule is a slip, a ring a deal, a program nobody to contact, and the person
of a sock puppet is on lists with another account. None is for good, because behaviour alone may look like that of an honest
fan; who should be barred for good is suppressed by hand."""

TIMES_AS_MANY = 2
"""Acts, in those of the evidence of an upheld appeal, from which there is a new case."""

NAMED = 20
"""Users of a run who are named in the audit log."""

COLUMNS = ("user_id", "abuse_code", "abuse_evidence")


@dataclass(frozen=True)
class Gated:
    """One run: entries ``added``; people accused who were ``standing`` already, whose evidence is not ``newer`` than that of
    an entry that ended, or whose appeal was ``upheld``."""

    added: int
    standing: int
    not_newer: int
    upheld: int


def gate_batch(database: Database, batch: Batch, now: datetime | None = None) -> Gated:
    """`gate` of a batch; one without the columns of abuse accuses nobody."""
    if not {*COLUMNS} <= {*batch.columns}:
        return Gated(0, 0, 0, 0)
    return gate(database, batch.table(columns=list(COLUMNS)), now)


def gate(database: Database, users: pa.Table, now: datetime | None = None) -> Gated:
    """Suppress whoever is accused: rows with an ``abuse_code``, and ``abuse_evidence`` that ends as that of
    `features.abuse.verdicts`. The same rows again change nothing.

    - While an entry of the same code stands, no other is added.
    - After one that expired, acts later than those of its evidence make a new one.
    - After one that was lifted, which is what an upheld appeal does, it takes twice the acts as well.
    """
    now = now or datetime.now(UTC)
    accused = [row for row in users.select(COLUMNS).to_pylist() if row["abuse_code"] is not None]
    if not accused:
        return Gated(0, 0, 0, 0)
    counts = dict.fromkeys(("added", "standing", "not_newer", "upheld"), 0)
    added = []
    with database.alone("suppressions") as connection:
        entries = entries_of(connection, [row["user_id"] for row in accused])
        for row in accused:
            own = [one for one in entries.get(row["user_id"], ()) if _of_gate(one, row["abuse_code"])]
            verdict = _verdict(own, row["abuse_evidence"], now)
            counts[verdict] += 1
            if verdict == "added":
                added.append(
                    {
                        "user_id": row["user_id"],
                        "kind": Cause.SUPPRESSED,
                        "code": row["abuse_code"],
                        "evidence": row["abuse_evidence"],
                        "starts_at": now,
                        "expires_at": now + timedelta(days=DAYS[row["abuse_code"]]),
                        "key_id": GATE.key_id,
                    }
                )
        if added:
            connection.execute(sa.insert(suppressions), added)
            Audit(database).write(
                GATE,
                "suppression.create",
                f"{len(added)} users",
                criteria={
                    "codes": sorted({row["code"] for row in added}),
                    "users": [row["user_id"] for row in added[:NAMED]],
                },
                rows=len(added),
                connection=connection,
                now=now,
            )
    return Gated(**counts)


def _of_gate(entry: Suppression, code: str) -> bool:
    return entry.kind is Cause.SUPPRESSED and entry.key_id == GATE.key_id and entry.code == code


def _verdict(entries: Iterable[Suppression], evidence: str, now: datetime) -> str:
    acts, until = _told(evidence)
    last = max(entries, key=lambda one: one.suppression, default=None)
    if last is None:
        return "added"
    if last.stands(now):
        return "standing"
    before, known_until = _told(last.evidence or "")
    if last.lifted_at is not None:
        later = until > last.lifted_at.date()
        return "added" if later and acts >= TIMES_AS_MANY * before else "upheld"
    return "added" if until > known_until else "not_newer"


def _told(evidence: str) -> tuple[int, date]:
    """How many acts the evidence counts, and the day of the last."""
    found = _COUNTED.search(evidence)
    return (int(found["acts"]), date.fromisoformat(found["until"])) if found else (0, date.min)


_COUNTED = re.compile(r"(?P<acts>\d+) acts until (?P<until>\d{4}-\d{2}-\d{2})$")
