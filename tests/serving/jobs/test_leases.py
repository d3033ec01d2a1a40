import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from serving.access.principal import LOCAL
from serving.jobs.jobs import Job, Jobs
from serving.jobs.leases import Cancelled, Lease, Leases, LostLease
from serving.jobs.states import JobState
from serving.state.database import Database
from tests.serving.jobs.quick import K1, KINDS

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(seconds=61)


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, KINDS)


@pytest.fixture
def leases(database: Database) -> Leases:
    return Leases(database, 60)


def begun(leases: Leases, worker: str = "w1", now: datetime = NOON) -> tuple[Job, Lease]:
    job = leases.claim(worker, KINDS, now=now)
    assert job
    return job, Lease(job.job_id, worker, job.attempts)


def test_the_job_that_waits_longest_comes_first(jobs: Jobs, leases: Leases) -> None:
    second = jobs.create(K1, "quick", {}, now=NOON)
    first = jobs.create(K1, "quick", {}, now=NOON - timedelta(hours=1))
    assert [begun(leases)[0].job_id for _ in range(2)] == [first.job_id, second.job_id]
    assert leases.claim("w1", KINDS, now=NOON) is None
    job = jobs.get(LOCAL, first.job_id)
    assert (job.state, job.worker, job.attempts, job.started_at) == ("running", "w1", 1, NOON)
    assert job.lease_until == NOON + timedelta(seconds=60)


def test_a_kind_that_this_worker_does_not_know_is_left_to_others(jobs: Jobs, leases: Leases) -> None:
    jobs.create(K1, "quick", {})
    assert leases.claim("old", ["score"]) is None
    assert leases.claim("new", ["score", "quick"])


