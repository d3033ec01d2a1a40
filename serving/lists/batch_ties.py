"""The ties of a batch as numbers, so that those of some rows are found at once."""

from dataclasses import dataclass
from threading import Lock
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from serving.lists.selection import Rows
from serving.store.batch import Batch


@dataclass(frozen=True)
class BatchTies:
    """See `serving.lists.diversity.Pairs`. People who are not in the batch have numbers after its rows.

    ``starts``: (rows + 1,) where the ties that end at each row start; ``people``: (ties,) who may follow.
    """

    starts: npt.NDArray[np.int64]
    people: npt.NDArray[np.int64]

    def __call__(self, rows: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
        first, count = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(rows, count), self.people[np.repeat(first, count) + within]


_READ: WeakKeyDictionary[Batch, BatchTies] = WeakKeyDictionary()
"""Of each batch that somebody still holds."""

_READING = Lock()


def batch_ties(batch: Batch) -> BatchTies:
    """Reads all ties of the batch, once: seconds where there are millions."""
    with _READING:
        found = _READ.get(batch)
        if found is None:
            found = _READ[batch] = _read(batch)
        return found


def _read(batch: Batch) -> BatchTies:
    ids, ties = batch.table(columns=["user_id"])["user_id"].combine_chunks(), batch.ties()
    to = pc.index_in(ties["influencer_id"], value_set=ids)
    ties = ties.select(["user_id"]).append_column("to", to).filter(pc.is_valid(to)).combine_chunks()
    people = pc.index_in(ties["user_id"], value_set=ids).combine_chunks()
    others = ties["user_id"].filter(pc.is_null(people)).combine_chunks().dictionary_encode().indices
    codes = np.asarray(pc.fill_null(people, -1).to_numpy(), dtype=np.int64)
    codes[codes < 0] = len(batch) + others.cast(pa.int64()).to_numpy()
    rows = np.asarray(ties["to"].to_numpy(), dtype=np.int64)
    order = np.argsort(rows, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(batch)))]).astype(np.int64)
    return BatchTies(starts, codes[order])
