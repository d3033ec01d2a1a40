from fractions import Fraction

import numpy as np
import pytest

from features.abuse.fraudar import dense_blocks, densest_block


def edges(*pairs: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    helper, helped = zip(*pairs, strict=True)
    return np.array(helper), np.array(helped)


def test_two_who_help_two_are_denser_than_a_crowd_around_one() -> None:
    # 1 and 2 help 8 and 9; 3, 4 and 5 help 7. A pair with d helpers weighs 1 / log(d + 5).
    block = densest_block(*edges((1, 8), (1, 9), (2, 8), (2, 9), (3, 7), (4, 7), (5, 7)))
    assert (block.helpers.tolist(), block.helped.tolist()) == ([1, 2], [8, 9])
    assert block.score == pytest.approx(4 / np.log(2 + 5) / 4, rel=1e-5)


def test_of_the_crowd_alone_all_are_the_block() -> None:
    block = densest_block(*edges((3, 7), (4, 7), (5, 7)))
    assert (block.helpers.tolist(), block.helped.tolist()) == ([3, 4, 5], [7])
    assert block.score == pytest.approx(3 / np.log(3 + 5) / 4, rel=1e-5)


@pytest.mark.parametrize("camouflage", [0, 4])
def test_a_planted_block_is_found_whomever_else_its_members_help(camouflage: int) -> None:
    rng = np.random.default_rng(0)
    fake = [(helper, helped) for helper in range(8) for helped in range(100, 106)]
    honest = [(int(a), int(b)) for a, b in zip(rng.integers(10, 90, 150), rng.integers(110, 190, 150), strict=True)]
    hidden = [
        (helper, int(popular)) for helper in range(8) for popular in rng.choice(np.arange(110, 190), camouflage, False)
    ]
    fans = [(number, 195) for number in range(10, 90)]
    block = dense_blocks(*edges(*sorted({*fake, *honest, *hidden, *fans})))[0]
    assert set(block.helpers) == set(range(8))
    assert set(block.helped) == set(range(100, 106))


def test_what_was_found_is_taken_out_before_the_next() -> None:
    first = [(helper, helped) for helper in range(5) for helped in range(20, 25)]
    second = [(helper, helped) for helper in range(5, 8) for helped in range(30, 33)]
    found = dense_blocks(*edges(*first, *second), most=2)
    assert [set(block.helpers) for block in found] == [set(range(5)), set(range(5, 8))]
    assert dense_blocks(*(np.zeros(0, np.int64),) * 2) == []


def slow_reference(helper: np.ndarray, helped: np.ndarray) -> tuple[list[int], list[int]]:
    """The paper's loop as it is written: take out who weighs least, remember the best that was left."""
    much = {int(one): np.bincount(helped)[one] for one in helped}
    edges_left = {
        (("a", int(a)), ("b", int(b))): round(1e6 / float(np.log(much[int(b)] + 5.0)))
        for a, b in zip(helper, helped, strict=True)
    }
    left = {node for edge in edges_left for node in edge}
    best, kept = Fraction(0), set(left)
    while left:
        density = Fraction(sum(edges_left.values()), len(left))
        if density > best:
            best, kept = density, set(left)
        weight = {node: sum(w for edge, w in edges_left.items() if node in edge) for node in left}
        out = min(left, key=lambda node: (weight[node], node))
        left.discard(out)
        edges_left = {edge: w for edge, w in edges_left.items() if out not in edge}
    return sorted(n for side, n in kept if side == "a"), sorted(n for side, n in kept if side == "b")


@pytest.mark.parametrize("seed", range(40))
def test_the_block_is_that_of_the_plain_loop_on_random_graphs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = int(rng.integers(2, 14))
    pairs = {(int(a), int(b)) for a, b in rng.integers(0, people, (int(rng.integers(1, 60)), 2))}
    helper, helped = edges(*sorted(pairs))
    block = densest_block(helper, helped)
    assert (block.helpers.tolist(), block.helped.tolist()) == slow_reference(helper, helped)


def test_the_order_of_edges_changes_nothing() -> None:
    rng = np.random.default_rng(3)
    pairs = np.unique(rng.integers(0, 60, (400, 2)), axis=0)
    mixed = rng.permutation(pairs)
    one, two = (densest_block(*given.T) for given in (pairs, mixed))
    assert (one.helpers.tolist(), one.helped.tolist(), one.score) == (two.helpers.tolist(), two.helped.tolist(), two.score)
