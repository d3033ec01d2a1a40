"""How near everybody is to people who move others now: steps along ties."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import breadth_first_order

from training.frame import Ties

KOC_TIERS = ("head", "waist")
"""Tiers of a KOC; one who moved somebody within the last horizon is active."""


def hops_to_koc(ties: Ties, kocs: NDArray[np.bool_]) -> pa.Array:
    """(N,) int64: ties, followed in either direction, on the shortest way to one of ``kocs`` (N,); 0 for these.

    Null where no way leads to any. Ways may lead through people who have not acted yet, and who have no row.
    """
    size = len(kocs) + len(ties.strangers)
    # A node that all of them hang on turns many starts into one.
    start, first = np.flatnonzero(kocs).astype(np.int32), size
    ends = (
        np.concatenate([ties.followers, start]),
        np.concatenate([ties.influencers, np.full(len(start), first, np.int32)]),
    )
    graph = coo_array((np.ones(len(ends[0]), np.int8), ends), (size + 1, size + 1)).tocsr()
    order, before = breadth_first_order(graph, first, directed=False)
    place = np.empty(size + 1, np.int64)
    place[order] = np.arange(len(order))
    # The order goes level by level, so that the people found from one level stand together behind it.
    found_from = place[before[order[1:]]]
    hops, level, begin, end = np.full(size + 1, -1), 0, 1, 1 + int(np.searchsorted(found_from, 1))
    while begin < end:
        hops[order[begin:end]] = level
        begin, end, level = end, 1 + int(np.searchsorted(found_from, end)), level + 1
    own = hops[: len(kocs)]
    return pa.array(own, mask=own < 0)
