"""The shape of each community: how centred its ties are, and who alone holds parts of it together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Places = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Shape:
    """(C,) each. ``ties``: pairs of members who know each other. ``density``: of all pairs, 0 to 1, nan below two members.

    ``centralisation``: see `centralisation`. ``broker``: member (row) who alone connects most pairs, -1 where nobody does;
    ``broker_share``: those over all pairs of others who are connected, 0 to 1; ``brokers``: people who alone connect any.
    """

    ties: Places
    density: Floats
    centralisation: Floats
    broker: Places
    broker_share: Floats
    brokers: Places


def shape_of(code: Places, links: Places) -> Shape:
    """code: (M,) community of each member, ascending; links: (E, 2) rows of two members of one community, each pair once."""
    size = np.bincount(code)
    count = len(size)
    ties = np.bincount(code[links[:, 0]], minlength=count)
    possible = size * (size - 1) / 2
    density = np.divide(ties, possible, out=np.full(count, np.nan), where=possible > 0)
    cut, others = separated_pairs(len(code), links)
    # Each pair is counted at both of its ends.
    connected = np.bincount(code, weights=others / 2, minlength=count)[code] - others
    broker, share = np.full(count, -1), np.zeros(count)
    # By falling number of pairs; of equal ones the first row, which is the smallest id.
    order = np.lexsort((np.arange(len(code)), -cut, code))
    first = order[np.cumsum(size) - size][size > 0] if len(code) else order
    found = first[cut[first] > 0]
    broker[code[found]] = found
    share[code[found]] = cut[found] / connected[found]
    brokers = np.bincount(code[cut > 0], minlength=count)
    return Shape(ties, density, centralisation(code, links), broker, share, brokers)


def centralisation(code: Places, links: Places) -> Floats:
    """(C,) degree centralisation of each community (Freeman 1979): 1 for a star, 0 for a ring, nan below three members.

    The differences to the highest degree, summed, over what a star of that many members has: (n - 1)(n - 2).
    """
    size = np.bincount(code)
    degree = np.bincount(links.ravel(), minlength=len(code))
    highest = np.zeros(len(size), dtype=np.int64)
    np.maximum.at(highest, code, degree)
    gaps = highest * size - np.bincount(code, weights=degree, minlength=len(size))
    most = (size - 1.0) * (size - 2.0)
    found: Floats = np.divide(gaps, most, out=np.full(len(size), np.nan), where=size > 2)
    return found


def separated_pairs(nodes: int, links: Places) -> tuple[Floats, Floats]:
    """(nodes,) pairs of others whom each node alone connects, and the number of others in its component.

    One walk in depth (Hopcroft and Tarjan 1973): where nothing below a child reaches above the node, the child's part
    falls off without it.
    """
    start, ends = _neighbours(nodes, links)
    seen, low = [-1] * nodes, [0] * nodes
    size, fallen = [1] * nodes, [0] * nodes
    same: list[float] = [0.0] * nodes  # ordered pairs within the parts that fall off
    whole = np.zeros(nodes)
    clock = 0
    for root in range(nodes):
        if seen[root] >= 0:
            continue
        began, path, place = clock, [(root, -1)], [start[root]]
        members = [root]
        seen[root] = low[root] = clock
        clock += 1
        while path:
            node, parent = path[-1]
            if place[-1] < start[node + 1]:
                other = ends[place[-1]]
                place[-1] += 1
                if seen[other] < 0:
                    seen[other] = low[other] = clock
                    clock += 1
                    members.append(other)
                    path.append((other, node))
                    place.append(start[other])
                elif other != parent:
                    low[node] = min(low[node], seen[other])
                continue
            path.pop()
            place.pop()
            if parent >= 0:
                size[parent] += size[node]
                low[parent] = min(low[parent], low[node])
                if low[node] >= seen[parent]:
                    fallen[parent] += size[node]
                    same[parent] += size[node] ** 2
        whole[members] = clock - began
    others = whole - 1
    rest = others - np.array(fallen, dtype=float)
    return (others**2 - np.array(same) - rest**2) / 2, others


def _neighbours(nodes: int, links: Places) -> tuple[Sequence[int], Sequence[int]]:
    """Where the neighbours of each node begin among all, and all; lists, which a walk of single steps reads fastest."""
    both = np.concatenate([links, links[:, ::-1]])
    order = np.lexsort((both[:, 1], both[:, 0]))
    start = np.searchsorted(both[order, 0], np.arange(nodes + 1))
    return start.tolist(), both[order, 1].tolist()
