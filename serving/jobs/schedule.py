"""Jobs that the settings ask for by the clock: each once when its time has come, and once for all times that were missed."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from serving.access.principal import SCHEDULE
from serving.jobs.jobs import Job, Jobs
from serving.jobs.states import JobState
from serving.state.tables import facts
from serving.state.tables import jobs as table

FACT = "schedule:"
"""How the facts are named that say up to when a kind has been asked for by an expression: another one begins anew."""


class Schedule:
    """Cron expressions (UTC) by kind of job; any number of workers may follow one schedule.

    Times before a schedule was first followed were not missed. While a scheduled job of a kind waits or runs, no other one
    is asked for; what was missed meanwhile is caught up once when it is over.
    """

    def __init__(self, jobs: Jobs, expressions: Mapping[str, str], tell: Callable[[str], None] = lambda _: None) -> None:
        self._jobs = jobs
        self._expressions = {kind: expression for kind, expression in expressions.items() if kind in jobs.kinds}
        self._tell = tell
        self._done: dict[str, datetime] = {}

    def tick(self, now: datetime | None = None) -> list[Job]:
        """Ask for what is due; to be called every few seconds. Where nothing is due the database is not touched."""
        now = now or datetime.now(UTC)
        found = []
        for kind, expression in self._expressions.items():
            at = latest(expression, now)
            if self._done.get(kind) != at and (job := self._ask(kind, expression, at, now)):
                self._tell(f"{kind} {job.job_id}: scheduled for {at:%Y-%m-%d %H:%M} UTC")
                found.append(job)
        return found

    def _ask(self, kind: str, expression: str, at: datetime, now: datetime) -> Job | None:
        with self._jobs.database.alone("schedule") as connection:
            name = f"{FACT}{kind}:{expression}"
            known = connection.execute(sa.select(facts.c.value).where(facts.c.name == name)).scalar()
            if known is not None and datetime.fromisoformat(known) >= at:
                self._done[kind] = at
                return None
            if known is None:
                connection.execute(facts.insert().values(name=name, value=at.isoformat()))
                self._done[kind] = at
                return None
            unfinished = sa.select(table.c.job_id).where(
                table.c.kind == kind,
                table.c.created_by == SCHEDULE.key_id,
                table.c.state.in_([JobState.QUEUED, JobState.RUNNING]),
            )
            if connection.execute(unfinished).first() is not None:
                return None
            connection.execute(facts.update().where(facts.c.name == name).values(value=at.isoformat()))
            job = self._jobs.create(SCHEDULE, kind, {}, now=now, connection=connection)
        self._done[kind] = at
        return job


def latest(expression: str, now: datetime) -> datetime:
    """The last moment of a cron expression that is not after ``now`` (both UTC)."""
    from croniter import croniter

    after = now.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
    found: datetime = croniter(expression, after).get_prev(datetime)
    return found
