"""The batch that a running process serves: the current one, or the last that was whole."""

import logging
import threading
import time
from concurrent.futures import Future
from contextlib import suppress

from features.errors import ScoresError
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore

log = logging.getLogger(__name__)

RETRY = 60.0
"""Seconds after which a batch that could not be read is tried again: its disk may have been away."""

PROMPT = 1.0
"""Seconds that a service which starts waits for the checksums of its first batch: a large one takes as long to read as its
disk takes."""


class Served:
    """Follows the store's current batch; a spoilt one is reported, and what was served before stays.

    A batch is compared with its checksums before it takes the place of another. The first one is answered from while the
    rest of it is still compared, each answer after the checksums of what it is made of; if it is spoilt elsewhere, the
    newest that is whole takes its place.

    ``patience``: seconds between two looks at which batch is current; ``prompt``: that the first answer waits for checksums.
    """

    def __init__(self, store: ScoreStore, patience: float = 1.0, prompt: float = PROMPT) -> None:
        self.store, self.patience, self.prompt = store, patience, prompt
        self._opening = threading.Lock()
        self._batch: Batch | None = None
        self._followed: str | None = None
        self._spoilt: ScoresError | None = None
        self._looked, self._again = -float("inf"), float("inf")

    @property
    def batch(self) -> Batch:
        """The batch to answer from; hold it for the whole of an answer.

        A new one is read through in the background, which takes seconds where it is large, and served from then on.

        Raises:
            ScoresError: there is no batch that can be read.
        """
        batch, now = self._batch, time.monotonic()
        if batch is None:
            return self.refresh()
        if now - self._looked >= self.patience and not self._opening.locked():
            self._looked = now
            if self._moved():
                threading.Thread(target=self.refresh, name="next batch", daemon=True).start()
        return batch

    def refresh(self) -> Batch:
        """As ``batch``, but the current one is read through first if it is another.

        Raises:
            ScoresError: there is no batch that can be read.
        """
        with self._opening:
            self._looked = time.monotonic()
            if self._batch is None:
                self._batch = self._first()
            elif self._moved():
                self._batch = self._next(self._batch)
            return self._batch

    def _moved(self) -> bool:
        """Whether the store names another batch than that which was opened or tried last, or it is time to try again."""
        try:
            name: str | None = self.store.current_id()
        except ScoresError:
            name = None
        return name != self._followed or time.monotonic() >= self._again

    def _current(self) -> Batch:
        self._followed, self._spoilt, self._again = None, None, float("inf")
        try:
            self._followed = self.store.current_id()
            return self.store.open(self._followed)
        except ScoresError:
            self._again = time.monotonic() + RETRY
            raise

    def _next(self, before: Batch) -> Batch:
        try:
            return self._current().verify()
        except ScoresError as error:
            self._again = time.monotonic() + RETRY
            log.warning("%s; batch %s is served still", error, before.manifest.batch)
            return before

    def _first(self) -> Batch:
        if self._spoilt is not None and not self._moved():
            return self._newest_intact(self._spoilt)
        try:
            batch = self._current()
        except ScoresError as error:
            return self._newest_intact(error)
        compared: Future[Batch] = Future()
        threading.Thread(target=self._compare, args=(batch, compared), name="checksums", daemon=True).start()
        try:
            return compared.result(self.prompt)
        except TimeoutError:
            return batch
        except ScoresError as error:
            self._spoilt, self._again = error, time.monotonic() + RETRY
            return self._newest_intact(error)

    def _compare(self, batch: Batch, compared: "Future[Batch]") -> None:
        """Compare all checksums of the first batch; if one differs after it was answered from, another takes its place."""
        try:
            compared.set_result(batch.verify())
            return
        except ScoresError as spoilt:
            error = spoilt
            compared.set_exception(spoilt)
        with self._opening:
            answered = self._batch is batch
        if answered:
            instead = None
            with suppress(ScoresError):
                instead = self._newest_intact(error)
            with self._opening:
                # Meanwhile a new one may have come.
                if self._batch is batch:
                    self._batch, self._spoilt, self._again = instead, error, time.monotonic() + RETRY

    def _newest_intact(self, error: ScoresError) -> Batch:
        for manifest in self.store.batches():
            if manifest.batch == self._followed:
                continue
            try:
                batch = self.store.open(manifest.batch).verify()
            except ScoresError as spoilt:
                log.warning("%s", spoilt)
                continue
            log.warning("%s; batch %s is served instead", error, manifest.batch)
            return batch
        log.warning("%s; there is no other to serve", error)
        raise error
