"""How the graph network learns: influence and churn together, on rows whose graph was read beforehand."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from training.crossfit import Groups
from training.frame import Frame
from training.gnn import LIMIT, Gnn, Network, Scaling, carried_columns, inputs
from training.graph import edge_types, kinds_of, paths
from training.matrix import Floats
from training.ranker import POWER
from training.settings import TrainSettings

BATCH = 512
MOST_STEPS = 6_000
"""Beyond it larger data takes larger batches."""

LEAST_STEPS = 10
"""Length of the shortest schedule: of five steps its warm-up would be a division by zero."""

WEIGHT_DECAY = 0.1
WARM_UP = 0.2
CLIP = 2.5
"""Longest gradient of each member."""


def fit_gnn(
    frames: Sequence[Frame],
    influence: Floats,
    churned: npt.NDArray[np.bool_],
    churn_known: npt.NDArray[np.bool_],
    groups: Groups,
    columns: Sequence[str],
    settings: TrainSettings,
    without: Sequence[str] = (),
) -> tuple[Gnn, Floats]:
    """The network, and what (N, 2) each row got from the member that has not seen its person.

    influence: (N,) >= 0; churned: (N,); churn_known: (N,) the rows that teach churn too; groups: (N,)
    of the users of all frames, one frame after the other. without: see `Gnn`.
    """
    torch.manual_seed(settings.seed)
    # Of batches so small a second thread takes a tenth off at most, and trees that are fitted beside can use it.
    torch.set_num_threads(1)
    columns = tuple(columns)
    carried = carried_columns(columns, frames[0].windows)
    scaling = Scaling.of(np.concatenate([frame.matrix.column(name) for frame in frames]) for name in columns)
    # One kind on its own would repeat all ties together.
    without = (*without, *(("kinds",) if len(kinds_of(frames)) < 2 else ()))
    every = [paths(edge_types(frame, without), settings.hops) for frame in frames]
    named = tuple(dict.fromkeys(name for found in every for name, _ in found))
    # Inputs lie within a few deviations of 0, where half precision tells three digits apart: enough of a million rows.
    kind = torch.float32 if len(groups) <= settings.user_rows else torch.float16
    own, far = (torch.empty(len(groups), width, dtype=kind) for width in (len(columns), len(named) * len(carried)))
    start = 0
    # One graph at a time, read into its place: all of them and two copies of what they carry would not fit.
    for frame in frames:
        for _, near, beyond in inputs(frame, without, columns, carried, named, settings.hops, scaling):
            of = slice(start, start := start + len(near))
            own[of], far[of] = near, beyond
    network = Network(settings.groups, len(columns), len(named), len(carried), settings.width, settings.dropout)
    left = torch.from_numpy(churned.astype(np.float32))[:, None].expand(-1, settings.groups)
    # What each member may learn from: nothing of its own group, not even the mean, and of churn only where it is known.
    others = groups[:, None] != np.arange(settings.groups)
    means = np.maximum(np.where(others, influence[:, None], 0.0).sum(axis=0) / others.sum(axis=0), 1e-9)
    moved = torch.from_numpy((influence[:, None] / means).astype(np.float32))
    seen = torch.from_numpy(others).float()
    asked = seen * torch.from_numpy(churn_known.astype(np.float32))[:, None]

    rows = len(own)
    most = min(rows, settings.user_rows)
    batch = max(BATCH, most * settings.epochs // MOST_STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.gnn_rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.gnn_rate, total_steps=max(LEAST_STEPS, settings.epochs * -(-most // batch)), pct_start=WARM_UP
    )
    network.train()
    for _ in range(settings.epochs):
        # Of larger data every epoch sees other rows: all of them teach, and whether one does hangs on no label.
        for some in torch.randperm(rows)[:most].split(batch):  # type: ignore[no-untyped-call]
            said = network(own[some].float(), far[some].float())
            loss = _weighed(_tweedie(said[..., 0], moved[some]), seen[some])
            churn = functional.binary_cross_entropy_with_logits(said[..., 1], left[some], reduction="none")
            loss = loss + _weighed(churn, asked[some])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            _shorten(network)
            optimizer.step()
            schedule.step()
    gnn = Gnn(columns, carried, named, without, settings.hops, scaling, means, network)
    return gnn, gnn.of_inputs(own, far, groups)


def _weighed(loss: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Mean over the rows of each member, summed over members."""
    return ((loss * weight).sum(dim=0) / weight.sum(dim=0).clamp(min=1.0)).sum()


def _shorten(network: Network) -> None:
    """Cut the gradient of each member to ``CLIP``; of all together it would tell of labels that a member must not see."""
    members = network.shape[0]
    each = [p.grad.view(members, -1) for p in network.parameters() if p.grad is not None]
    length = torch.cat(each, dim=1).norm(dim=1, keepdim=True)
    for gradient in each:
        gradient.mul_(CLIP / length.clamp(min=CLIP))


def _tweedie(margin: torch.Tensor, moved: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood of a Tweedie distribution up to a constant, of the log of its mean."""
    margin = margin.clamp(-LIMIT, LIMIT)
    return torch.exp((2 - POWER) * margin) / (2 - POWER) - moved * torch.exp((1 - POWER) * margin) / (1 - POWER)
