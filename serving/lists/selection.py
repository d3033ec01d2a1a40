"""Who is on a list: the best of an order, as far as quotas and diversity leave room."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]
Codes = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float64]

BLOCK = 1_024
"""Rows looked at one by one between two sweeps that drop everybody of a full group."""

POOL = 4
"""Rows among which each place of a list is filled when audiences are to overlap least."""


@dataclass(frozen=True)
class Limit:
    """Groups of rows with room for so many each: a quota, or the most of one community.

    codes: (N,) group of each row of the batch, -1 of rows that it does not bound; room: (G,) people per group, >= 0.
    """

    codes: Codes
    room: npt.NDArray[np.int64]


class Keeper(Protocol):
    """Says whether a row may join those that it was told of; see `serving.lists.diversity`."""

    def look_at(self, rows: Rows) -> None:
        """The next rows to come, so that what is known of them is read at once."""

    def admits(self, row: int) -> bool: ...

    def add(self, row: int) -> None: ...


class Audience(Protocol):
    """Who can be reached by each row."""

    def of(self, rows: Rows) -> Sequence[npt.NDArray[np.int64]]:
        """Codes of the people in the audience of each of ``rows``, each once."""


def take(order: Rows, size: int, limits: Sequence[Limit] = (), keeper: Keeper | None = None) -> Rows:
    """The first ``size`` rows of ``order`` that find room in every limit and that ``keeper`` admits, in that order.

    order: rows of the batch, best first. It is greedy: with several limits a later row never puts out an earlier one.
    """
    if not limits and keeper is None:
        return order[:size]
    chosen: list[int] = []
    room = [limit.room.copy() for limit in limits]
    for block in _blocks(order, limits, room, lambda: size - len(chosen)):
        if keeper is not None:
            keeper.look_at(block)
        groups = [limit.codes[block].tolist() for limit in limits]
        for place, row in enumerate(block.tolist()):
            if len(chosen) == size:
                break
            inside = [(left, group[place]) for left, group in zip(room, groups, strict=True) if group[place] >= 0]
            if any(not left[code] for left, code in inside) or (keeper is not None and not keeper.admits(row)):
                continue
            for left, code in inside:
                left[code] -= 1
            if keeper is not None:
                keeper.add(row)
            chosen.append(row)
    return np.array(chosen, dtype=np.int64)


def take_apart(
    order: Rows,
    score: Scores,
    size: int,
    audience: Audience,
    limits: Sequence[Limit] = (),
    keeper: Keeper | None = None,
) -> Rows:
    """``size`` rows whose audiences overlap least: each next one has the highest score times new share of its audience.

    order: rows, best first; score: (N,) >= 0 of each row of the batch, falling along ``order``. The new share is of the
    people whom nobody chosen before reaches; without an audience it is 1. They are chosen among the best ``POOL`` times
    ``size`` rows with room, so that nobody is listed for a lonely audience alone; where limits leave too few, also among
    the next.
    The new share only falls as rows are chosen, so an old value bounds it, and only the row on top of the heap is looked
    at again (Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions").
    """
    chosen: list[int] = []
    room = [limit.room.copy() for limit in limits]
    reached: set[int] = set()
    for block in _blocks(order, limits, room, lambda: POOL * (size - len(chosen))):
        if keeper is not None:
            keeper.look_at(block)
        people = [frozenset(codes.tolist()) for codes in audience.of(block)]
        # (minus an upper bound of the gain, place in the block); sorted already, so a heap.
        heap = list(zip((-score[block]).tolist(), range(len(block)), strict=True))
        while heap and len(chosen) < size:
            _, place = heappop(heap)
            row, group = int(block[place]), people[place]
            inside = [(left, limit.codes[row]) for left, limit in zip(room, limits, strict=True) if limit.codes[row] >= 0]
            if any(not left[code] for left, code in inside) or (keeper is not None and not keeper.admits(row)):
                continue
            gain = -float(score[row]) * (len(group - reached) / len(group) if group else 1.0)
            if heap and (gain, place) > heap[0]:
                heappush(heap, (gain, place))
                continue
            for left, code in inside:
                left[code] -= 1
            if keeper is not None:
                keeper.add(row)
            reached |= group
            chosen.append(row)
    return np.array(chosen, dtype=np.int64)


def _blocks(
    order: Rows, limits: Sequence[Limit], room: Sequence[npt.NDArray[np.int64]], missing: Callable[[], int]
) -> Iterator[Rows]:
    """``order`` in pieces of at least ``missing()`` rows, without those whose groups have filled up before the piece."""
    rest = order
    while len(rest) and missing() > 0:
        for limit, left in zip(limits, room, strict=True):
            full = left == 0
            if full.any():
                # The last entry is for rows without a group: their code is -1.
                rest = rest[~np.append(full, False)[limit.codes[rest]]]
        width = max(BLOCK, missing())
        yield rest[:width]
        rest = rest[width:]
