"""What a user can know of the people around without learning: features averaged along every path of the graph.

Propagate first and learn after (Wu et al., Simplifying Graph Convolutional Networks, 2019; Frasca et al., SIGN: Scalable
Inception Graph Neural Networks, 2020): the graph is read once for each date, and training sees rows only.
"""

from collections.abc import Iterator

import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import SimpleConv

from training.graph import Path, paths


def propagate(graph: HeteroData, x: torch.Tensor, hops: int) -> Iterator[tuple[str, torch.Tensor]]:
    """x: (N, C) features of users -> names of paths and (N, C), the means at their far ends; 0 for users without any."""
    conv = SimpleConv(aggr="sum")
    named = [*paths(graph.edge_types, hops)]
    # Kept of each path is what longer ones go on from, and no more: of a large graph all would not fit.
    onward = {path[:length] for _, path in named for length in range(len(path))}
    known: dict[Path, torch.Tensor] = {(): x}

    def carried(path: Path) -> torch.Tensor:
        if path in known:
            return known[path]
        state, adj_t = carried(path[:-1]), graph[path[-1]].adj_t
        # Sources and targets differ where a path leads from users to subjects.
        found: torch.Tensor = conv((state, state.new_empty(adj_t.shape[0], 0)), adj_t)
        if path in onward:
            known[path] = found
        return found

    for name, path in named:
        yield name, carried(path)
