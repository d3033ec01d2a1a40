import threading
from pathlib import Path

import pytest

from serving.access.principal import LOCAL
from serving.jobs.jobs import Jobs
from serving.jobs.leases import Lease, Leases
from serving.jobs.work import KINDS
from serving.settings import ServiceSettings
from serving.state.database import Database
from tests.command import koc
from tests.serving.batches import write_random


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(Database(ServiceSettings(home=tmp_path).operations_url), KINDS)


def test_a_worker_does_what_waits_and_says_so(jobs: Jobs, tmp_path: Path) -> None:
    write_random(tmp_path / "scores", users=100)
    good = jobs.create(LOCAL, "list", {"criteria": {"size": 10}})
    bad = jobs.create(LOCAL, "list", {"criteria": {"size": 10, "filters": {"colour": "red"}}})
    # A handler of signals can be set by the main thread only, which the test's is.
    ran = koc("worker", "--once", "--home", tmp_path)
    assert ran.status == 0, ran.err
    assert f"list {good.job_id}: succeeded after" in ran.out
    assert f"list {bad.job_id}: failed after" in ran.out
    shown = koc("jobs", "show", good.job_id, "--wait", "--home", tmp_path)
    assert shown.status == 0
    assert f'result: {{"list_id": "{good.job_id}", "rows": 10' in shown.out
    failed = koc("jobs", "show", bad.job_id, "--wait", "--home", tmp_path)
    assert failed.status == 1
    assert "error: " in failed.out
    assert "colour" in failed.out


def test_jobs_are_listed_cancelled_and_tried_again(jobs: Jobs, tmp_path: Path) -> None:
    assert koc("jobs", "list", "--home", tmp_path).out == "No such job; POST /v1/jobs makes one.\n"
    job = jobs.create(LOCAL, "score", {})
    listed = koc("jobs", "list", "--state", "queued", "--home", tmp_path, columns=200)
    assert job.job_id in listed.out
    assert "0 of 3" in listed.out
    assert koc("jobs", "cancel", job.job_id, "--home", tmp_path).out == f"score {job.job_id}: cancelled\n"
    assert job.job_id not in koc("jobs", "list", "--state", "queued", "--home", tmp_path, columns=200).out
    again = koc("jobs", "retry", job.job_id, "--home", tmp_path)
    assert again.out == f"score {job.job_id}: queued; a running `koc worker` does it\n"
    refused = koc("jobs", "retry", job.job_id, "--home", tmp_path)
    assert (refused.status, refused.err) == (
        1,
        f"error job {job.job_id} is queued; only a failed or cancelled job can be tried again\n",
    )


def test_waiting_shows_the_steps_until_the_end(jobs: Jobs, tmp_path: Path) -> None:
    job = jobs.create(LOCAL, "score", {})
    leases = Leases(jobs.database, 60)
    assert leases.claim("w", KINDS)
    lease = Lease(job.job_id, "w", 1)
    leases.tell(lease, 0.5, "reading orders")
    threading.Timer(1.5, leases.fail, (lease, "no orders")).start()
    ran = koc("jobs", "show", job.job_id, "--wait", "--home", tmp_path)
    assert ran.status == 1
    assert ran.err.splitlines() == ["  running reading orders"]
    assert "error: no orders" in ran.out
