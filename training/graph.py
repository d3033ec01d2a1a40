"""The graph of one date: users, what they bought and the ties between them, with the paths that features travel along."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import coo_array
from torch_geometric.data import HeteroData
from torch_geometric.typing import EdgeType

from features.tie_table import KINDS_OF_TIE
from training.frame import TIES_AT_ONCE, Ends, Frame

# PyTorch says both once of the first sparse matrix, in words that frighten; edges are made here, in order and in bounds.
torch.sparse.check_sparse_tensor_invariants.disable()  # type: ignore[no-untyped-call]
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)

Path = tuple[EdgeType, ...]

FOLLOWERS: EdgeType = ("user", "may_follow", "user")
"""From people who may be influenced to those who may influence them."""
FOLLOWED: EdgeType = ("user", "may_lead", "user")
BUYS: EdgeType = ("user", "buys", "subject")
BOUGHT_BY: EdgeType = ("subject", "bought_by", "user")

FRESH_SHARE = 0.02
"""What an old purchase still weighs: taste fades, but does not end."""


PARTS = ("strength", "ties", "items", "kinds")
"""What a graph can do without: weights of ties, ties, purchases, and kinds of tie on their own."""


def build_graphs(frame: Frame, without: Sequence[str] = ()) -> Iterator[HeteroData]:
    """The graph of `build_graph` in parts that no path leaves, so that little of a large one is in memory at once: all ties
    with purchases, then each kind of tie."""
    types = edge_types(frame, without)
    for kind in ("", *KINDS_OF_TIE):
        beside = (BUYS, BOUGHT_BY) if not kind else ()
        part = [step for step in (_of_kind(FOLLOWERS, kind), _of_kind(FOLLOWED, kind), *beside) if step in types]
        if part:
            yield build_graph(frame, without, part)


def build_graph(frame: Frame, without: Sequence[str] = (), types: Sequence[EdgeType] | None = None) -> HeteroData:
    """A heterogeneous graph whose edge types each hold ``adj_t``, a sparse matrix (targets, sources) with rows summing to 1.

    Ties lead both ways, all kinds together and each kind on its own, weighted by strength; purchases lead to subjects and
    back, the recent and the rare ones weighing more. without: some of ``PARTS``. types: those of `edge_types` to build, by
    default all.
    """
    graph = HeteroData()
    graph["user"].num_nodes = len(frame.users)
    types = edge_types(frame, without) if types is None else types
    kinds = [kind for kind in ("", *KINDS_OF_TIE) if _of_kind(FOLLOWERS, kind) in types]
    if kinds:
        known = frame.ties.followers < len(frame.users)
        followers, influencers = frame.ties.followers[known], frame.ties.influencers[known]
        plain = "strength" in without
        weight = np.ones(len(followers), np.float32) if plain else frame.ties.select(["strength"])[known, 0]
        size = (len(frame.users), len(frame.users))
        for kind in kinds:
            rows = frame.ties.select([kind])[known, 0] > 0 if kind else slice(None)
            graph[_of_kind(FOLLOWERS, kind)].adj_t = _mean(influencers[rows], followers[rows], weight[rows], size)
            graph[_of_kind(FOLLOWED, kind)].adj_t = _mean(followers[rows], influencers[rows], weight[rows], size)
    if frame.purchases is not None and BUYS in types:
        bought = frame.purchases
        buyers = np.bincount(bought.subjects)
        recent = np.exp(-bought.age_days / frame.horizon_days) + FRESH_SHARE
        weight = (recent / np.log(2 + buyers[bought.subjects])).astype(np.float32)
        graph["subject"].num_nodes = len(buyers)
        graph[BUYS].adj_t = _mean(bought.subjects, bought.users, weight, (len(buyers), len(frame.users)))
        graph[BOUGHT_BY].adj_t = _mean(bought.users, bought.subjects, weight, (len(frame.users), len(buyers)))
    return graph


def edge_types(frame: Frame, without: Sequence[str] = ()) -> list[EdgeType]:
    """Those of the graph of a frame, without building it; arguments as in `build_graph`."""
    found: list[EdgeType] = []
    if "ties" not in without and len(frame.ties):
        kinds = [] if "kinds" in without else kinds_of([frame])
        found += [_of_kind(step, kind) for kind in ("", *kinds) for step in (FOLLOWERS, FOLLOWED)]
    if "items" not in without and frame.purchases is not None and len(frame.purchases.users):
        found += [BUYS, BOUGHT_BY]
    return found


def kinds_of(frames: Sequence[Frame]) -> list[str]:
    """Kinds of tie that any of the frames has, as columns of the tie table."""
    there = set()
    for frame in frames:
        listed = [kind for kind in KINDS_OF_TIE if kind in frame.ties.columns]
        for start in range(0, len(frame.ties), TIES_AT_ONCE):
            of = frame.ties.select(listed, slice(start, start + TIES_AT_ONCE))
            there |= {kind for place, kind in enumerate(listed) if of[:, place].any()}
    return [kind for kind in KINDS_OF_TIE if kind in there]


def paths(types: Sequence[EdgeType], hops: int) -> Iterator[tuple[str, Path]]:
    """Name and edge types of every path from user to user: each relation once, then those of all ties and purchases again.

    A purchase and back is one hop. Paths that only go between people of one taste end after the first hop.
    """
    wide: Mapping[str, Path] = {
        name: path
        for name, path in {"followers": (FOLLOWERS,), "followed": (FOLLOWED,), "alike": (BUYS, BOUGHT_BY)}.items()
        if all(step in types for step in path)
    }
    for name, path in wide.items():
        yield name, path
    for kind in KINDS_OF_TIE:
        for name, step in (("followers", FOLLOWERS), ("followed", FOLLOWED)):
            if _of_kind(step, kind) in types:
                yield f"{name}_{kind}", (_of_kind(step, kind),)
    for length in range(2, hops + 1):
        for names in product(wide, repeat=length):
            if all(pair != ("alike", "alike") for pair in pairwise(names)):
                yield "_of_".join(names), tuple(step for name in names for step in wide[name])


def _of_kind(step: EdgeType, kind: str) -> EdgeType:
    source, name, target = step
    return (source, f"{name}_{kind}" if kind else name, target)


def _mean(targets: Ends, sources: Ends, weight: npt.NDArray[np.float32], size: tuple[int, int]) -> torch.Tensor:
    """(targets, sources) sparse rows that average over sources by weight; empty for targets without any."""
    total = np.bincount(targets, weight, minlength=size[0])
    rows = coo_array(((weight / total[targets]).astype(np.float32), (targets, sources)), size).tocsr()
    mean: torch.Tensor = torch.sparse_csr_tensor(
        torch.from_numpy(rows.indptr), torch.from_numpy(rows.indices), torch.from_numpy(rows.data), size
    )
    return mean
