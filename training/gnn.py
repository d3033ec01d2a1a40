"""The graph network: influence and churn of a user from own features and from those carried along the paths of the graph."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.torch
import torch
from torch import nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from training.crossfit import Groups, Rows
from training.frame import Frame
from training.graph import build_graphs
from training.matrix import CELLS_AT_ONCE, Floats
from training.propagate import propagate
from training.roomy import let_go, roomy

CARRIED = (
    "acts_{w}",
    "acts_decayed",
    "idle_days",
    "known_days",
    "orders_{w}",
    "influence_{w}",
    "influence_decayed",
    "people_moved_{w}",
    "received_{w}",
    "followers",
    "following",
    "mutual",
)
"""Own features that are carried along paths; names as in the dictionary."""

FIRST_GATE = 0.05
"""How loud a path is before training: what is far away must earn its weight, or small data drowns in it."""

LIMIT = 10.0
"""Margins stay within this of the log of the mean, so that one user of an unseen kind cannot be worth a market."""

ROWS_AT_ONCE = 65_536

Inputs = Iterator[tuple[slice, torch.Tensor, torch.Tensor]]
"""Rows, their (n, F) own features and (n, paths x C) carried ones."""


class Network(nn.Module):
    """``members`` networks side by side, which see the same rows and share nothing.

    Each: own features and every path are projected to ``width`` and added, each path scaled by a gate that is learned (as
    in SIGN, with one scale for each path); a residual layer; two outputs, the margin of influence and the logit of churn.
    """

    def __init__(self, members: int, own: int, paths: int, carried: int, width: int, dropout: float) -> None:
        super().__init__()
        self.shape = (members, paths, carried, width)
        self.own = nn.Linear(own, members * width)
        self.paths = nn.Parameter(torch.randn(members, paths, carried, width) / max(carried, 1) ** 0.5)
        self.gates = nn.Parameter(torch.full((members, paths), FIRST_GATE))
        self.scale = nn.Parameter(torch.ones(members, width))
        self.shift = nn.Parameter(torch.zeros(members, width))
        self.hidden = nn.Parameter((2 * torch.rand(members, width, width) - 1) / width**0.5)
        self.bias = nn.Parameter(torch.zeros(members, width))
        self.heads = nn.Parameter((2 * torch.rand(members, width, 2) - 1) / width**0.5)
        self.base = nn.Parameter(torch.zeros(members, 2))
        self.dropout = dropout

    def forward(self, own: torch.Tensor, carried: torch.Tensor) -> torch.Tensor:
        """own: (n, F); carried: (n, paths x C) -> (n, members, 2)."""
        members, paths, features, width = self.shape
        drop = self.dropout
        weight = (self.paths * self.gates[..., None, None]).permute(1, 2, 0, 3).reshape(paths * features, members * width)
        # Whole features are hidden while training, so that no single one is trusted, least of all a far one.
        near = self.own(functional.dropout(own, 0.6 * drop, self.training))
        far = functional.dropout(carried, drop, self.training) @ weight
        h = functional.layer_norm((near + far).view(-1, members, width), (width,)) * self.scale + self.shift
        inner = functional.dropout(functional.gelu(h), drop, self.training)
        inner = functional.gelu(torch.einsum("nmh,mhk->nmk", inner, self.hidden) + self.bias)
        h = h + functional.dropout(inner, drop, self.training)
        return torch.einsum("nmh,mho->nmo", h, self.heads) + self.base


@dataclass(frozen=True)
class Scaling:
    """Signed log of each feature, centred and scaled to the training rows; unknown values become the mean."""

    centre: Floats
    spread: Floats

    @classmethod
    def of(cls, features: Iterable[npt.NDArray[np.floating]]) -> "Scaling":
        """features: one after the other, so that they need not fit, (N,) of the training rows each, nan where unknown."""
        found = []
        for values in features:
            logs = _signed_log(values)
            logs = logs[~np.isnan(logs)]
            spread = logs.std() if len(logs) else 0.0
            found.append((logs.mean() if len(logs) else 0.0, spread if spread > 1e-6 else 1.0))
        centres, spreads = np.array(found, np.float64).reshape(-1, 2).T
        return cls(centres, spreads)

    def apply(self, x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """(N, F) within 4 standard deviations."""
        scaled = np.empty(x.shape, np.float32)
        for column, (centre, spread) in enumerate(zip(self.centre, self.spread, strict=True)):
            scaled[:, column] = np.nan_to_num(np.clip((_signed_log(x[:, column]) - centre) / spread, -4, 4))
        return scaled


def _signed_log(x: npt.NDArray[np.floating]) -> Floats:
    wide = x.astype(np.float64)
    logs: Floats = np.sign(wide) * np.log1p(np.abs(wide))
    return logs


@dataclass(frozen=True)
class Gnn:
    """A fitted network and how its inputs are made; ``paths``: those that its training dates had.

    ``without``: what its graphs do without, see `training.graph.PARTS`. ``means``: (members,) mean influence of
    the rows that each member learned from, which its margins are relative to.
    """

    columns: tuple[str, ...]
    carried: tuple[str, ...]
    paths: tuple[str, ...]
    without: tuple[str, ...]
    hops: int
    scaling: Scaling
    means: Floats
    network: Network

    def inputs(self, frame: Frame, only: Rows | None = None) -> Inputs:
        """Of each part of the users, or of ``only`` (N,) some of them."""
        return inputs(frame, self.without, self.columns, self.carried, self.paths, self.hops, self.scaling, only)

    def outputs(self, frame: Frame, groups: Groups | None = None, only: Rows | None = None) -> Floats:
        """(N, 2) log of expected influence and log-odds of churn.

        groups: (N,) of the frame's users, to let only the member speak that has not seen them. only: (N,) users to be told
        of alone.
        """
        members = groups if groups is None or only is None else groups[only]
        found = np.empty((len(frame.users) if only is None else np.count_nonzero(only), 2))
        for rows, own, carried in self.inputs(frame, only):
            found[rows] = self.of_inputs(own, carried, None if members is None else members[rows])
        return found

    def margin(self, frame: Frame) -> Floats:
        """(N,) log of expected influence."""
        return self.outputs(frame)[:, 0]

    def of_inputs(self, own: torch.Tensor, carried: torch.Tensor, groups: Groups | None = None) -> Floats:
        """As `outputs`, of inputs that are made already."""
        found = np.empty((len(own), 2))
        self.network.eval()
        with torch.no_grad():
            for start in range(0, len(own), ROWS_AT_ONCE):
                rows = slice(start, start + ROWS_AT_ONCE)
                each = self.network(own[rows].float(), carried[rows].float()).numpy().astype(np.float64)
                each[..., 0] = np.clip(each[..., 0], -LIMIT, LIMIT) + np.log(self.means)
                found[rows] = each.mean(axis=1) if groups is None else each[np.arange(len(each)), groups[rows]]
        return found

    def to_dict(self) -> dict[str, Any]:
        """All but the weights, as JSON."""
        return {
            "columns": self.columns,
            "carried": self.carried,
            "paths": self.paths,
            "without": self.without,
            "hops": self.hops,
            "centre": self.scaling.centre.tolist(),
            "spread": self.scaling.spread.tolist(),
            "means": self.means.tolist(),
            "members": self.network.shape[0],
            "width": self.network.shape[3],
        }

    def weights(self) -> bytes:
        """The weights of the network as safetensors."""
        return safetensors.torch.save(self.network.state_dict())

    @classmethod
    def load(cls, content: Mapping[str, Any], weights: bytes) -> "Gnn":
        """What `to_dict` and `weights` gave."""
        columns, carried, paths, without = (tuple(content[name]) for name in ("columns", "carried", "paths", "without"))
        network = Network(content["members"], len(columns), len(paths), len(carried), content["width"], dropout=0.0)
        network.load_state_dict(safetensors.torch.load(weights))
        scaling = Scaling(np.array(content["centre"]), np.array(content["spread"]))
        return cls(columns, carried, paths, without, content["hops"], scaling, np.array(content["means"]), network)


def carried_columns(columns: Iterable[str], windows: Iterable[str]) -> tuple[str, ...]:
    """Those of ``columns`` that are carried along paths."""
    named = {name.replace("{w}", window) for name in CARRIED for window in windows}
    return tuple(column for column in columns if column in named)


def inputs(
    frame: Frame,
    without: Sequence[str],
    columns: tuple[str, ...],
    carried: tuple[str, ...],
    paths: tuple[str, ...],
    hops: int,
    scaling: Scaling,
    only: Rows | None = None,
) -> Inputs:
    """Rows, (n, F) scaled own features, and (n, paths x C) what paths carry; 0 for those that this graph does not have.

    only: (N,) users to be told of alone; rows are then places among these.
    """
    far = roomy((len(paths), len(carried), len(frame.users)))
    missing = set(range(len(paths)))
    for graph in build_graphs(frame, without):
        for path, start, found in _carried(frame, graph, columns, carried, hops, scaling):
            if path in paths:
                far[paths.index(path), start : start + len(found)] = found
                let_go(far)
                missing.discard(paths.index(path))
        # Before the next part is built.
        del graph
    far[[*missing]] = 0
    if only is not None:
        far = far[:, :, only]
    for rows, x in frame.matrix.parts(columns, only):
        # One path after the other in each row.
        beside = np.ascontiguousarray(far[:, :, rows].transpose(2, 0, 1)).reshape(len(x), -1)
        let_go(far)
        yield rows, torch.from_numpy(scaling.apply(x)), torch.from_numpy(beside)


def _carried(
    frame: Frame,
    graph: HeteroData,
    columns: tuple[str, ...],
    carried: tuple[str, ...],
    hops: int,
    scaling: Scaling,
) -> Iterator[tuple[str, int, npt.NDArray[np.float32]]]:
    """Names of paths of ``graph`` and (c, N) what they carry of some of ``carried``, the first of which is at this place."""
    # A few columns of a large graph at a time, since every step that longer paths go on from holds all of them.
    width = max(1, CELLS_AT_ONCE // max(1, len(frame.users)))
    for start in range(0, len(carried), width):
        some = carried[start : start + width]
        places = [columns.index(column) for column in some]
        state = Scaling(scaling.centre[places], scaling.spread[places]).apply(frame.matrix.select(some))
        for path, found in propagate(graph, torch.from_numpy(state), hops):
            yield path, start, found.numpy().T