def test_each_job_is_claimed_once_by_workers_in_a_race(database_url: str, jobs: Jobs) -> None:
    made = [jobs.create(K1, "quick", {}).job_id for _ in range(40)]
    claimed: list[str] = []
    start = threading.Barrier(4)

    def claim_all(worker: str) -> None:
        database = Database(database_url, migrate=False)
        leases = Leases(database, 60)
        start.wait()
        while job := leases.claim(worker, KINDS):
            claimed.append(job.job_id)
        database.close()

    threads = [threading.Thread(target=claim_all, args=(f"w{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(claimed) == dict.fromkeys(made, 1)


def test_a_job_whose_worker_fell_silent_goes_to_another(jobs: Jobs, leases: Leases) -> None:
    jobs.create(K1, "quick", {})
    begun(leases)
    assert leases.claim("w2", KINDS, now=NOON + timedelta(seconds=60)) is None
    job, _ = begun(leases, "w2", LATER)
    assert (job.worker, job.attempts, job.started_at) == ("w2", 2, LATER)


def test_a_renewed_lease_keeps_the_job(jobs: Jobs, leases: Leases) -> None:
    jobs.create(K1, "quick", {})
    _, lease = begun(leases)
    leases.beat(lease, now=NOON + timedelta(seconds=30))
    assert leases.claim("w2", KINDS, now=LATER) is None
    assert leases.claim("w2", KINDS, now=NOON + timedelta(seconds=91))


def test_after_the_last_attempt_the_job_fails_and_says_what_to_do(jobs: Jobs, leases: Leases) -> None:
    made = jobs.create(K1, "quick", {}, most_attempts=2)
    begun(leases)
    _, lease = begun(leases, "w2", LATER)
    leases.tell(lease, 0.4, "adding up")
    again = LATER + timedelta(seconds=61)
    assert leases.claim("w3", KINDS, now=again) is None
    job = jobs.get(LOCAL, made.job_id)
    assert (job.state, job.finished_at, job.lease_until) == ("failed", again, None)
    assert job.error == (
        f"worker w2 fell silent at adding up in attempt 2 of 2; read the worker's log, then try again with "
        f"`koc jobs retry {job.job_id}`"
    )


def test_a_worker_that_died_before_it_could_cancel_leaves_a_cancelled_job(jobs: Jobs, leases: Leases) -> None:
    made = jobs.create(K1, "quick", {})
    begun(leases)
    jobs.cancel(LOCAL, made.job_id)
    assert leases.claim("w2", KINDS, now=LATER) is None
    assert jobs.get(LOCAL, made.job_id).state == "cancelled"


LATE: list[Callable[[Leases, Lease], object]] = [
    lambda leases, lease: leases.succeed(lease, {"from": "the old worker"}),
    lambda leases, lease: leases.fail(lease, "from the old worker"),
    lambda leases, lease: leases.cancel(lease),
    lambda leases, lease: leases.release(lease),
    lambda leases, lease: leases.crashed(lease, "the process was killed"),
    lambda leases, lease: leases.beat(lease),
    lambda leases, lease: leases.tell(lease, 0.9, "from the old worker"),
    lambda leases, lease: leases.tell(lease),
    lambda leases, lease: leases.state_after(lease),
]


@pytest.mark.parametrize("worker", ["w1", "w2"])
@pytest.mark.parametrize("act", LATE)
def test_who_lost_the_lease_can_write_nothing(
    jobs: Jobs, leases: Leases, worker: str, act: Callable[[Leases, Lease], object]
) -> None:
    """Not even where the same worker has it again: its first attempt may still be under way."""
    jobs.create(K1, "quick", {})
    _, old = begun(leases)
    job, new = begun(leases, worker, LATER)
    with pytest.raises(LostLease):
        act(leases, old)
    assert jobs.get(LOCAL, job.job_id) == job
    leases.succeed(new, {"from": worker}, now=LATER)
    with pytest.raises(LostLease):
        act(leases, old)
    assert jobs.get(LOCAL, job.job_id).result == {"from": worker}


def test_a_job_hears_at_its_next_step_that_it_is_cancelled(jobs: Jobs, leases: Leases) -> None:
    made = jobs.create(K1, "quick", {})
    _, lease = begun(leases)
    leases.tell(lease, 0.25, "one")
    assert (jobs.get(LOCAL, made.job_id).progress, jobs.get(LOCAL, made.job_id).step) == (0.25, "one")
    leases.tell(lease, step="two")
    assert (jobs.get(LOCAL, made.job_id).progress, jobs.get(LOCAL, made.job_id).step) == (0.25, "two")
    jobs.cancel(LOCAL, made.job_id)
    with pytest.raises(Cancelled):
        leases.tell(lease)
    leases.cancel(lease)
    assert leases.state_after(lease) is JobState.CANCELLED


def test_a_released_job_waits_again_and_has_not_used_up_an_attempt(jobs: Jobs, leases: Leases) -> None:
    made = jobs.create(K1, "quick", {}, most_attempts=1)
    for attempt in (1, 2):
        _, lease = begun(leases)
        assert leases.release(lease) is JobState.QUEUED
        assert leases.state_after(lease) is JobState.QUEUED
        job = jobs.get(LOCAL, made.job_id)
        assert (job.attempts, job.most_attempts, job.worker, job.lease_until) == (attempt, attempt + 1, None, None)


def test_a_crashed_job_is_begun_again_until_its_attempts_are_spent(jobs: Jobs, leases: Leases) -> None:
    made = jobs.create(K1, "quick", {}, most_attempts=2)
    assert leases.crashed(begun(leases)[1], "the process was killed") is JobState.QUEUED
    assert jobs.get(LOCAL, made.job_id).error == "the process was killed in attempt 1 of 2"
    assert leases.crashed(begun(leases)[1], "the process was killed") is JobState.FAILED
    assert "the process was killed in attempt 2 of 2; read the worker's log" in (jobs.get(LOCAL, made.job_id).error or "")


@pytest.mark.parametrize(
    "end", [lambda leases, lease: leases.release(lease), lambda leases, lease: leases.crashed(lease, "")]
)
def test_a_job_that_ends_while_it_shall_be_cancelled_does_not_come_back(
    jobs: Jobs, leases: Leases, end: Callable[[Leases, Lease], JobState]
) -> None:
    made = jobs.create(K1, "quick", {}, most_attempts=1)
    _, lease = begun(leases)
    jobs.cancel(LOCAL, made.job_id)
    assert end(leases, lease) is JobState.CANCELLED
    assert jobs.get(LOCAL, made.job_id).state == "cancelled"
