"""The worker: takes one waiting job after the other, each into a process of its own, until it is told to stop."""

import multiprocessing
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from multiprocessing.context import SpawnProcess

import sqlalchemy as sa

from serving.jobs.child import run_job
from serving.jobs.jobs import Job, Jobs
from serving.jobs.kinds import Kind
from serving.jobs.leases import Lease, Leases, LostLease
from serving.jobs.queue import Queue
from serving.jobs.schedule import Schedule
from serving.jobs.states import JobState
from serving.settings import ServiceSettings
from serving.state.database import Database

POLL_SECONDS = 3.0
"""Between two looks for a job whose wake-up call was lost or whose worker died."""

LOOK_SECONDS = 1.0
"""Between two looks whether the running job shall be cancelled."""

PATIENCE = 10.0
"""Seconds that a job has to stop by itself before its process is killed."""


class Worker:
    """One worker; any number may run, on any machine that sees the same database and files."""

    def __init__(
        self,
        settings: ServiceSettings,
        kinds: Mapping[str, Kind],
        *,
        tell: Callable[[str], None] = lambda _: None,
        poll_seconds: float = POLL_SECONDS,
        patience: float = PATIENCE,
    ) -> None:
        """tell: told what begins and how it ends, a line each."""
        self.name = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
        self._settings = settings
        self._kinds = kinds
        self._tell = tell
        self._poll_seconds = poll_seconds
        self._patience = patience
        self._database = Database(settings.operations_url)
        self._leases = Leases(self._database, settings.lease_seconds)
        self._queue = Queue(settings, tell)
        self._schedule = Schedule(Jobs(self._database, kinds), settings.schedule, tell)
        self._stopping = threading.Event()

    def stop(self, *_: object) -> None:
        """Take no more jobs, and give back the running one; a signal handler, too."""
        self._stopping.set()

    def stop_on_signals(self) -> None:
        """SIGTERM and Ctrl-C stop this worker cleanly."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.stop)

    def run(self, *, once: bool = False) -> None:
        """Work until stopped; ``once``: until nothing waits."""
        self._tell(f"worker {self.name} waits for {', '.join(self._kinds)}")
        while not self._stopping.is_set():
            try:
                self._schedule.tick()
                job = self._leases.claim(self.name, self._kinds)
                if job is not None:
                    self._work(job)
                elif once:
                    break
                else:
                    self._queue.wait(self._poll_seconds, self._stopping.is_set)
            except sa.exc.OperationalError as error:
                self._tell(f"the database does not answer: {error.orig}; trying again")
                self._stopping.wait(self._poll_seconds)
        self._tell(f"worker {self.name} has stopped")
        self._queue.close()
        self._database.close()

    def _work(self, job: Job) -> None:
        lease = Lease(job.job_id, self.name, job.attempts)
        self._tell(f"{job.kind} {job.job_id}: attempt {job.attempts} of {job.most_attempts}")
        process = multiprocessing.get_context("spawn").Process(
            target=run_job, args=(self._settings, self._kinds[job.kind], lease), name=f"koc {job.kind} {job.job_id}"
        )
        began = time.monotonic()
        process.start()
        try:
            self._watch(process, lease)
        finally:
            # Also when the database fails: a process that nobody watches must not go on.
            process.kill()
            process.join()
        try:
            ended: str = self._ended(lease, process.exitcode)
        except LostLease:
            ended = "another worker has it now,"
        self._tell(f"{job.kind} {job.job_id}: {ended} after {time.monotonic() - began:.1f} s")

    def _watch(self, process: SpawnProcess, lease: Lease) -> None:
        """Return when the process has ended, when it did not stop though it should, or when the lease is lost."""
        length = self._settings.lease_seconds
        renewed = looked = time.monotonic()
        leave_by: float | None = None
        while process.is_alive():
            process.join(min(LOOK_SECONDS / 4, length / 10))
            now = time.monotonic()
            if leave_by is not None and now >= leave_by:
                return
            try:
                if now - renewed >= length / 3:
                    self._leases.beat(lease)
                    renewed = now
                if leave_by is None and self._stopping.is_set():
                    process.terminate()
                    leave_by = now + self._patience
                elif leave_by is None and now - looked >= LOOK_SECONDS:
                    looked = now
                    leave_by = now + self._patience if self._leases.cancel_asked(lease) else None
            except LostLease:
                # Mostly because the process has just written how the job ended: it may leave in peace.
                process.join(LOOK_SECONDS)
                return
            except sa.exc.OperationalError:
                if now - renewed >= length:
                    raise

    def _ended(self, lease: Lease, exitcode: int | None) -> JobState:
        """How the job ended; where its process could not say so, that is written here."""
        try:
            if self._stopping.is_set():
                return self._leases.release(lease)
            return self._leases.crashed(lease, f"the job's process {_death(exitcode)}")
        except LostLease:
            return self._leases.state_after(lease)


def _death(exitcode: int | None) -> str:
    if exitcode == -signal.SIGKILL:
        return "was killed, perhaps for want of memory,"
    if exitcode is not None and exitcode < 0:
        return f"died of {signal.Signals(-exitcode).name}"
    return f"ended with status {exitcode}"
