"""The batch that a running process serves: the current one, or the last that was whole."""

import logging
import threading
import time

from features.errors import ScoresError
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore

log = logging.getLogger(__name__)


class Served:
    """Follows the store's current batch; a spoilt one is reported, and what was served before stays.

    ``patience``: seconds between two looks at which batch is current.
    """

    def __init__(self, store: ScoreStore, patience: float = 1.0) -> None:
        self.store, self.patience = store, patience
        self._lock = threading.Lock()
        self._batch: Batch | None = None
        self._spoilt: str | None = None
        self._looked = -float("inf")

    @property
    def batch(self) -> Batch:
        """The batch to answer from; hold it for the whole of an answer.

        Raises:
            ScoresError: there is no batch that can be read.
        """
        batch = self._batch
        if batch is not None and time.monotonic() - self._looked < self.patience:
            return batch
        return self.refresh()

    def refresh(self) -> Batch:
        """As ``batch``, after a look at which one is current."""
        with self._lock:
            self._looked = time.monotonic()
            name: str | None = None
            try:
                name = self.store.current_id()
                if self._batch is None or self._batch.manifest.batch != name != self._spoilt:
                    self._batch = self.store.open(name)
            except ScoresError as error:
                self._spoilt = name
                log.warning("%s", error)
                if self._batch is None:
                    self._batch = self._newest_intact(error)
            return self._batch

    def _newest_intact(self, error: ScoresError) -> Batch:
        for manifest in self.store.batches():
            try:
                batch = self.store.open(manifest.batch)
            except ScoresError as spoilt:
                log.warning("%s", spoilt)
                continue
            log.warning("batch %s is served instead", manifest.batch)
            return batch
        raise error
