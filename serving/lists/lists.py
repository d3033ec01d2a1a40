"""Candidate lists of one operations database: made, looked up, ended."""

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from features.errors import ConflictError, ForbiddenError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import Principal
from serving.lists import payload
from serving.lists.build import Built, build, prepare
from serving.lists.criteria import ListCriteria
from serving.lists.holdout import CONTACT
from serving.lists.payload import Payload
from serving.lists.scope import seen_in
from serving.lists.shortfalls import Shortfall
from serving.lists.states import State
from serving.outreach.people import HasBatch, People
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.state.tables import candidate_lists, list_members, list_payloads, reservations

Progress = Callable[[str, float], None]
"""Takes what comes next and the share that is done, 0 to 1; may raise to stop, and then nothing is left behind."""

INSERTED_AT_ONCE = 5_000
OPENED = 8
"""Lists whose rows stay in memory, compressed."""


@dataclass(frozen=True)
class CandidateList:
    """What a list is; nothing of it changes but ``expires_at``, when it is closed before its time.

    ``rows``, ``arms``: people listed, in all and by arm. ``shortfalls``: what could not be met. ``checksum``: SHA-256 of its
    rows as Parquet.
    """

    list_id: str
    name: str | None
    created_at: datetime
    created_by: str
    expires_at: datetime
    batch: str
    model_version: str
    as_of: datetime
    criteria: ListCriteria
    rows: int
    arms: Mapping[str, int]
    shortfalls: tuple[Shortfall, ...]
    checksum: str


