"""What a user can know of the people around without learning: features averaged along every path of the graph.

Propagate first and learn after (Wu et al., Simplifying Graph Convolutional Networks, 2019; Frasca et al., SIGN: Scalable
Inception Graph Neural Networks, 2020): the graph is read once for each date, and training sees rows only.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch
from numba import prange
from torch_geometric.data import HeteroData

from training.graph import Path, paths
from training.machine_code import compiled


def propagate(graph: HeteroData, x: torch.Tensor, hops: int) -> Iterator[tuple[str, torch.Tensor]]:
    """x: (N, C) float32 features of users -> names of paths and (N, C), the means at their far ends; 0 for users without
    any."""
    named = [*paths(graph.edge_types, hops)]
    # Kept of each path is what longer ones go on from, and no more: of a large graph all would not fit.
    onward = {path[:length] for _, path in named for length in range(len(path))}
    known: dict[Path, npt.NDArray[np.float32]] = {(): np.ascontiguousarray(x.numpy())}
    for name, path in named:
        begun = max(length for length in range(len(path) + 1) if path[:length] in known)
        found = known[path[:begun]]
        for length in range(begun, len(path)):
            found = _means(graph[path[length]].adj_t, found)
            if path[: length + 1] in onward:
                known[path[: length + 1]] = found
        yield name, torch.from_numpy(found)


def _means(adj_t: torch.Tensor, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """adj_t: (targets, sources) sparse rows, x: (sources, C) -> their product, (targets, C).

    The product of PyTorch takes most of its time where there are many targets and few edges, for memory that the system
    gives page by page; numpy asks for large pages.
    """
    found = np.empty((adj_t.shape[0], x.shape[1]), np.float32)
    edges = adj_t.crow_indices().numpy(), adj_t.col_indices().numpy(), adj_t.values().numpy()
    compiled(_average, parallel=True)(*edges, x, found)
    return found


def _average(starts, sources, weights, x, found):  # type: ignore[no-untyped-def]
    """Write to each row of ``found`` (n, C) the sum of the weighted rows of ``x`` that its edges lead to."""
    rows, width = found.shape
    for row in prange(rows):
        for column in range(width):
            found[row, column] = 0
        for edge in range(starts[row], starts[row + 1]):
            source, weight = sources[edge], weights[edge]
            for column in range(width):
                found[row, column] += weight * x[source, column]
