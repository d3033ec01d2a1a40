"""The append-only log of who did what with whom: every list, export, score card, promotion and key."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from serving.access.principal import Principal
from serving.state.database import Database
from serving.state.tables import audit_log


@dataclass(frozen=True)
class Entry:
    """One line of the log. ``entry`` counts up; ``rows``: people that were shown or touched, None if not about people."""

    entry: int
    at: datetime
    key_id: str
    action: str
    subject: str
    model_version: str | None
    criteria: Mapping[str, Any]
    rows: int | None
    request_id: str | None


class Audit:
    """The log in the operations database, whose triggers refuse to change or delete entries."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def write(
        self,
        principal: Principal,
        action: str,
        subject: str,
        *,
        model_version: str | None = None,
        criteria: Mapping[str, Any] | None = None,
        rows: int | None = None,
        request_id: str | None = None,
        connection: sa.Connection | None = None,
        now: datetime | None = None,
    ) -> None:
        """Add an entry, as part of the transaction of ``connection`` where one is given.

        ``action``: noun and verb, such as ``list.export``; ``subject``: the id that it was done to. ``criteria``: as JSON;
        of ``user_ids``, which may be a million, their number and a digest are kept.
        """
        values = {
            "at": now or datetime.now(UTC),
            "key_id": principal.key_id,
            "action": action,
            "subject": subject,
            "model_version": model_version,
            "criteria": {name: _short(name, value) for name, value in (criteria or {}).items()},
            "rows": rows,
            "request_id": request_id,
        }
        if connection is not None:
            connection.execute(audit_log.insert().values(**values))
            return
        with self.database.write() as own:
            own.execute(audit_log.insert().values(**values))

    def read(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        key: str | None = None,
        action: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Entry]:
        """Entries in the order in which they were written.

        ``since`` <= at < ``until``; ``key``: a key's id; ``action``: a whole one or its noun (``list`` for ``list.create``
        and the others); ``after``: entries above this number only, at most ``limit`` of them.
        """
        wanted = sa.select(audit_log).where(audit_log.c.entry > after).order_by(audit_log.c.entry).limit(limit)
        if since is not None:
            wanted = wanted.where(audit_log.c.at >= since)
        if until is not None:
            wanted = wanted.where(audit_log.c.at < until)
        if key is not None:
            wanted = wanted.where(audit_log.c.key_id == key)
        if action is not None:
            one = audit_log.c.action == action
            wanted = wanted.where(one | audit_log.c.action.startswith(f"{action}.", autoescape=True))
        with self.database.read() as connection:
            return [Entry(**row) for row in connection.execute(wanted).mappings()]


def _short(name: str, value: Any) -> Any:
    """A value of criteria as it is kept; the digest is of the ids sorted, one a line."""
    if isinstance(value, Mapping):
        return {inner: _short(inner, found) for inner, found in value.items()}
    if name == "user_ids" and isinstance(value, Sequence) and not isinstance(value, str):
        lines = "\n".join(sorted(map(str, value)))
        return {"count": len(value), "sha256": hashlib.sha256(lines.encode()).hexdigest()}
    return value
