"""Strength of the ties around a few people, summed in a tie table that is written by hand."""

from typing import Any

import pyarrow as pa
import pytest

from features.blocks.strength import STRONG, open_by_strength, tie_strengths
from features.snapshot import Snapshot
from features.tie_table import build_tie_table
from tests.features.blocks.by_user import by_user, prepared, shared_engine
from tests.worlds import day, world


def with_ties(*rows: tuple[str, str, float, int]) -> Snapshot:
    """The acts of a small world, and ties of (user, influencer, strength, open subjects)."""
    # The last horizon begins on day 30.
    acts = [("ben", 30), ("ben", 35), ("ben", 39), ("cat", 38), ("cat", 29.9), ("ada", 39)]
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(at)} for user, at in acts]
    snapshot = prepared(world(engine=shared_engine(), orders=orders, ties=[]))
    columns = {name: [row[place] for row in rows] for place, name in enumerate(("user_id", "influencer_id", "strength"))}
    crossed = [strength * open_ for _, _, strength, open_ in rows]
    return snapshot.with_tables(tie_table=shared_engine().from_arrow(pa.table({**columns, "strength_x_open": crossed})))


def test_tie_strengths() -> None:
    snapshot = with_ties(
        ("ben", "ada", 3.5, 0), ("cat", "ada", 1.5, 0), ("dan never seen", "ada", 1.0, 0), ("ada", "ben", 2.0, 0)
    )
    nobody_follows: dict[str, Any] = {"strength_sum": 0, "strength_max": None, "strong_ties": 0, "strength_acts": None}
    assert by_user(tie_strengths, snapshot) == {
        "ada": {
            "strength_sum": 6_000_000,
            "strength_max": 3.5,
            "strong_ties": 1,
            "strength_acts": (3.5 * 3 + 1.5 * 1) / 6,
            "strength_followed": 2_000_000,
        },
        "ben": {
            "strength_sum": 2_000_000,
            "strength_max": 2.0,
            "strong_ties": 1,  # from the cut on
            "strength_acts": 1.0,
            "strength_followed": 3_500_000,
        },
        "cat": {**nobody_follows, "strength_followed": 1_500_000},
        "dan never seen": {**nobody_follows, "strength_followed": 1_000_000},
    }


def test_open_by_strength() -> None:
    snapshot = with_ties(("ben", "ada", 3.5, 2), ("cat", "ada", 1.5, 1), ("ada", "ben", 2.0, 0))
    assert by_user(open_by_strength, snapshot) == {"ada": {"strength_open": 8_500_000}, "ben": {"strength_open": 0}}


def test_sums_are_of_whole_millionths() -> None:
    third = 1 + 1 / 3
    rows = [(f"f{n}", "ada", third, 1) for n in range(30)]
    assert by_user(tie_strengths, with_ties(*rows))["ada"]["strength_sum"] == 30 * 1_333_333
    assert by_user(open_by_strength, with_ties(*rows))["ada"]["strength_open"] == 30 * 1_333_333


@pytest.mark.parametrize(
    ("item", "at", "mutual", "strong"),
    [
        ("x", 32, False, True),  # followed within .85 horizons
        ("late", 35.5, False, False),  # the same too long after to have followed
        ("w", 32, True, False),  # something else: that both know each other is not enough
    ],
)
def test_a_strong_tie_is_one_with_evidence(item: str, at: float, mutual: bool, strong: bool) -> None:
    bought: dict[str, list[tuple[str, float]]] = {"ada": [("x", 30), ("late", 25)], "ben": [(item, at)]}
    orders = [
        {"user_id": user, "item_id": item, "ordered_at": day(at)} for user, rows in bought.items() for item, at in rows
    ]
    ties = [{"user_id": "ben", "influencer_id": "ada"}] + [{"user_id": "ada", "influencer_id": "ben"}] * mutual
    snapshot = prepared(world(engine=shared_engine(), orders=orders, ties=ties))
    built = build_tie_table(snapshot)
    found = by_user(tie_strengths, snapshot.with_tables(tie_table=built))["ada"]
    assert found["strong_ties"] == int(strong)
    assert (found["strength_max"] >= STRONG) is strong
