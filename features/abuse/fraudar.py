"""The most suspiciously dense block of a graph of who acts for whom, which friends outside cannot hide."""

import heapq
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

CAMOUFLAGE = 5.0
"""An edge to somebody with d helpers weighs 1 / log(d + 5): the constant of the paper."""

UNITS = 10**6
"""Weights are whole parts of so many, so that sums do not depend on their order."""


@dataclass(frozen=True)
class DenseBlock:
    """``helpers`` and ``helped``: who acts for whom in the block, sorted; ``score``: weight of its edges per member."""

    helpers: Ints
    helped: Ints
    score: float


def densest_block(helper: Ints, helped: Ints) -> DenseBlock:
    """FRAUDAR: the block of the largest mean suspiciousness, within a factor of two (greedy peeling).

    ``helper``, ``helped``: (k,) distinct pairs. Peels off, one by one, the member whose edges weigh least (of equal ones the
    first helper, else the first helped), and keeps the best of all remainders, the largest of equal ones. Edges to
    much-helped people weigh less, so that neither a popular person makes a block nor do acts for them thin one out.

    Source: Hooi, Song, Beutel, Shah, Shin and Faloutsos, FRAUDAR: bounding graph fraud in the face of camouflage, KDD 2016.
    """
    rows, row_of = np.unique(helper, return_inverse=True)
    columns, column_of = np.unique(helped, return_inverse=True)
    if not rows.size:
        return DenseBlock(rows, columns, 0.0)
    weight = np.rint(UNITS / np.log(np.bincount(column_of) + CAMOUFLAGE)).astype(np.int64)[column_of]
    graph = _Graph(row_of.astype(np.int64), column_of.astype(np.int64) + rows.size, weight, rows.size + columns.size)
    inside, score = _peeled(graph.core(_density_within_reach(graph)))
    return DenseBlock(rows[inside[: rows.size]], columns[inside[rows.size :]], score)


@dataclass(frozen=True)
class _Graph:
    """Edges from ``one`` to ``other`` (k,) with their ``weight`` (k,) > 0, among nodes below ``size``; some have no edge."""

    one: Ints
    other: Ints
    weight: Ints
    size: int

    def degrees(self) -> Ints:
        """(size,) weight of the edges of each node."""
        sums = sum(np.bincount(ends, self.weight, minlength=self.size) for ends in (self.one, self.other))
        # Exact: floats hold whole numbers below 2**53, ten million edges of one node.
        return np.asarray(sums, dtype=np.int64)

    def without(self, gone: npt.NDArray[np.bool_]) -> "_Graph":
        """``gone``: (size,) nodes whose edges are left out."""
        kept = ~(gone[self.one] | gone[self.other])
        return _Graph(self.one[kept], self.other[kept], self.weight[kept], self.size)

    def core(self, least: float) -> "_Graph":
        """The largest part in which the edges of every node weigh ``least`` or more."""
        graph, found = self, self.degrees()
        while (gone := (found > 0) & (found < least)).any():
            graph = graph.without(gone)
            found = graph.degrees()
        return graph


def _density_within_reach(graph: _Graph) -> float:
    """Weight per node of the densest remainder met by peeling in rounds all nodes of less than twice the density at hand.

    Half of the largest density there is, or more (Bahmani, Kumar and Vassilvitskii, Densest subgraph in streaming and
    MapReduce, VLDB 2012), in a few rounds of whole arrays.
    """
    best = 0.0
    while graph.weight.size:
        found = graph.degrees()
        density = graph.weight.sum() / np.count_nonzero(found)
        best = max(best, density)
        graph = graph.without(found <= 2 * density)
    # A hair less than the quotient, which is rounded.
    return best * (1 - 1e-12)


def _peeled(graph: _Graph) -> tuple[npt.NDArray[np.bool_], float]:
    """(size,) who is in the best remainder, and its score.

    Only the core at a density that some remainder reaches needs to be peeled one by one: whoever is not in it goes before
    anybody in it, and each member of the best remainder has edges of that weight within it, else to go on would better it.
    """
    nodes, ends = np.unique(np.concatenate([graph.one, graph.other]), return_inverse=True)
    one, other = np.split(ends.astype(np.int64), 2)
    order = np.argsort(ends, kind="stable")
    start = np.searchsorted(ends[order], np.arange(nodes.size + 1)).tolist()
    # Lists of integers, a weight and a node in one of them: elements of arrays and pairs take several times as long.
    around = np.concatenate([other, one])[order].tolist()
    along = np.concatenate([graph.weight, graph.weight])[order].tolist()
    left: list[int] = graph.degrees()[nodes].tolist()
    total = best = int(graph.weight.sum())
    alive = best_size = int(nodes.size)
    places = alive
    queue = [value * places + node for node, value in enumerate(left)]
    heapq.heapify(queue)
    removed: list[int] = []
    while alive > 1:
        value, node = divmod(heapq.heappop(queue), places)
        if value != left[node]:
            continue
        left[node] = -1
        removed.append(node)
        total, alive = total - value, alive - 1
        for place in range(start[node], start[node + 1]):
            neighbour = around[place]
            if (now := left[neighbour]) >= 0:
                left[neighbour] = now = now - along[place]
                heapq.heappush(queue, now * places + neighbour)
        if total * best_size > best * alive:
            best, best_size = total, alive
    inside = np.zeros(graph.size, dtype=bool)
    inside[nodes] = True
    inside[nodes[removed[: nodes.size - best_size]]] = False
    return inside, best / best_size / UNITS


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
