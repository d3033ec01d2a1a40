"""What trees say of many rows: LightGBM's own sums, to the last bit, in a fraction of its time.

Each condition of a tree is asked of a block of rows at once, without a branch, and takes the leaves away that a row cannot
reach; the first one left is the row's (Lucchese et al., QuickScorer, 2015). LightGBM follows every row down every tree, and
waits wherever the processor guessed the way wrong.
"""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt

from training.machine_code import compiled
from training.matrix import Floats

BLOCK = 64
"""Rows that each tree is asked about at a time: their features and bits stay in the caches of one core."""

ROWS_AT_ONCE = 16_384
"""Rows of a call, after which another thread may go on."""

WIDTHS = (np.uint16, np.uint32, np.uint64)
"""A bit for each leaf of the largest tree: the fewer, the more rows fit into one instruction."""

ZERO = np.float32(1e-35)
"""What LightGBM reads as 0: numbers as near to it as this."""

DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
PLACES = np.argsort([((int(DE_BRUIJN) << place) % 2**64) >> 58 for place in range(64)]).astype(np.uint8)
"""Where the only bit of a number is set, by the six highest bits of its product with the sequence."""


@dataclass(frozen=True)
class Forest:
    """The trees of some boosters that read the same columns, one after the other.

    Of each condition: ``feature``, ``most`` float32 that goes left, ``unknown_left``: whether nan does, ``stays``: the
    leaves that are left to a row that goes right, a bit each. ``values``: of each leaf. ``conditions``, ``leaves``:
    (trees + 1,) where those of each tree start. ``member``: (trees,) whose each is, of ``members`` boosters. ``features``:
    that the boosters read.
    """

    feature: npt.NDArray[np.int32]
    most: npt.NDArray[np.float32]
    unknown_left: npt.NDArray[np.bool_]
    stays: npt.NDArray[Any]
    values: Floats
    conditions: npt.NDArray[np.int64]
    leaves: npt.NDArray[np.int64]
    member: npt.NDArray[np.int64]
    members: int
    features: int

    @classmethod
    def of(cls, boosters: Sequence[lightgbm.Booster]) -> "Forest | None":
        """None where a tree asks for categories, takes 0 for unknown or has more leaves than bits are known for: these are
        LightGBM's alone."""
        trees = [(member, tree) for member, booster in enumerate(boosters) for tree in booster.dump_model()["tree_info"]]
        most_leaves = max((tree["num_leaves"] for _, tree in trees), default=1)
        width = next((width for width in WIDTHS if most_leaves <= np.iinfo(width).bits), None)
        if width is None or any(tree["num_cat"] for _, tree in trees):
            return None
        asked: list[tuple[int, np.float32, bool, int]] = []
        values: list[float] = []
        conditions, leaves = [0], [0]
        for _, tree in trees:
            if not _walk(tree["tree_structure"], asked, values, leaves[-1]):
                return None
            conditions.append(len(asked))
            leaves.append(len(values))
        table = np.array(asked, [("feature", "i4"), ("most", "f4"), ("unknown_left", "?"), ("gone", "u8")])
        return cls(
            np.ascontiguousarray(table["feature"]),
            np.ascontiguousarray(table["most"]),
            np.ascontiguousarray(table["unknown_left"]),
            np.invert(table["gone"]).astype(width),
            np.array(values),
            np.array(conditions),
            np.array(leaves),
            np.array([member for member, _ in trees], np.int64),
            len(boosters),
            max((booster.num_feature() for booster in boosters), default=0),
        )

    def margins(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (n, F), finite or nan -> (n, members) raw margin of each booster: the bits that its ``predict(x,
        raw_score=True)`` gives.

        Raises:
            ValueError: ``x`` has another number of columns than the boosters read.
        """
        if x.shape[1] != self.features:
            raise ValueError(f"the trees read {self.features} columns, and were given {x.shape[1]}")
        add = compiled(_add)
        found = np.zeros((len(x), self.members))
        conditions = self.feature, self.most, self.unknown_left, self.stays
        trees = self.values, self.conditions, self.leaves, self.member

        def ask(start: int) -> None:
            rows = slice(start, start + ROWS_AT_ONCE)
            add(np.ascontiguousarray(x[rows], np.float32), *conditions, *trees, PLACES, found[rows])

        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            list(pool.map(ask, range(0, len(x), ROWS_AT_ONCE)))
        return found


def _walk(node: Mapping[str, Any], asked: list[tuple[int, np.float32, bool, int]], values: list[float], first: int) -> bool:
    """Add the conditions below ``node`` and its leaves, from left to right; first: the place of the tree's first leaf.

    False if one of them takes 0 for unknown.
    """
    if "leaf_value" in node:
        values.append(node["leaf_value"])
        return True
    before = len(values) - first
    known = _walk(node["left_child"], asked, values, first)
    left = 2 ** (len(values) - first) - 2**before
    threshold = node["threshold"]
    # Features that were always known in training have no side for nan, which LightGBM then takes for 0.
    unknown_left = node["default_left"] if node["missing_type"] == "NaN" else threshold >= 0
    asked.append((node["split_feature"], _at_most(threshold), unknown_left, left))
    return _walk(node["right_child"], asked, values, first) and known and node["missing_type"] != "Zero"


def _at_most(threshold: float) -> np.float32:
    """The largest float32 that is not above ``threshold``: of float32 the same ones are at or below both."""
    with np.errstate(over="ignore"):
        near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


def _add(x, feature, most, unknown_left, stays, values, conditions, leaves, member, places, found):  # type: ignore[no-untyped-def]
    """Add to ``found`` (n, members) what each tree says of the rows x (n, F)."""
    size, features = x.shape
    block = np.empty((features, BLOCK), np.float32)
    bits = np.empty(BLOCK, stays.dtype)
    every = ~stays.dtype.type(0)
    for start in range(0, size, BLOCK):
        rows = min(BLOCK, size - start)
        for row in range(rows):
            for column in range(features):
                value = x[start + row, column]
                block[column, row] = np.float32(0) if abs(value) <= ZERO else value
        for tree in range(len(member)):
            bits[:] = every
            for condition in range(conditions[tree], conditions[tree + 1]):
                values_of, limit, left = block[feature[condition]], most[condition], stays[condition]
                if unknown_left[condition]:
                    for row in range(BLOCK):
                        bits[row] &= left if values_of[row] > limit else every
                else:
                    for row in range(BLOCK):
                        bits[row] &= every if values_of[row] <= limit else left
            for row in range(rows):
                alone = np.uint64(bits[row] & (~bits[row] + stays.dtype.type(1)))
                leaf = places[(alone * DE_BRUIJN) >> np.uint64(58)]
                found[start + row, member[tree]] += values[leaves[tree] + leaf]
