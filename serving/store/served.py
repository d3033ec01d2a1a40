"""The batch that a running process serves: the current one, or the last that was whole."""

import logging
import threading
import time

from features.errors import ScoresError
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore

log = logging.getLogger(__name__)

RETRY = 60.0
"""Seconds after which a batch that could not be read is tried again: its disk may have been away."""


class Served:
    """Follows the store's current batch; a spoilt one is reported, and what was served before stays.

    ``patience``: seconds between two looks at which batch is current.
    """

    def __init__(self, store: ScoreStore, patience: float = 1.0) -> None:
        self.store, self.patience = store, patience
        self._opening = threading.Lock()
        self._batch: Batch | None = None
        self._followed: str | None = None
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
            if self._batch is None or self._moved():
                self._batch = self._opened()
            return self._batch

    def _moved(self) -> bool:
        """Whether the store names another batch than that which was opened or tried last, or it is time to try again."""
        try:
            name: str | None = self.store.current_id()
        except ScoresError:
            name = None
        return name != self._followed or time.monotonic() >= self._again

    def _opened(self) -> Batch:
        self._followed, self._again = None, float("inf")
        try:
            self._followed = self.store.current_id()
            return self.store.open(self._followed).verify()
        except ScoresError as error:
            self._again = time.monotonic() + RETRY
            if self._batch is None:
                return self._newest_intact(error)
            log.warning("%s; batch %s is served still", error, self._batch.manifest.batch)
            return self._batch

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
        raise error
