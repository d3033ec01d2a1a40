"""One job in a process of its own, so that a crash, a leak or a cancelled job ends here and not in the worker."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable

import sqlalchemy as sa

from features.errors import KocError
from serving.access.principal import LOCAL
from serving.jobs.jobs import Jobs
from serving.jobs.kinds import Kind, Work
from serving.jobs.leases import Cancelled, Interruption, Lease, Leases, LostLease, Stopped
from serving.settings import ServiceSettings
from serving.state.database import Database

ORPHANED = 3
"""Exit status of a job whose worker died."""

TELL_SECONDS = 0.5
"""Between two writes of progress."""


def run_job(settings: ServiceSettings, kind: Kind, lease: Lease) -> None:
    """Do the job that ``lease`` holds and write how it ended; meant for a spawned process."""
    threading.Thread(target=_end_with_worker, daemon=True).start()
    database = Database(settings.operations_url, migrate=False)
    leases = Leases(database, settings.lease_seconds)
    reporter = Reporter(leases, lease)
    # Ctrl-C and a service manager's stop go to all processes at once; here it is the worker that decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: reporter.interrupt(Stopped(lease.job_id)))

    def patiently(write: Callable[[], object]) -> None:
        """A database that is away for less than a lease does not cost hours of work."""
        until = time.monotonic() + settings.lease_seconds
        while True:
            try:
                write()
            except sa.exc.OperationalError:
                if time.monotonic() >= until:
                    raise
                time.sleep(1)
            else:
                return

    def last_chance() -> None:
        reporter.tell()
        patiently(lambda: leases.tell(lease))

    with contextlib.suppress(LostLease):
        try:
            with reporter:
                job = Jobs(database, {}).get(LOCAL, lease.job_id)
                result = kind.run(Work(job, settings, database, reporter.tell, last_chance))
            patiently(lambda: leases.succeed(lease, result))
        except Cancelled:
            leases.cancel(lease)
        except Stopped:
            leases.release(lease)
        except KocError as error:
            told = str(error)
            patiently(lambda: leases.fail(lease, told))
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            told = f"{type(error).__name__}: {error}; the worker's log has the traceback"
            patiently(lambda: leases.fail(lease, told))


class Reporter:
    """Writes progress beside the work and hears when that shall end.

    In a thread of its own, because the work may be inside of a transaction, which on SQLite keeps all other writers out.
    """

    def __init__(self, leases: Leases, lease: Lease) -> None:
        self._leases = leases
        self._lease = lease
        self._news: dict[str, float | str] = {}
        self._why: Interruption | None = None
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._report, daemon=True)

    def tell(self, step: str | None = None, progress: float | None = None) -> None:
        """Raises:
        Interruption: the work shall end.
        """
        if self._why is not None:
            raise self._why
        told = {name: value for name, value in (("progress", progress), ("step", step)) if value is not None}
        self._news = {**self._news, **told}

    def interrupt(self, why: Interruption) -> None:
        """End the work at its next step."""
        self._why = why

    def __enter__(self) -> "Reporter":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _report(self) -> None:
        written: dict[str, float | str] = {}
        while not self._done.wait(TELL_SECONDS):
            news = self._news
            try:
                self._leases.tell(self._lease, **({} if news == written else news))  # type: ignore[arg-type]
                written = news
            except Interruption as why:
                self.interrupt(why)
                return
            except sa.exc.OperationalError:
                # Said again later; whether the lease is lost meanwhile, the worker sees.
                continue


def _end_with_worker() -> None:
    worker = multiprocessing.parent_process()
    if worker is not None:
        multiprocessing.connection.wait([worker.sentinel])
        # At once and without cleaning up: another worker may begin the job any moment now.
        os._exit(ORPHANED)
