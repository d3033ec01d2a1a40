"""Rings of people who help each other in turn: dense cores of the graph of mutual help."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix, csr_matrix
from scipy.sparse.csgraph import connected_components

Ints = npt.NDArray[np.int64]

LEAST_TIMES = 2
"""Helps that each gave the other: friends may return one favour."""

CORE = 3
"""Mutual helpers of each within the ring, so that a ring has four members or more."""

MOST_MEMBERS = 50
"""A core beyond this is a busy community, not a deal among friends."""

DENSITY = 0.5
"""Share of the pairs of a ring that help each other; in a crowd of acquaintances it is far less."""


def mutual_rings(helper: Ints, helped: Ints, times: Ints, size: int) -> Ints:
    """(size,) ring of each user, its smallest member, or -1.

    A ring is a connected ``CORE``-core (Seidman, Network structure and minimum degree, Social Networks 1983) of the graph
    whose edges are pairs that helped each other at least ``LEAST_TIMES`` times both ways, of at most ``MOST_MEMBERS`` and
    at least ``DENSITY``. Arrays: (k,) distinct directed pairs and how often.
    """
    often = times >= LEAST_TIMES
    given = csr_matrix((np.ones(int(often.sum()), np.int8), (helper[often], helped[often])), shape=(size, size))
    mutual = given.multiply(given.T).tocsr()
    kept = core_members(mutual, CORE)
    ring = np.full(size, -1, dtype=np.int64)
    if not kept.size:
        return ring
    inside = mutual[kept][:, kept]
    count, component = connected_components(inside, directed=False)
    # By component in one pass: there may be as many rings as members.
    order = np.argsort(component, kind="stable")
    for own in np.split(order, np.cumsum(np.bincount(component, minlength=count))[:-1]):
        pairs = own.size * (own.size - 1)
        if own.size <= MOST_MEMBERS and inside[own][:, own].nnz >= DENSITY * pairs:
            ring[kept[own]] = kept[own].min()
    return ring


def core_members(graph: csr_matrix, core: int) -> Ints:
    """Nodes of the ``core``-core of a symmetric graph, sorted."""
    kept = np.arange(graph.shape[0])
    while True:
        degree = np.asarray(graph.sum(axis=1)).ravel()
        enough = degree >= core
        if enough.all():
            return kept
        kept, graph = kept[enough], graph[enough][:, enough]


def pair_counts(helper: Ints, helped: Ints, size: int) -> tuple[Ints, Ints, Ints]:
    """Distinct directed pairs, sorted, and how often each occurs."""
    counted = coo_matrix((np.ones(helper.size, np.int64), (helper, helped)), shape=(size, size)).tocsr()
    counted.sum_duplicates()
    counted.sort_indices()
    pairs = counted.tocoo()
    return pairs.row.astype(np.int64), pairs.col.astype(np.int64), pairs.data.astype(np.int64)
