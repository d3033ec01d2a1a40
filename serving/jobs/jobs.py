"""Jobs in the operations database: asked for, looked up, cancelled, tried again; its table is the truth about each."""

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pydantic
import sqlalchemy as sa

from features.errors import ConflictError, JobError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.jobs.kinds import Kind
from serving.jobs.states import JobState
from serving.state.database import Database
from serving.state.tables import jobs as table

MOST_ATTEMPTS = 3
"""How often a job is begun before a worker that dies with it is taken for the job's own fault."""


@dataclass(frozen=True)
class Job:
    """One job as its row tells it.

    ``progress`` is in [0, 1]. ``attempts`` counts how often it was begun and never goes back; with ``worker`` it tells who
    may write. ``result`` is there once it succeeded, ``error`` once it failed or an attempt was lost.
    """

    job_id: str
    kind: str
    arguments: Mapping[str, Any]
    state: JobState
    progress: float
    step: str | None
    attempts: int
    most_attempts: int
    worker: str | None
    lease_until: datetime | None
    cancel_asked: bool
    result: Mapping[str, Any] | None
    error: str | None
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None

    @classmethod
    def of(cls, row: sa.Row[Any]) -> "Job":
        return cls(**{**row._mapping, "state": JobState(row.state)})


class Jobs:
    """What people and programs do with jobs; what workers do is in `serving.jobs.leases`.

    A principal knows of the jobs that it asked for, with scope ``admin`` of all.
    """

    def __init__(self, database: Database, kinds: Mapping[str, Kind], ring: Callable[[str], None] = lambda _: None) -> None:
        """kinds: what can be asked for, by name. ring: told the id of a job that waits, to wake a worker."""
        self.database = database
        self.kinds = kinds
        self.audit = Audit(database)
        self._ring = ring

    def create(
        self,
        principal: Principal,
        kind: str,
        arguments: Mapping[str, Any],
        *,
        most_attempts: int = MOST_ATTEMPTS,
        request_id: str | None = None,
        now: datetime | None = None,
        connection: sa.Connection | None = None,
    ) -> Job:
        """A queued job; ``arguments`` are kept with all defaults of the kind, so that later ones change nothing.
        With a ``connection`` it is part of that transaction, and no worker is woken.

        Raises:
            JobError: no such kind, or the arguments are not what it takes. ForbiddenError: the kind needs another scope.
        """
        job_id, checked = uuid.uuid4().hex, self._checked(kind, arguments)
        principal.require(self.kinds[kind].scope)
        waiting = {"state": JobState.QUEUED, "progress": 0.0, "attempts": 0, "most_attempts": most_attempts}
        asked = {"kind": kind, "arguments": checked, "created_by": principal.key_id, "created_at": now or datetime.now(UTC)}

        def made(inside: sa.Connection) -> Job:
            inside.execute(table.insert().values(job_id=job_id, cancel_asked=False, **waiting, **asked))
            job = self._found(inside, job_id)
            self._note(inside, principal, "job.create", job, request_id)
            return job

        if connection is not None:
            return made(connection)
        with self.database.write() as own:
            job = made(own)
        self._ring(job.job_id)
        return job

    def _checked(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if kind not in self.kinds:
            raise JobError(f"no kind of job is named {kind!r}; choose from {', '.join(self.kinds)}")
        try:
            return self.kinds[kind].arguments.model_validate(arguments).model_dump(mode="json")
        except pydantic.ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
            raise JobError(f"a {kind} job does not take these arguments: {wrong}") from None

    def get(self, principal: Principal, job_id: str) -> Job:
        """Raises:
        NotFoundError: the principal knows of no such job.
        """
        with self.database.read() as connection:
            return self._known(connection, principal, job_id)

    def page(
        self,
        principal: Principal,
        *,
        states: Collection[JobState] = (),
        kinds: Collection[str] = (),
        limit: int = 100,
        after: str | None = None,
    ) -> list[Job]:
        """At most ``limit`` jobs, the newest first; ``after``: those that follow the job of this id.

        Raises:
            NotFoundError: the principal knows of no job ``after``.
        """
        query = sa.select(table).order_by(table.c.created_at.desc(), table.c.job_id.desc()).limit(limit)
        if states:
            query = query.where(table.c.state.in_(states))
        if kinds:
            query = query.where(table.c.kind.in_(kinds))
        if not principal.may(Scope.ADMIN):
            query = query.where(table.c.created_by.in_((principal.key_id, *principal.earlier)))
        with self.database.read() as connection:
            if after is not None:
                last = self._known(connection, principal, after)
                older = sa.and_(table.c.created_at == last.created_at, table.c.job_id < last.job_id)
                query = query.where(sa.or_(table.c.created_at < last.created_at, older))
            return [Job.of(row) for row in connection.execute(query)]

    def counts(self) -> dict[JobState, int]:
        """State -> number of jobs, of every state."""
        query = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
        with self.database.read() as connection:
            found = {row[0]: int(row[1]) for row in connection.execute(query)}
        return {state: found.get(state.value, 0) for state in JobState}

    def cancel(
        self, principal: Principal, job_id: str, *, request_id: str | None = None, now: datetime | None = None
    ) -> Job:
        """A queued job is cancelled at once; a running one is asked to stop, which its worker sees to within seconds.

        Cancelling a cancelled job changes nothing.

        Raises:
            NotFoundError: the principal knows of no such job. ForbiddenError: its kind needs another scope.
            ConflictError: it is over.
        """
        with self.database.write() as connection:
            job = self._own(connection, principal, job_id)
            match job.state:
                case JobState.QUEUED:
                    ended = {"state": JobState.CANCELLED, "finished_at": now or datetime.now(UTC)}
                    _change(connection, job_id, cancel_asked=True, **ended)
                case JobState.RUNNING:
                    _change(connection, job_id, cancel_asked=True)
                case JobState.SUCCEEDED | JobState.FAILED:
                    raise ConflictError(
                        f"job {job_id} has {job.state} already; only a queued or running job can be cancelled"
                    )
                case JobState.CANCELLED:
                    return job
            self._note(connection, principal, "job.cancel", job, request_id)
            return self._found(connection, job_id)

    def retry(self, principal: Principal, job_id: str, *, request_id: str | None = None) -> Job:
        """A failed or cancelled job is queued again with its old arguments, for as many more attempts as a new one has.

        Raises:
            NotFoundError: the principal knows of no such job. ForbiddenError: its kind needs another scope.
            ConflictError: it is not failed or cancelled.
        """
        with self.database.write() as connection:
            job = self._own(connection, principal, job_id)
            if job.state not in (JobState.FAILED, JobState.CANCELLED):
                raise ConflictError(f"job {job_id} is {job.state}; only a failed or cancelled job can be tried again")
            _change(
                connection, job_id, state=JobState.QUEUED, progress=0.0, step=None, cancel_asked=False, error=None,
                worker=None, lease_until=None, finished_at=None, most_attempts=job.attempts + MOST_ATTEMPTS,
            )  # fmt: skip
            self._note(connection, principal, "job.retry", job, request_id)
            job = self._found(connection, job_id)
        self._ring(job_id)
        return job

    def _own(self, connection: sa.Connection, principal: Principal, job_id: str) -> Job:
        """The job, which nobody else changes before this transaction ends."""
        job = self._known(connection, principal, job_id, lock=True)
        principal.require(self.kinds[job.kind].scope if job.kind in self.kinds else Scope.ADMIN)
        return job

    def _known(self, connection: sa.Connection, principal: Principal, job_id: str, *, lock: bool = False) -> Job:
        job = self._found(connection, job_id, lock=lock)
        if not principal.owns(job.created_by) and not principal.may(Scope.ADMIN):
            raise _missing(job_id)
        return job

    @staticmethod
    def _found(connection: sa.Connection, job_id: str, *, lock: bool = False) -> Job:
        query = sa.select(table).where(table.c.job_id == job_id)
        row = connection.execute(query.with_for_update() if lock else query).first()
        if row is None:
            raise _missing(job_id)
        return Job.of(row)

    def _note(self, connection: sa.Connection, principal: Principal, action: str, job: Job, request_id: str | None) -> None:
        told = {"kind": job.kind, **job.arguments}
        self.audit.write(principal, action, job.job_id, criteria=told, request_id=request_id, connection=connection)


def _missing(job_id: str) -> NotFoundError:
    return NotFoundError(f"no job {job_id!r}; GET /v1/jobs and `koc jobs list` tell which there are")


def _change(connection: sa.Connection, job_id: str, **values: Any) -> None:
    connection.execute(table.update().where(table.c.job_id == job_id).values(values))
