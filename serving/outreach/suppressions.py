"""Who may not be contacted, and why: suppressed, consent withdrawn for a channel, or erased."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from features.errors import ConflictError, ListError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import Principal
from serving.outreach.people import MOST_NAMED, People
from serving.state.database import Database
from serving.state.tables import suppressions


class Cause(StrEnum):
    """Why somebody may not be contacted, the one that stands for several first."""

    ERASED = "erased"
    SUPPRESSED = "suppressed"
    CONSENT_WITHDRAWN = "consent_withdrawn"


PRECEDENCE = tuple(Cause)
BLOCKED = pa.schema([("user_id", pa.string()), ("cause", pa.string())])


@dataclass(frozen=True)
class Suppression:
    """One entry. ``channel``: of a withdrawn consent, None is every channel. ``code``: why, in the words of the deployment.

    It stands from ``starts_at`` to before ``expires_at`` and ``lifted_at``, whichever comes first; None is never.
    """

    suppression: int
    user_id: str
    kind: Cause
    channel: str | None
    code: str
    evidence: str | None
    starts_at: datetime
    expires_at: datetime | None
    lifted_at: datetime | None
    lifted_because: str | None
    key_id: str

    def stands(self, moment: datetime, channel: str | None = None) -> bool:
        """Whether it speaks against a contact through ``channel`` at ``moment``.

        Without a channel a consent counts that is withdrawn for all of them; an erasure has no beginning.
        """
        if self.kind is Cause.ERASED:
            return True
        if self.channel is not None and self.channel != channel:
            return False
        ended = any(end is not None and end <= moment for end in (self.expires_at, self.lifted_at))
        return self.starts_at <= moment and not ended


def blocked(
    connection: sa.Connection, user_ids: Sequence[str] | None, now: datetime, channel: str | None = None
) -> pa.Table:
    """Who of ``user_ids`` (None: of everybody) may not be contacted at ``now``, through ``channel`` where one is named.

    Returns:
        user_id  string  each once, in no particular order
        cause    string  erased, suppressed or consent_withdrawn, the first of these that stands
    """
    ended = sa.or_(suppressions.c.expires_at <= now, suppressions.c.lifted_at <= now)
    standing = (sa.func.coalesce(ended, sa.false()) == sa.false()) & (suppressions.c.starts_at <= now)
    found = [
        one
        for one in _entries(connection, user_ids, standing | (suppressions.c.kind == Cause.ERASED))
        if one.stands(now, channel)
    ]
    first = strongest(found)
    return pa.table({"user_id": list(first), "cause": [str(cause) for cause in first.values()]}, schema=BLOCKED)


def entries_of(connection: sa.Connection, user_ids: Sequence[str]) -> dict[str, list[Suppression]]:
    """Every entry, also past and lifted ones, of those of the users who have any."""
    found: dict[str, list[Suppression]] = {}
    for one in _entries(connection, user_ids, sa.true()):
        found.setdefault(one.user_id, []).append(one)
    return found


def erased(connection: sa.Connection, user_ids: Sequence[str]) -> set[str]:
    """Those of the users who were erased."""
    return {one.user_id for one in _entries(connection, user_ids, suppressions.c.kind == Cause.ERASED)}


def strongest(standing: Iterable[Suppression]) -> dict[str, Cause]:
    """User -> the first cause in ``PRECEDENCE`` among their entries."""
    first: dict[str, Cause] = {}
    for one in standing:
        first[one.user_id] = min(first.get(one.user_id, one.kind), one.kind, key=PRECEDENCE.index)
    return first


class Suppressions:
    """The entries of one operations database."""

    def __init__(self, database: Database, people: People) -> None:
        self.database = database
        self.people = people
        self.audit = Audit(database)

    def add(
        self,
        principal: Principal,
        kind: Cause,
        user_ids: Sequence[str],
        code: str,
        *,
        channel: str | None = None,
        evidence: str | None = None,
        starts_at: datetime | None = None,
        expires_at: datetime | None = None,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> list[Suppression]:
        """Suppress people, or take note that they withdrew their consent; one entry each. Nobody needs to have a score.

        Raises:
            ListError: a suppression that ends before it starts.
            ForbiddenError: somebody is outside of what the principal sees.
        """
        now = now or datetime.now(UTC)
        starts = starts_at or now
        if expires_at is not None and expires_at <= max(starts, now):
            raise ListError(
                f"expires_at {expires_at.isoformat()} is not after its start {max(starts, now).isoformat()}; "
                "give a later one, or none for good"
            )
        people = list(dict.fromkeys(user_ids))
        self.people.require_inside(principal, people)
        shared = {
            "kind": kind,
            "channel": channel,
            "code": code,
            "evidence": evidence,
            "starts_at": starts,
            "expires_at": expires_at,
            "key_id": principal.key_id,
        }
        with self.database.alone("suppressions") as connection:
            added = connection.execute(
                sa.insert(suppressions).returning(suppressions, sort_by_parameter_order=True),
                [{"user_id": user, **shared} for user in people],
            )
            entries = [_entry(row) for row in added.mappings()]
            told = {"kind": kind, "code": code, "channel": channel, "users": people[:MOST_NAMED]}
            self.audit.write(
                principal,
                "suppression.create",
                people[0] if len(people) == 1 else f"{len(people)} users",
                criteria=told,
                rows=len(people),
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return entries

    def of(self, principal: Principal, user_id: str) -> list[Suppression]:
        """All entries of one person, the latest first.

        Raises:
            NotFoundError: the person is outside of what the principal sees.
        """
        if not self.people.inside(principal, [user_id]):
            raise NotFoundError(f"no user {user_id!r} among those that this key sees")
        with self.database.read() as connection:
            found = entries_of(connection, [user_id]).get(user_id, [])
        return sorted(found, key=lambda one: (one.starts_at, one.suppression), reverse=True)

    def lift(
        self,
        principal: Principal,
        suppression: int,
        because: str,
        *,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> Suppression:
        """End an entry, such as after an appeal or when somebody consents again.

        Raises:
            NotFoundError: there is no such entry among those that the principal sees.
            ConflictError: it is lifted already, or an erasure.
        """
        now = now or datetime.now(UTC)
        own = suppressions.c.suppression == suppression
        with self.database.alone("suppressions") as connection:
            row = connection.execute(sa.select(suppressions).where(own)).mappings().first()
            if row is None or not self.people.inside(principal, [row["user_id"]]):
                raise NotFoundError(f"no suppression {suppression}; GET /v1/users/ID/suppressions lists those of a user")
            entry = _entry(row)
            if entry.kind is Cause.ERASED:
                raise ConflictError(f"suppression {suppression} is an erasure, which cannot be undone")
            if entry.lifted_at is not None:
                raise ConflictError(f"suppression {suppression} was lifted {entry.lifted_at.isoformat()} already")
            connection.execute(sa.update(suppressions).where(own).values(lifted_at=now, lifted_because=because))
            self.audit.write(
                principal,
                "suppression.lift",
                entry.user_id,
                criteria={"suppression": suppression},
                rows=1,
                request_id=request_id,
                connection=connection,
                now=now,
            )
            return _entry(connection.execute(sa.select(suppressions).where(own)).mappings().one())


def _entries(
    connection: sa.Connection, user_ids: Sequence[str] | None, condition: sa.ColumnElement[bool]
) -> Iterable[Suppression]:
    wanted = sa.select(suppressions).where(condition)
    # Of many people all entries are read and then sorted out, which is quicker than many questions.
    few = user_ids is not None and len(user_ids) <= MOST_NAMED
    if user_ids is not None and few:
        wanted = wanted.where(suppressions.c.user_id.in_(user_ids))
    named = None if user_ids is None or few else set(user_ids)
    for row in connection.execute(wanted).mappings():
        if named is None or row["user_id"] in named:
            yield _entry(row)


def _entry(row: Mapping[Any, Any]) -> Suppression:
    return Suppression(**{**row, "kind": Cause(row["kind"])})
