import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from serving.access.principal import LOCAL
from serving.jobs.jobs import Job, Jobs
from serving.jobs.states import JobState
from serving.state.database import Database
from tests.paths import REPO
from tests.serving.jobs.quick import K1, KINDS, settings, worker

OVER = (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)
PATIENT = 60.0
"""Seconds after which a test gives up, on a machine that is busy with other tests."""


@pytest.fixture
def jobs(database: Database) -> Jobs:
    return Jobs(database, KINDS)


def until(condition: Callable[[], object], *, what: str) -> None:
    end = time.monotonic() + PATIENT
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.02)


def over(jobs: Jobs, job: Job) -> Job:
    until(lambda: jobs.get(LOCAL, job.job_id).state in OVER, what=f"{job.job_id} to end")
    return jobs.get(LOCAL, job.job_id)


def running(jobs: Jobs, job: Job) -> Job:
    until(lambda: jobs.get(LOCAL, job.job_id).step == "waiting", what=f"{job.job_id} to begin")
    return jobs.get(LOCAL, job.job_id)


def traces(home: Path) -> list[list[str]]:
    """Job, what, attempt, process of every beginning."""
    file = home / "trace"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def once(home: Path, url: str, **options: Any) -> list[str]:
    """What a worker in this process told until nothing waited."""
    told: list[str] = []
    worker(home, url, tell=told.append, **options).run(once=True)
    return told


@contextmanager
def working(home: Path, url: str, **options: Any) -> Iterator[list[str]]:
    """A worker in a thread of this process; what it tells."""
    told: list[str] = []
    one = worker(home, url, tell=told.append, **options)
    thread = threading.Thread(target=one.run)
    thread.start()
    try:
        yield told
    finally:
        one.stop()
        thread.join()


