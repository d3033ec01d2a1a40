from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from features.errors import ConflictError, ForbiddenError, JobError, NotFoundError
from serving.access.principal import LOCAL, Scope
from serving.jobs.jobs import Jobs
from serving.jobs.leases import Lease, Leases
from serving.jobs.states import JobState
from serving.state.database import Database
from tests.serving.jobs.quick import K1, K2, KINDS

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def rung() -> list[str]:
    return []


@pytest.fixture
def jobs(database: Database, rung: list[str]) -> Jobs:
    return Jobs(database, KINDS, rung.append)


def test_a_new_job_waits_with_all_its_arguments_and_wakes_a_worker(jobs: Jobs, rung: list[str]) -> None:
    job = jobs.create(K1, "quick", {"name": "a"}, now=NOON)
    assert jobs.get(LOCAL, job.job_id) == job
    assert (job.state, job.progress, job.attempts, job.created_by, job.created_at) == ("queued", 0, 0, "k1", NOON)
    assert job.arguments == {"name": "a", "seconds": 0.0, "how": "well", "deaf": False}
    assert rung == [job.job_id]


@pytest.mark.parametrize(
    ("kind", "arguments", "message"),
    [
        ("fly", {}, "no kind of job is named 'fly'; choose from quick"),
        ("quick", {"seconds": "long"}, "a quick job does not take these arguments: seconds: Input should be a valid number"),
    ],
)
def test_what_no_worker_could_do_is_refused_at_once(
    jobs: Jobs, kind: str, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(JobError, match=message):
        jobs.create(K1, kind, arguments)
    assert jobs.page(LOCAL) == []


def test_an_unknown_job_and_that_of_somebody_else_look_alike(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {})
    assert jobs.get(K1, job.job_id) == jobs.get(LOCAL, job.job_id) == job
    for job_id, principal in ((job.job_id, K2), ("none", LOCAL)):
        for act in (jobs.get, jobs.cancel, jobs.retry):
            with pytest.raises(NotFoundError, match=f"no job '{job_id}'"):
                act(principal, job_id)
        with pytest.raises(NotFoundError):
            jobs.page(principal, after=job_id)
    assert jobs.get(K1, job.job_id).state == "queued"


def test_a_kind_needs_its_scope_to_be_asked_for_cancelled_and_tried_again(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {})
    reader = replace(K1, scopes=frozenset([Scope.READ]))
    assert jobs.get(reader, job.job_id) == job
    with pytest.raises(ForbiddenError, match="needs scope 'operate'"):
        jobs.create(reader, "quick", {})
    for act in (jobs.cancel, jobs.retry):
        with pytest.raises(ForbiddenError, match="needs scope 'operate'"):
            act(reader, job.job_id)
    assert jobs.page(LOCAL) == [job]


def test_who_asked_cancelled_and_tried_again_is_in_the_audit_log(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {"name": "a"}, request_id="r1")
    jobs.cancel(LOCAL, job.job_id, request_id="r2")
    jobs.cancel(LOCAL, job.job_id)
    jobs.retry(K1, job.job_id, request_id="r3")
    told = [(entry.action, entry.key_id, entry.subject, entry.request_id) for entry in jobs.audit.read()]
    assert told == [
        ("job.create", "k1", job.job_id, "r1"),
        ("job.cancel", "local", job.job_id, "r2"),
        ("job.retry", "k1", job.job_id, "r3"),
    ]
    assert jobs.audit.read()[0].criteria == {"kind": "quick", **job.arguments}


def test_pages_go_from_the_newest_to_the_oldest_and_miss_none(jobs: Jobs) -> None:
    # Two at the same instant, as a burst of requests makes them.
    made = [jobs.create((K1, K2)[n % 2], "quick", {}, now=NOON + timedelta(seconds=n // 2)) for n in range(7)]
    seen, after = [], None
    while page := jobs.page(LOCAL, limit=2, after=after):
        seen += page
        after = page[-1].job_id
    assert {job.job_id for job in seen} == {job.job_id for job in made}
    assert [job.created_at for job in seen] == sorted((job.created_at for job in made), reverse=True)
    assert len(seen) == 7
    assert {job.job_id for job in jobs.page(K1)} == {job.job_id for job in made[::2]}
    jobs.cancel(LOCAL, made[3].job_id)
    assert [job.job_id for job in jobs.page(LOCAL, states=[JobState.CANCELLED])] == [made[3].job_id]
    assert jobs.page(LOCAL, kinds=["score"]) == []
    assert jobs.counts() == {"queued": 6, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 1}


def test_a_queued_job_is_cancelled_at_once_and_tried_again_on_demand(jobs: Jobs, rung: list[str]) -> None:
    job = jobs.create(K1, "quick", {"name": "a"})
    cancelled = jobs.cancel(LOCAL, job.job_id, now=NOON)
    assert (cancelled.state, cancelled.finished_at) == ("cancelled", NOON)
    assert jobs.cancel(LOCAL, job.job_id).state == "cancelled"
    again = jobs.retry(LOCAL, job.job_id)
    assert (again.state, again.finished_at, again.cancel_asked) == ("queued", None, False)
    assert again.arguments == job.arguments
    assert rung == [job.job_id, job.job_id]


def test_a_job_that_is_over_or_under_way_is_left_alone(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {})
    with pytest.raises(ConflictError, match="is queued; only a failed or cancelled job can be tried again"):
        jobs.retry(LOCAL, job.job_id)
    leases = Leases(jobs.database, 60)
    claimed = leases.claim("w", KINDS)
    assert claimed
    with pytest.raises(ConflictError, match="is running; only a failed"):
        jobs.retry(LOCAL, job.job_id)
    assert jobs.cancel(LOCAL, job.job_id).state == "running"
    leases.succeed(Lease(job.job_id, "w", 1), {"n": 1})
    for act in (jobs.cancel, jobs.retry):
        with pytest.raises(ConflictError, match="succeeded"):
            act(LOCAL, job.job_id)
    assert jobs.get(LOCAL, job.job_id).result == {"n": 1}


def test_a_failed_job_is_tried_as_often_again(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {}, most_attempts=1)
    leases = Leases(jobs.database, 60)
    assert leases.claim("w", KINDS)
    leases.fail(Lease(job.job_id, "w", 1), "no")
    assert jobs.get(LOCAL, job.job_id).error == "no"
    again = jobs.retry(LOCAL, job.job_id)
    assert (again.state, again.attempts, again.most_attempts, again.error) == ("queued", 1, 4, None)


def test_a_rotated_key_keeps_its_jobs(jobs: Jobs) -> None:
    job = jobs.create(K1, "quick", {})
    after = replace(K2, earlier=(K1.key_id,))
    assert jobs.page(after) == [job]
    assert jobs.cancel(after, job.job_id).state == "cancelled"