class Lists:
    """Makes lists from the batch that is served, and finds them again."""

    def __init__(self, database: Database, served: HasBatch, settings: ServiceSettings) -> None:
        self.database = database
        self.served = served
        self.settings = settings
        self.people = People(served)
        self.audit = Audit(database)
        self._opened = lru_cache(maxsize=OPENED)(self._open)

    def create(
        self,
        principal: Principal,
        criteria: ListCriteria,
        *,
        name: str | None = None,
        excluded: Sequence[str] = (),
        list_id: str | None = None,
        progress: Progress = lambda _step, _share: None,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> CandidateList:
        """A new list, whose people are reserved until it expires; made while no other list is, so that none are shared.

        ``excluded``: ids besides those of the criteria, such as of a file; they become part of the criteria. ``list_id``:
        a caller that may try again names the list, and finds it if it was made already.

        Raises:
            ScoresError: a filter names what the batch does not have. ListError: so does a quota, diversity or objective.
            NotFoundError: the principal knows no such list to exclude. ConflictError: ``list_id`` is somebody else's.
        """
        if list_id is not None and (made := self._made(principal, list_id)) is not None:
            return made
        for other in criteria.exclude.lists:
            self.get(principal, other)
        own = criteria.exclude.user_ids
        exclude = criteria.exclude.model_copy(update={"user_ids": tuple(dict.fromkeys((*own, *excluded)))})
        criteria = criteria.model_copy(update={"exclude": exclude})
        progress("scores", 0.0)
        prepared = prepare(self.served.batch, criteria, principal)
        with self.database.alone("lists") as connection:
            # Only now: whatever happened while other lists were made counts.
            now = now or datetime.now(UTC)
            if list_id is not None and (made := self._made(principal, list_id)) is not None:
                return made
            progress("people", 0.2)
            built = build(prepared, connection, self.settings.contacts_per_month, now)
            progress("rows", 0.5)
            record = self._record(principal, built, name, list_id or uuid.uuid4().hex, now)
            content = payload.encoded(built.rows)
            record = replace(record, checksum=payload.checksum(content))
            self._insert(connection, record, content, built, progress)
            self.audit.write(
                principal,
                "list.create",
                record.list_id,
                model_version=record.model_version,
                criteria=criteria.model_dump(mode="json", exclude_defaults=True),
                rows=record.rows,
                request_id=request_id,
                connection=connection,
                now=now,
            )
            progress("done", 1.0)
        return record

    def get(self, principal: Principal, list_id: str) -> CandidateList:
        """The list; for a key with a row scope its counts are of people inside, and shortfalls are told to its maker only.

        Raises:
            NotFoundError: there is no such list, or nobody on it is inside of what the principal sees.
        """
        found = self.find(principal, list_id)
        if found is None:
            raise NotFoundError(f"no list {list_id!r}; GET /v1/candidate-lists tells which there are")
        return found

    def find(self, principal: Principal, list_id: str) -> CandidateList | None:
        """As `get`, but None where there is no such list."""
        wanted = sa.select(candidate_lists).where(candidate_lists.c.list_id == list_id)
        with self.database.read() as connection:
            row = connection.execute(wanted).mappings().first()
        return None if row is None else self._seen(principal, row)

    def all(
        self, principal: Principal, *, limit: int = 100, before: datetime | None = None
    ) -> tuple[list[CandidateList], bool]:
        """Up to ``limit`` lists that the principal sees, the latest first, and whether there are more.

        ``before``: only those made earlier.
        """
        wanted = sa.select(candidate_lists).order_by(candidate_lists.c.created_at.desc(), candidate_lists.c.list_id)
        if before is not None:
            wanted = wanted.where(candidate_lists.c.created_at < before)
        found: list[CandidateList] = []
        looked, more = 0, True
        while more and len(found) <= limit:
            # To see a list takes another connection, and requests that held two could wait for each other.
            with self.database.read() as connection:
                rows = connection.execute(wanted.limit(limit + 1).offset(looked)).mappings().all()
            looked, more = looked + len(rows), len(rows) > limit
            found += [one for row in rows if (one := self._seen(principal, row)) is not None]
        return found[:limit], len(found) > limit

    def close(
        self, principal: Principal, list_id: str, *, request_id: str | None = None, now: datetime | None = None
    ) -> CandidateList:
        """End a list before its time: its people are free for others, its rows and states stay.

        Raises:
            NotFoundError: as `get`. ConflictError: it has ended. ForbiddenError: it is another key's, with people outside.
        """
        now = now or datetime.now(UTC)
        found = self.get(principal, list_id)
        if not principal.owns(found.created_by) and not self.inside(principal, found).all():
            raise ForbiddenError(f"list {list_id} has people whom key {principal.name!r} does not see; ask its maker")
        with self.database.alone("lists") as connection:
            of = candidate_lists.c.list_id == list_id
            ended = connection.execute(
                sa.update(candidate_lists).where(of, candidate_lists.c.expires_at > now).values(expires_at=now)
            )
            if not ended.rowcount:
                raise ConflictError(f"list {list_id} has ended {found.expires_at.isoformat()}; make a new one")
            connection.execute(sa.delete(reservations).where(reservations.c.list_id == list_id))
            self.audit.write(principal, "list.close", list_id, request_id=request_id, connection=connection, now=now)
        return replace(found, expires_at=now)

    def payload(self, record: CandidateList) -> Payload:
        """The rows of a list, as stored.

        Raises:
            StateError: they do not match the checksum.
        """
        return self._opened(record.list_id, record.checksum)

    def _open(self, list_id: str, expected: str) -> Payload:
        with self.database.read() as connection:
            content = connection.execute(
                sa.select(list_payloads.c.content).where(list_payloads.c.list_id == list_id)
            ).scalar_one()
        return Payload(list_id, bytes(content)).require(expected)

    def _made(self, principal: Principal, list_id: str) -> CandidateList | None:
        with self.database.read() as connection:
            asked = sa.select(candidate_lists.c.created_by).where(candidate_lists.c.list_id == list_id)
            by = connection.execute(asked).scalar_one_or_none()
        if by is None:
            return None
        if not principal.owns(by):
            raise ConflictError(f"list {list_id!r} exists already; leave the id out, or choose another one")
        return self.get(principal, list_id)

    def _record(self, principal: Principal, built: Built, name: str | None, list_id: str, now: datetime) -> CandidateList:
        manifest, criteria = built.batch.manifest, built.criteria
        days = criteria.reserve_days or self.settings.reserve_days
        return CandidateList(
            list_id=list_id,
            name=name,
            created_at=now,
            created_by=principal.key_id,
            expires_at=now + timedelta(days=days),
            batch=manifest.batch,
            model_version=manifest.model,
            as_of=datetime.fromisoformat(manifest.as_of).replace(tzinfo=UTC),
            criteria=criteria,
            rows=len(built.rows),
            arms=_counted(built.arms),
            shortfalls=built.shortfalls,
            checksum="",
        )

    @staticmethod
    def _insert(connection: sa.Connection, record: CandidateList, content: bytes, built: Built, progress: Progress) -> None:
        told = {name: value for name, value in vars(record).items() if name != "arms"}
        told["criteria"] = record.criteria.model_dump(mode="json", exclude_defaults=True)
        told["shortfalls"] = [one.to_dict() for one in record.shortfalls]
        connection.execute(sa.insert(candidate_lists).values(**told))
        connection.execute(sa.insert(list_payloads).values(list_id=record.list_id, content=content))
        connection.execute(sa.delete(reservations).where(reservations.c.until <= record.created_at))
        users = built.rows["user_id"].to_pylist()
        shared = {"list_id": record.list_id, "changed_at": record.created_at}
        for start in range(0, len(users), INSERTED_AT_ONCE):
            progress("members", 0.5 + 0.5 * start / len(users))
            some = range(start, min(start + INSERTED_AT_ONCE, len(users)))
            members = [
                {
                    **shared,
                    "rank": place + 1,
                    "user_id": users[place],
                    "arm": built.arms[place],
                    "state": State.SELECTED if built.arms[place] == CONTACT else State.HELD_OUT,
                }
                for place in some
            ]
            connection.execute(sa.insert(list_members), members)
        until = sa.literal(record.expires_at, reservations.c.until.type)
        kept = sa.select(list_members.c.user_id, list_members.c.list_id, until)
        kept = kept.where(list_members.c.list_id == record.list_id)
        connection.execute(sa.insert(reservations).from_select(["user_id", "list_id", "until"], kept))

    def _seen(self, principal: Principal, row: Mapping[Any, Any]) -> CandidateList | None:
        """The list of a row as the principal sees it; None where nobody on it is inside."""
        values = dict(row)
        values["criteria"] = ListCriteria.model_validate(values["criteria"])
        values["shortfalls"] = tuple(Shortfall(**one) for one in values["shortfalls"])
        found = CandidateList(**values, arms={})
        if not principal.row_scope:
            return replace(found, arms=self._arms(found.list_id))
        rows = self.payload(found)
        inside = self.inside(principal, found)
        own = principal.owns(found.created_by)
        if not inside.any() and not own:
            return None
        arms = _counted(rows.arms.filter(pa.array(inside)).to_pylist())
        if own:
            return replace(found, rows=int(inside.sum()), arms=arms)
        hidden = found.criteria.exclude.model_copy(update={"user_ids": ()})
        criteria = found.criteria.model_copy(update={"exclude": hidden})
        return replace(found, rows=int(inside.sum()), arms=arms, shortfalls=(), criteria=criteria)

    def _arms(self, list_id: str) -> dict[str, int]:
        counted = sa.select(list_members.c.arm, sa.func.count()).where(list_members.c.list_id == list_id)
        with self.database.read() as connection:
            found = connection.execute(counted.group_by(list_members.c.arm)).all()
        return dict(sorted((arm, rows) for arm, rows in found))

    def inside(self, principal: Principal, record: CandidateList) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """(rows,) by rank, whom of the list the principal sees: inside when it was made, and inside now."""
        rows = self.payload(record)
        if not principal.row_scope:
            return np.ones(len(rows), dtype=bool)
        columns = [column for column in principal.row_scope if column in rows.columns]
        then = seen_in(rows.table(columns), principal)
        users = rows.user_ids.to_pylist()
        now = self.people.inside(principal, [user for user, seen in zip(users, then, strict=True) if seen])
        return np.array([user in now for user in users], dtype=bool)


def _counted(arms: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(arms).items()))
