"""What a user can know of the people around without learning: features averaged along every path of the graph.

Propagate first and learn after (Wu et al., Simplifying Graph Convolutional Networks, 2019; Frasca et al., SIGN: Scalable
Inception Graph Neural Networks, 2020): the graph is read once for each date, and training sees rows only.
"""

from collections.abc import Mapping

import torch
from torch_geometric.data import HeteroData
from torch_geometric.nn import SimpleConv

from training.graph import Path, paths


def propagate(graph: HeteroData, x: torch.Tensor, hops: int) -> Mapping[str, torch.Tensor]:
    """x: (N, C) features of users -> name of a path -> (N, C), the means at its far end; 0 for users without any."""
    conv = SimpleConv(aggr="sum")
    known: dict[Path, torch.Tensor] = {(): x}

    def carried(path: Path) -> torch.Tensor:
        if path not in known:
            state, adj_t = carried(path[:-1]), graph[path[-1]].adj_t
            # Sources and targets differ where a path leads from users to subjects.
            known[path] = conv((state, state.new_empty(adj_t.shape[0], 0)), adj_t)
        return known[path]

    return {name: carried(path) for name, path in paths(graph.edge_types, hops)}
