"""The ties of a batch, read for some rows at a time."""

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from serving.lists.selection import Rows
from serving.store.batch import Batch


class BatchTies:
    """See `serving.lists.diversity.Pairs`. People who are not in the batch have numbers after its rows."""

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self._others: dict[str, int] = {}

    def __call__(self, rows: Rows) -> tuple[Rows, npt.NDArray[np.int64]]:
        influencers = self.batch.table(rows, ["user_id"])["user_id"].combine_chunks()
        ties = self.batch.ties(influencers)
        place = pc.index_in(ties["influencer_id"].combine_chunks(), value_set=influencers).to_numpy()
        followers = ties["user_id"].to_pylist()
        codes = self.batch.rows_of(followers)
        first = len(self.batch)
        for at in np.flatnonzero(codes < 0).tolist():
            codes[at] = first + self._others.setdefault(followers[at], len(self._others))
        return rows[place], codes