def spawned(home: Path, url: str) -> subprocess.Popen[str]:
    """A worker as a process of its own, with its jobs in the same group."""
    settings(home)
    return subprocess.Popen(
        [sys.executable, "-m", "tests.serving.jobs.quick", str(home), url],
        cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_a_job_is_done_in_a_process_of_its_own(jobs: Jobs, database_url: str, tmp_path: Path) -> None:
    job = jobs.create(K1, "quick", {"name": "a", "seconds": 0.2})
    told = once(tmp_path, database_url)
    done = jobs.get(LOCAL, job.job_id)
    assert (done.state, done.result, done.progress, done.attempts) == ("succeeded", {"name": "a"}, 1.0, 1)
    assert (tmp_path / "done" / job.job_id).read_text() == "a"
    assert int(traces(tmp_path)[0][3]) != os.getpid()
    assert told[1] == f"quick {job.job_id}: attempt 1 of 3"
    assert told[2].startswith(f"quick {job.job_id}: succeeded after ")


@pytest.mark.parametrize(
    ("how", "state", "attempts", "error"),
    [
        ("refused", "failed", 1, "nobody acted before 2020-01-01; score a later date"),
        ("broken", "failed", 1, "ValueError: not a number; the worker's log has the traceback"),
        ("killed", "failed", 3, "the job's process was killed, perhaps for want of memory, in attempt 3 of 3; read"),
        ("killed once", "succeeded", 2, None),
    ],
)
def test_an_error_ends_a_job_and_a_dead_process_is_begun_again(
    jobs: Jobs, database_url: str, tmp_path: Path, how: str, state: str, attempts: int, error: str | None
) -> None:
    job = jobs.create(K1, "quick", {"how": how})
    after = jobs.create(K1, "quick", {})
    once(tmp_path, database_url)
    done = jobs.get(LOCAL, job.job_id)
    assert (done.state, done.attempts) == (state, attempts)
    assert (done.error or "").startswith(error or "")
    assert (done.error is None) == (error is None)
    assert jobs.get(LOCAL, after.job_id).state == "succeeded"


def test_a_long_job_keeps_its_lease(jobs: Jobs, database_url: str, tmp_path: Path) -> None:
    job = jobs.create(K1, "quick", {"seconds": 3, "deaf": True})
    with working(tmp_path, database_url), working(tmp_path, database_url):
        assert over(jobs, job).attempts == 1
    assert len(traces(tmp_path)) == 1


@pytest.mark.parametrize("deaf", [False, True])
def test_a_running_job_is_cancelled_and_killed_where_it_does_not_listen(
    jobs: Jobs, database_url: str, tmp_path: Path, deaf: bool
) -> None:
    job = jobs.create(K1, "quick", {"seconds": 300, "deaf": deaf})
    with working(tmp_path, database_url):
        until(lambda: traces(tmp_path), what="the job to begin")
        jobs.cancel(LOCAL, job.job_id)
        done = over(jobs, job)
        assert (done.state, done.result) == ("cancelled", None)
        until(lambda: gone(int(traces(tmp_path)[0][3])), what="the process to end")
    assert not (tmp_path / "done" / job.job_id).exists()


def test_a_cancelled_job_is_done_when_it_is_tried_again(jobs: Jobs, database_url: str, tmp_path: Path) -> None:
    job = jobs.create(K1, "quick", {})
    jobs.cancel(LOCAL, job.job_id)
    once(tmp_path, database_url)
    assert traces(tmp_path) == []
    jobs.retry(LOCAL, job.job_id)
    once(tmp_path, database_url)
    assert jobs.get(LOCAL, job.job_id).state == "succeeded"


def test_a_job_is_found_although_its_wake_up_call_was_lost(jobs: Jobs, database_url: str, tmp_path: Path) -> None:
    with working(tmp_path, database_url) as told:
        until(lambda: told, what="the worker to start")
        assert over(jobs, jobs.create(K1, "quick", {})).state == "succeeded"


@pytest.mark.parametrize("deaf", [False, True])
def test_a_stopped_worker_gives_its_job_back(jobs: Jobs, database_url: str, tmp_path: Path, deaf: bool) -> None:
    job = jobs.create(K1, "quick", {"seconds": 300, "deaf": deaf})
    process = spawned(tmp_path, database_url)
    until(lambda: traces(tmp_path), what="the job to begin")
    # To all of the group, as service managers and Ctrl-C do.
    os.killpg(process.pid, signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENT)
    assert process.returncode == 0
    assert said.splitlines()[-1].endswith("has stopped"), said
    assert "Traceback" not in said
    waits = jobs.get(LOCAL, job.job_id)
    assert (waits.state, waits.attempts, waits.most_attempts) == ("queued", 1, 4)
    assert gone(int(traces(tmp_path)[0][3]))


def test_an_idle_worker_stops_at_once(jobs: Jobs, database_url: str, tmp_path: Path) -> None:
    process = spawned(tmp_path, database_url)
    assert process.stdout
    assert "waits for quick" in process.stdout.readline()
    process.terminate()
    process.communicate(timeout=PATIENT)
    assert process.returncode == 0
    assert jobs.page(LOCAL) == []


def test_killing_workers_and_their_processes_at_any_point_loses_no_job(
    jobs: Jobs, database_url: str, tmp_path: Path
) -> None:
    """Two workers; every fraction of a second one of them, or the process of a job, gets SIGKILL and is replaced."""
    chance = random.Random(0)
    made = [jobs.create(K1, "quick", {"name": f"n{number}", "seconds": 1.0}, most_attempts=1_000) for number in range(6)]
    workers = [spawned(tmp_path, database_url) for _ in range(2)]
    children: list[int] = []

    def alive() -> list[int]:
        return [int(line[3]) for line in traces(tmp_path) if not gone(int(line[3]))]

    def waiting() -> bool:
        return any(jobs.get(LOCAL, job.job_id).state not in OVER for job in made)

    try:
        kills = Counter[str]()
        for number in range(8):
            # However slowly a busy machine starts workers, they are killed while there is work under way.
            until(lambda: alive() or not waiting(), what="a job to begin")
            time.sleep(0.5 * chance.random())
            if number % 2 and (found := alive()):
                os.kill(chance.choice(found), signal.SIGKILL)
                kills["jobs"] += 1
            else:
                spot = chance.randrange(2)
                children += [int(line[3]) for line in traces(tmp_path)]
                workers[spot].kill()
                workers[spot].wait()
                workers[spot] = spawned(tmp_path, database_url)
                kills["workers"] += 1
        for job in made:
            done = over(jobs, job)
            assert (done.state, done.result) == ("succeeded", {"name": job.arguments["name"]})
        assert all(kills[who] for who in ("jobs", "workers")), kills
        assert sum(jobs.get(LOCAL, job.job_id).attempts for job in made) > len(made)
    finally:
        for process in workers:
            process.terminate()
        for process in workers:
            process.communicate(timeout=PATIENT)
    # One result of each, and no process that outlived its worker.
    files = {file.name: file.read_text() for file in (tmp_path / "done").iterdir() if not file.name.startswith(".")}
    assert files == {job.job_id: job.arguments["name"] for job in made}
    assert all(gone(pid) for pid in children)
