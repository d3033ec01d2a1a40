"""Structure of graphs by igraph, which no other file knows: rank, cores, clustering, and clusters of people."""

import random

import igraph
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

SEED = 0


def structure_of(names: np.ndarray, arcs: np.ndarray) -> pa.Table:
    """names: (N,) ids; arcs: (E, 2) codes, user -> influencer, distinct. One row per name."""
    graph = igraph.Graph(n=len(names), edges=arcs, directed=True)
    # Several threads add up in another order each time, which changes the last bits of a rank.
    with threadpool_limits(1, user_api="openmp"):
        rank = np.asarray(graph.pagerank(damping=0.85)) if len(names) else np.array([])
    undirected = graph.as_undirected(mode="collapse")
    clustering = np.asarray(undirected.transitivity_local_undirected(mode="nan"), dtype=float)
    return pa.table(
        {
            "user_id": pa.array(names, pa.string()),
            "pagerank_log": pa.array(np.log10(rank * max(len(names), 1))),
            "core": pa.array(np.asarray(undirected.coreness(), dtype=np.int64)),
            "clustering": pa.array(clustering, mask=np.isnan(clustering)),
        }
    )


def clusters_of(size: int, edges: NDArray[np.int64], weight: NDArray[np.float64]) -> NDArray[np.int64]:
    """(size,) cluster of each node by the Leiden algorithm on modularity (Traag, Waltman and van Eck 2019).

    edges: (E, 2) undirected, distinct, in an order that depends on ids only: with that and one seed the result is always
    the same. weight: (E,) > 0.
    """
    graph = igraph.Graph(n=size, edges=edges)
    # igraph draws from one generator of the whole process.
    igraph.set_random_number_generator(random.Random(SEED))
    try:
        found = graph.community_leiden(objective_function="modularity", weights=weight.tolist())
    finally:
        igraph.set_random_number_generator(random)
    return np.asarray(found.membership, dtype=np.int64)
