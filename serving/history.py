"""What the batches that are kept say of one user, one after the other."""

import logging
import threading
from typing import Any

import numpy as np

from features.errors import ScoresError
from serving.store.batch import Batch
from serving.store.schemas import INDEX, TABLE
from serving.store.score_store import ScoreStore

log = logging.getLogger(__name__)

SHOWN = ("koc_score", "koc_percentile", "churn_probability", "activation", "stage")


class History:
    """The kept batches of a store, each opened once; a spoilt one is reported and left out.

    Of each only the scores and their index are open; those of one that the store has removed until the next question.
    """

    def __init__(self, store: ScoreStore) -> None:
        self.store = store
        self._lock = threading.Lock()
        self._open: dict[str, Batch | None] = {}

    def of(self, user_id: str, dataset: str) -> list[dict[str, Any]]:
        """``batch``, ``as_of``, ``model`` and those of ``SHOWN`` that the batch has, the latest date first, of each batch of
        ``dataset`` that knows the user; of several with one date, the latest written first."""
        told = []
        for batch in self._batches():
            if batch.manifest.dataset == dataset:
                try:
                    told += _entries(batch, user_id)
                except ScoresError as error:
                    log.warning("%s", error)
        return sorted(told, key=lambda entry: str(entry["as_of"]), reverse=True)

    def _batches(self) -> list[Batch]:
        kept = [manifest.batch for manifest in self.store.batches()]
        with self._lock:
            self._open = {name: self._open[name] if name in self._open else self._opened(name) for name in kept}
            return [batch for batch in self._open.values() if batch is not None]

    def _opened(self, name: str) -> Batch | None:
        try:
            return Batch(self.store.folder / name, (TABLE, INDEX))
        except ScoresError as error:
            log.warning("%s", error)
            return None


def _entries(batch: Batch, user_id: str) -> list[dict[str, Any]]:
    """One entry, or none if the batch does not know the user."""
    row, manifest = int(batch.rows_of([user_id])[0]), batch.manifest
    if row < 0:
        return []
    values = batch.table(np.array([row]), [name for name in SHOWN if name in manifest.columns]).to_pylist()[0]
    return [{"batch": manifest.batch, "as_of": manifest.as_of, "model": manifest.model, **values}]
