"""Wakes workers when a job waits; the job itself stays in the database, where a worker whose call was lost finds it."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from serving.settings import ServiceSettings

if TYPE_CHECKING:
    from huey.storage import BaseStorage

FILE = "wakes.db"
LOOK_SECONDS = 0.2
"""Between two looks into the file; Redis tells by itself."""


class Queue:
    """Wake-up calls, each taken by one worker: through Redis where the settings name one, else through a file at home.

    What is sent are plain ids in the queue of huey's storage, and not huey's tasks: these are pickles, with which
    whoever can write to Redis could run code in a worker. Nor does a huey consumer work: it removes a task before it runs
    it, so that one which is killed loses it.
    """

    def __init__(self, settings: ServiceSettings, tell: Callable[[str], None] = lambda _: None) -> None:
        """tell: told once when calls cannot be sent or heard; work goes on, if some seconds later."""
        self._settings = settings
        self._tell = tell
        self._storage: BaseStorage | None = None
        self._deaf = False

    def ring(self, job_id: str) -> None:
        """Wake one worker; a call that cannot be sent is only told of, since workers look for themselves too."""
        with self._trouble("wake a worker"):
            self._opened().enqueue(job_id.encode())

    def wait(self, seconds: float, stopping: Callable[[], bool] = lambda: False) -> None:
        """Return when called, after ``seconds``, or soon after ``stopping()``."""
        until = time.monotonic() + seconds
        while not stopping() and (left := until - time.monotonic()) > 0:
            with self._trouble("hear of new jobs"):
                if self._opened().dequeue() is not None:
                    return
            # Redis has waited for a call already, unless it is away.
            if self._deaf or not self._settings.redis_url:
                time.sleep(min(LOOK_SECONDS, left))

    def close(self) -> None:
        if self._storage is not None:
            self._storage.close()

    def _opened(self) -> "BaseStorage":
        from huey.storage import RedisStorage, SqliteStorage

        if self._storage is None:
            if self._settings.redis_url:
                self._storage = RedisStorage("koc", url=self._settings.redis_url)
            else:
                self._settings.home.mkdir(parents=True, exist_ok=True)
                self._storage = SqliteStorage("koc", filename=str(self._settings.home / FILE))
        return self._storage

    @contextlib.contextmanager
    def _trouble(self, what: str) -> Iterator[None]:
        """What the file or Redis raises is told of once, until it works again."""
        import sqlite3

        from redis.exceptions import RedisError

        try:
            yield
        except (RedisError, sqlite3.Error, OSError) as error:
            if not self._deaf:
                self._tell(
                    f"cannot {what} through {self._settings.redis_url or FILE}: {error}; workers look every few seconds"
                )
            self._deaf = True
        else:
            self._deaf = False
