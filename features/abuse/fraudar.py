"""The most suspiciously dense block of a graph of who acts for whom, which friends outside cannot hide."""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

CAMOUFLAGE = 5.0
"""An edge to somebody with d helpers weighs 1 / log(d + 5): the constant of the paper."""


@dataclass(frozen=True)
class DenseBlock:
    """``helpers`` and ``helped``: who acts for whom in the block, sorted; ``score``: weight of its edges per member."""

    helpers: Ints
    helped: Ints
    score: float


def densest_block(helper: Ints, helped: Ints) -> DenseBlock:
    """FRAUDAR: the block of the largest mean suspiciousness, within a factor of two (greedy peeling).

    ``helper``, ``helped``: (k,) distinct pairs. Peels off, one by one, the member whose edges weigh least, and keeps the
    best of all remainders. Edges to much-helped people weigh less, so that neither a popular person makes a block nor do
    acts for popular people thin one out.

    Source: Hooi, Song, Beutel, Shah, Shin and Faloutsos, FRAUDAR: bounding graph fraud in the face of camouflage, KDD 2016.
    """
    rows, row_of = np.unique(helper, return_inverse=True)
    columns, column_of = np.unique(helped, return_inverse=True)
    if not rows.size:
        return DenseBlock(rows, columns, 0.0)
    weight = 1 / np.log(np.bincount(column_of) + CAMOUFLAGE)[column_of]
    size = rows.size + columns.size
    ends = np.concatenate([row_of, column_of + rows.size])
    others = np.concatenate([column_of + rows.size, row_of])
    order = np.argsort(ends, kind="stable")
    start = np.searchsorted(ends[order], np.arange(size + 1))
    around, along = others[order], np.concatenate([weight, weight])[order]

    left = np.bincount(ends, np.concatenate([weight, weight]), minlength=size)
    total, best, gone_at_best = float(weight.sum()), float(weight.sum()) / size, 0
    queue = [(float(value), node) for node, value in enumerate(left)]
    heapq.heapify(queue)
    gone = np.zeros(size, dtype=bool)
    removed: list[int] = []
    while queue and len(removed) < size - 1:
        value, node = heapq.heappop(queue)
        if gone[node] or value != left[node]:
            continue
        gone[node] = True
        removed.append(node)
        total -= value
        for place in range(start[node], start[node + 1]):
            other = int(around[place])
            if not gone[other]:
                left[other] -= along[place]
                heapq.heappush(queue, (float(left[other]), other))
        # A hair's breadth, so that sums in another order choose no other block.
        if total / (size - len(removed)) > best + 1e-9:
            best, gone_at_best = total / (size - len(removed)), len(removed)
    inside = np.ones(size, dtype=bool)
    inside[removed[:gone_at_best]] = False
    return DenseBlock(rows[inside[: rows.size]], columns[inside[rows.size :]], best)


def dense_blocks(helper: Ints, helped: Ints, *, most: int = 10) -> list[DenseBlock]:
    """Up to ``most`` blocks, the densest first; the edges of one are taken out before the next is looked for."""
    found = []
    for _ in range(most):
        block = densest_block(helper, helped)
        if not block.helpers.size:
            break
        found.append(block)
        inside = np.isin(helper, block.helpers) & np.isin(helped, block.helped)
        helper, helped = helper[~inside], helped[~inside]
    return found
