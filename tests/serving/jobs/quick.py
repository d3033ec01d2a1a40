"""A kind of job for tests that takes as long as it is told to, and a worker that knows it.

python -m tests.serving.jobs.quick HOME [DATABASE_URL]     a worker of its own process, until it is stopped
"""

import os
import sys
import time
from collections.abc import Mapping
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from features.errors import ScoresError
from serving.access.principal import Principal, Scope
from serving.jobs.kinds import Kind, Work, registry
from serving.jobs.worker import Worker
from serving.settings import ServiceSettings

K1, K2 = (Principal(name, name, frozenset([Scope.OPERATE])) for name in ("k1", "k2"))
LEASE = timedelta(seconds=1)


class Quick(BaseModel):
    """``seconds`` of work in steps of a twentieth of a second; ``how``: what happens at the end of it."""

    name: str = "it"
    seconds: float = 0.0
    how: str = "well"
    deaf: bool = False


def run(work: Work) -> Mapping[str, Any]:
    """Writes one file named after the job, whole or not at all, as a job that can be repeated does."""
    asked = Quick.model_validate(work.job.arguments)
    trace(work, "begins")
    until = time.monotonic() + asked.seconds
    while (left := until - time.monotonic()) > 0:
        if not asked.deaf:
            work.progress("waiting", 1 - left / asked.seconds)
        time.sleep(min(left, 0.05))
    match asked.how:
        case "refused":
            raise ScoresError("nobody acted before 2020-01-01; score a later date")
        case "broken":
            raise ValueError("not a number")
        case "killed":
            os.kill(os.getpid(), 9)
        case "killed once" if work.job.attempts == 1:
            os.kill(os.getpid(), 9)
    work.last_chance()
    file = work.settings.home / "done" / work.job.job_id
    partial_file = file.with_name(f".{file.name}-{os.getpid()}")
    partial_file.write_text(asked.name)
    os.replace(partial_file, file)
    return {"name": asked.name}


def trace(work: Work, what: str) -> None:
    """Add a line to the log of what happened to a job: who, and in which process."""
    with (work.settings.home / "trace").open("a") as file:
        file.write(f"{work.job.job_id} {what} {work.job.attempts} {os.getpid()}\n")


KINDS = registry([Kind("quick", "operate", Quick, run)])


def settings(home: Path, url: str | None = None, redis_url: str | None = None) -> ServiceSettings:
    """Those of a service that notices dead workers within a second."""
    (home / "done").mkdir(parents=True, exist_ok=True)
    return ServiceSettings(home=home, database_url=url, redis_url=redis_url, lease_seconds=LEASE.total_seconds())


def worker(home: Path, url: str | None = None, redis_url: str | None = None, **options: Any) -> Worker:
    """A worker for quick jobs that looks for them five times a second."""
    return Worker(settings(home, url, redis_url), KINDS, **{"poll_seconds": 0.2, "patience": 1.0, **options})


if __name__ == "__main__":
    working = worker(Path(sys.argv[1]), *sys.argv[2:3], tell=partial(print, flush=True))
    working.stop_on_signals()
    working.run()
