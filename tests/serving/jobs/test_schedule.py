import re
from datetime import UTC, datetime, timedelta

import pytest

from features.errors import SettingsError
from serving.access.principal import LOCAL
from serving.jobs.jobs import Jobs
from serving.jobs.leases import Lease, Leases
from serving.jobs.schedule import Schedule, latest
from serving.jobs.states import JobState
from serving.settings import ServiceSettings
from serving.state.database import Database
from tests.serving.jobs.quick import KINDS

NIGHTLY = {"quick": "0 3 * * *"}
NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = 24 * HOUR


@pytest.fixture
def jobs(database: Database) -> Jobs:
    # The schedule asks with scope train, which the kind of the tests does not need.
    from dataclasses import replace

    return Jobs(database, {"quick": replace(KINDS["quick"], scope="train")})


def ended(jobs: Jobs, job_id: str) -> None:
    leases = Leases(jobs.database, 60)
    job = leases.claim("w", jobs.kinds)
    assert job is not None
    assert job.job_id == job_id
    leases.succeed(Lease(job_id, "w", job.attempts), {})


def test_d61_a_job_is_asked_for_once_when_its_time_has_come(jobs: Jobs) -> None:
    followed = Schedule(jobs, NIGHTLY)
    # What lies before the schedule was first followed was not missed.
    assert followed.tick(NOON) == []
    assert followed.tick(NOON + 14 * HOUR) == []
    (job,) = followed.tick(NOON + 15 * HOUR)
    assert (job.kind, job.state, job.created_by) == ("quick", JobState.QUEUED, "schedule")
    # Neither again, nor by another worker, nor after a restart.
    for worker in (followed, Schedule(jobs, NIGHTLY)):
        assert worker.tick(NOON + 15 * HOUR + timedelta(seconds=5)) == []
    assert len(jobs.page(LOCAL)) == 1


def test_d61_missed_runs_are_caught_up_once(jobs: Jobs) -> None:
    Schedule(jobs, NIGHTLY).tick(NOON)
    later = Schedule(jobs, NIGHTLY)
    (job,) = later.tick(NOON + 10 * DAY)
    assert later.tick(NOON + 10 * DAY + HOUR) == []
    ended(jobs, job.job_id)
    assert later.tick(NOON + 10 * DAY + 2 * HOUR) == []
    assert len(later.tick(NOON + 11 * DAY)) == 1


def test_while_one_is_unfinished_no_other_is_asked_for_and_then_one(jobs: Jobs) -> None:
    followed = Schedule(jobs, NIGHTLY)
    followed.tick(NOON)
    (job,) = followed.tick(NOON + DAY)
    assert followed.tick(NOON + 2 * DAY) == followed.tick(NOON + 3 * DAY) == []
    ended(jobs, job.job_id)
    assert len(followed.tick(NOON + 3 * DAY + HOUR)) == 1


def test_another_expression_begins_anew(jobs: Jobs) -> None:
    Schedule(jobs, NIGHTLY).tick(NOON)
    # Of the new time nothing was missed, though it lies after the last of the old one.
    later = Schedule(jobs, {"quick": "0 10 * * *"})
    assert later.tick(NOON + HOUR) == []
    assert len(later.tick(NOON + DAY)) == 1


def test_where_nothing_is_due_the_database_is_not_touched(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    followed = Schedule(jobs, NIGHTLY)
    followed.tick(NOON)
    monkeypatch.setattr(Database, "alone", lambda *_: pytest.fail("opened a transaction"))
    assert followed.tick(NOON + HOUR) == []


@pytest.mark.parametrize(
    ("now", "at"),
    [
        (datetime(2024, 6, 1, 3, tzinfo=UTC), datetime(2024, 6, 1, 3, tzinfo=UTC)),
        (datetime(2024, 6, 1, 2, 59, 59, 999_999, tzinfo=UTC), datetime(2024, 5, 31, 3, tzinfo=UTC)),
        (datetime(2024, 6, 1, 3, 0, 0, 1, tzinfo=UTC), datetime(2024, 6, 1, 3, tzinfo=UTC)),
    ],
)
def test_a_time_has_come_from_its_second_on(now: datetime, at: datetime) -> None:
    assert latest("0 3 * * *", now) == at


def test_settings_read_expressions_and_refuse_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KOC_SCHEDULE_SCORE", "0 3 * * *")
    monkeypatch.setenv("KOC_SCHEDULE_TRAIN", "")
    assert ServiceSettings().schedule == {"score": "0 3 * * *"}
    # Words, six fields, which some read with seconds first, and a day that never comes.
    for text in ("at noon", "0 0 3 * * *", "0 0 30 2 *"):
        monkeypatch.setenv("KOC_SCHEDULE_TRAIN", text)
        with pytest.raises(SettingsError, match=f"KOC_SCHEDULE_TRAIN is '{re.escape(text)}', which is no cron expression"):
            ServiceSettings()
