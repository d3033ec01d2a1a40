"""Structure of graphs by igraph, which no other file knows: rank, cores, clustering, and clusters of people."""

import random

import igraph
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from features.arcs import Arcs, either_way, ends_of

SEED = 0
PARTS = 5


def structure_of(names: pa.Array, arcs: Arcs) -> pa.Table:
    """names: (N,) ids; arcs: distinct ties between them. One row per name."""
    size = len(names)
    directed = _graph(size, arcs, directed=True)
    # Several threads add up in another order each time, which changes the last bits of a rank.
    with threadpool_limits(1, user_api="openmp"):
        rank = np.asarray(directed.pagerank(damping=0.85)) if size else np.array([])
    del directed
    undirected, _ = pairs_graph(size, arcs)
    clustering = np.asarray(undirected.transitivity_local_undirected(mode="nan"), dtype=float)
    return pa.table(
        {
            "user_id": names,
            "pagerank_log": pa.array(np.log10(rank * max(size, 1))),
            "core": pa.array(np.asarray(undirected.coreness(), dtype=np.int64)),
            "clustering": pa.array(clustering, mask=np.isnan(clustering)),
        }
    )


def pairs_graph(size: int, arcs: Arcs) -> tuple[igraph.Graph, NDArray[np.int8]]:
    """The undirected graph of ``size`` people with one edge for each two that ``arcs`` join, and how many join each: 1 or 2.

    The order of its edges depends on ids only.
    """
    pairs, ties = either_way(arcs, size)
    return _graph(size, pairs), ties


def clusters_of(graph: igraph.Graph, ties: NDArray[np.int8]) -> NDArray[np.int64]:
    """(N,) cluster of each node of `pairs_graph` by the Leiden algorithm on modularity (Traag, Waltman and van Eck 2019),
    each edge weighing as many as its ``ties``: with one seed always the same."""
    # igraph draws from one generator of the whole process.
    igraph.set_random_number_generator(random.Random(SEED))
    try:
        found = graph.community_leiden(objective_function="modularity", weights=ties)
    finally:
        igraph.set_random_number_generator(random)
    return np.asarray(found.membership, dtype=np.int64)


def _graph(size: int, edges: Arcs, *, directed: bool = False) -> igraph.Graph:
    """Edges come in parts, in their order: of all at once igraph takes 160 bytes each on the way."""
    graph = igraph.Graph(n=size, directed=directed)
    for part in np.array_split(edges, PARTS):
        graph.add_edges(ends_of(part, size))
    return graph
