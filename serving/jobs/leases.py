"""Which worker has which job, and for how long: claimed by one alone, renewed while it works, and written by nobody else."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from serving.jobs.jobs import Job
from serving.jobs.states import JobState
from serving.state.database import Database
from serving.state.tables import jobs as table


class Interruption(BaseException):
    """Ends a running job from within; not an `Exception`, so that nothing on the way takes it for an error."""


class Cancelled(Interruption):
    """Somebody asked for the job to be cancelled."""


class Stopped(Interruption):
    """The worker stops: the job goes back to the queue."""


class LostLease(Interruption):
    """The lease ran out, and another worker may have the job: nothing more may be written."""


@dataclass(frozen=True)
class Lease:
    """One attempt of one worker. Attempts never repeat, so a worker that comes back late does not fit its job any more."""

    job_id: str
    worker: str
    attempt: int

    @property
    def holds(self) -> sa.ColumnElement[bool]:
        return sa.and_(
            table.c.job_id == self.job_id,
            table.c.state == JobState.RUNNING,
            table.c.worker == self.worker,
            table.c.attempts == self.attempt,
        )


class Leases:
    """What workers do with jobs. Clocks of different machines must agree to well under ``seconds``."""

    def __init__(self, database: Database, seconds: float) -> None:
        """seconds: how long a worker may be silent before its job goes to another."""
        self.database = database
        self.length = timedelta(seconds=seconds)

    def claim(self, worker: str, kinds: Collection[str], *, now: datetime | None = None) -> Job | None:
        """The job that waits longest, now ``worker``'s own; None if none waits. Jobs of dead workers wait again.

        A job whose worker died in its last attempt fails; one that was to be cancelled is.
        """
        now = now or datetime.now(UTC)
        silent = sa.and_(table.c.state == JobState.RUNNING, table.c.lease_until < now)
        known = table.c.kind.in_(kinds)
        with self.database.read() as connection:
            # Most looks find nothing, and reading keeps no writer waiting.
            if not connection.scalar(sa.select(sa.exists().where(known, sa.or_(table.c.state == JobState.QUEUED, silent)))):
                return None
        with self.database.write() as connection:
            self._bury(connection, sa.and_(known, silent), now)
            waits = sa.or_(table.c.state == JobState.QUEUED, silent)
            found = connection.execute(
                sa.select(table.c.job_id, table.c.attempts)
                .where(known, waits)
                .order_by(table.c.created_at, table.c.job_id)
                .limit(1)
                .with_for_update(skip_locked=True)
            ).first()
            if found is None:
                return None
            taken = (
                table.update()
                .where(table.c.job_id == found.job_id)
                .values(state=JobState.RUNNING, worker=worker, attempts=found.attempts + 1, lease_until=now + self.length,
                        progress=0.0, step=None, started_at=now)
                .returning(table)
            )  # fmt: skip
            return Job.of(connection.execute(taken).one())

    def _bury(self, connection: sa.Connection, silent: sa.ColumnElement[bool], now: datetime) -> None:
        """End the jobs of dead workers that are not to be begun again."""
        ended = {"lease_until": None, "finished_at": now}
        connection.execute(table.update().where(silent, table.c.cancel_asked).values(state=JobState.CANCELLED, **ended))
        spent = table.c.attempts >= table.c.most_attempts
        for row in connection.execute(sa.select(table).where(silent, spent).with_for_update(skip_locked=True)).all():
            job = Job.of(row)
            error = _spent(job, f"worker {job.worker} fell silent at {job.step or 'the start'}")
            connection.execute(
                table.update().where(table.c.job_id == job.job_id).values(state=JobState.FAILED, error=error, **ended)
            )

    def beat(self, lease: Lease, *, now: datetime | None = None) -> None:
        """Renew the lease.

        Raises:
            LostLease: it is not the worker's any more.
        """
        self._write(lease, lease_until=(now or datetime.now(UTC)) + self.length)

    def cancel_asked(self, lease: Lease) -> bool:
        """Raises:
        LostLease: the job is not the worker's any more.
        """
        return self._held(lease).cancel_asked

    def tell(self, lease: Lease, progress: float | None = None, step: str | None = None) -> None:
        """Write how far the job is; what is None stays as it is.

        Raises:
            Cancelled: it shall go no further. LostLease: it is not the worker's any more.
        """
        told = {name: value for name, value in (("progress", progress), ("step", step)) if value is not None}
        if told:
            self._write(lease, **told)
        if self.cancel_asked(lease):
            raise Cancelled(lease.job_id)

    def succeed(self, lease: Lease, result: Mapping[str, Any], *, now: datetime | None = None) -> None:
        """Raises:
        LostLease: another worker has the job, and its result counts.
        """
        self._end(lease, now, state=JobState.SUCCEEDED, progress=1.0, result=dict(result), error=None)

    def fail(self, lease: Lease, error: str, *, now: datetime | None = None) -> None:
        """Its own error ends a job at once: another attempt would meet the same."""
        self._end(lease, now, state=JobState.FAILED, error=error)

    def cancel(self, lease: Lease, *, now: datetime | None = None) -> None:
        """The job has stopped as it was asked to."""
        self._end(lease, now, state=JobState.CANCELLED)

    def release(self, lease: Lease) -> JobState:
        """Back to the queue, because the worker stops; that attempt does not count.

        Returns what the job is then: one that was to be cancelled is.

        Raises:
            LostLease: another worker has the job.
        """
        return self._requeue(lease, most_attempts=table.c.most_attempts + 1)

    def crashed(self, lease: Lease, why: str) -> JobState:
        """The process of the job died: queued again, or after the last attempt failed; returns which.

        Raises:
            LostLease: another worker has the job.
        """
        job = self._held(lease)
        if job.attempts >= job.most_attempts and not job.cancel_asked:
            self.fail(lease, _spent(job, why))
            return JobState.FAILED
        return self._requeue(lease, error=f"{why} in attempt {job.attempts} of {job.most_attempts}")

    def state_after(self, lease: Lease) -> JobState:
        """What became of an attempt that is over.

        Raises:
            LostLease: another worker has the job.
        """
        own = sa.or_(table.c.worker == lease.worker, table.c.worker.is_(None))
        query = sa.select(table.c.state).where(table.c.job_id == lease.job_id, table.c.attempts == lease.attempt, own)
        with self.database.read() as connection:
            state = connection.scalar(query)
        if state is None:
            raise LostLease(lease.job_id)
        return JobState(state)

    def _requeue(self, lease: Lease, **values: Any) -> JobState:
        if self._held(lease).cancel_asked:
            self.cancel(lease)
            return JobState.CANCELLED
        self._write(lease, state=JobState.QUEUED, worker=None, lease_until=None, progress=0.0, step=None, **values)
        return JobState.QUEUED

    def _held(self, lease: Lease) -> Job:
        with self.database.read() as connection:
            row = connection.execute(sa.select(table).where(lease.holds)).first()
        if row is None:
            raise LostLease(lease.job_id)
        return Job.of(row)

    def _end(self, lease: Lease, now: datetime | None, **values: Any) -> None:
        self._write(lease, finished_at=now or datetime.now(UTC), lease_until=None, **values)

    def _write(self, lease: Lease, **values: Any) -> None:
        with self.database.write() as connection:
            if not connection.execute(table.update().where(lease.holds).values(values)).rowcount:
                raise LostLease(lease.job_id)


def _spent(job: Job, why: str) -> str:
    return (
        f"{why} in attempt {job.attempts} of {job.most_attempts}; read the worker's log, then try again with "
        f"`koc jobs retry {job.job_id}`"
    )
