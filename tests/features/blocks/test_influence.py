"""The influence features of a ledger written by hand."""

from datetime import timedelta
from math import exp, log2
from typing import Any

import pyarrow as pa
import pytest

from features.blocks.influence import follow_up_rate, influence_chain, influence_given, influence_received, people_moved
from features.lookback import within_lookback
from features.snapshot import Snapshot
from tests.features.blocks.by_user import by_user, prepared, shared_engine
from tests.worlds import Rows, day, world

THIRD = 333_333
CREDITS = [
    # who moved whom to what on which day, weight, money, is_new
    ("a", "b", "x", 39.0, 1_000_000, 500, True),
    ("a", "b", "x", 39.25, 0, 50, False),  # bought again: money only
    ("a", "c", "x", 37.0, 500_000, 100, False),
    ("a", "b", "y", 30.0, 1_000_000, 0, False),
    ("a", "d", "x", 5.0, THIRD, 0, False),
    ("b", "e", "x", 39.5, 1_000_000, 70, True),  # the chain goes on from a
    ("b", "c", "x", 38.0, 1_000_000, 8, False),  # before a moved b
    ("b", "a", "x", 39.75, 1_000_000, 9, False),  # back to a
    ("c", "f", "y", 39.0, 1_000_000, 6, True),  # another subject than the one that a moved c to
]


def ledger_world(rows: list[tuple[Any, ...]], orders: Rows = (), lookback: timedelta | None = None) -> Snapshot:
    orders = orders or [{"user_id": "z", "item_id": "unrelated", "ordered_at": day(39)}]
    snapshot = prepared(world(engine=shared_engine(), orders=orders, settings={"lookback": lookback}))
    who, whom, subject, at, weight, value, new = zip(*rows, strict=True)
    ledger = pa.table(
        {
            "influencer_id": pa.array(who),
            "influenced_id": pa.array(whom),
            "subject": pa.array(subject),
            "happened_at": pa.array([day(number) for number in at], pa.timestamp("us")),
            "weight": pa.array(weight, pa.int64()),
            "value": pa.array(value, pa.int64()),
            "is_new": pa.array(new),
        }
    )
    return within_lookback(snapshot.with_tables(ledger=shared_engine().from_arrow(ledger)))


def test_influence_given() -> None:
    found = by_user(influence_given, ledger_world(CREDITS))
    assert set(found) == {"a", "b", "c"}
    assert found["a"] == pytest.approx(
        {
            "influence_3d": 1_500_000,
            "influence_10d": 2_500_000,
            "influence_20d": 2_500_000,
            "influence_all": 2_500_000 + THIRD,
            "influence_decayed": exp(-0.1) + 0.5 * exp(-0.3) + exp(-1) + THIRD / 1e6 * exp(-3.5),
            "influence_rows_all": 4,
            "influence_value_3d": 650,
            "influence_value_10d": 650,
            "influence_value_20d": 650,
            "influence_value_all": 650,
            "influence_new_all": 1_000_000,
            "influence_idle_days": 0.75,
            "influence_rising": log2((1.5 + 1) / (2.5 * 3 / 20 + 1)),
        },
        abs=3e-6,
    )
    assert found["c"]["influence_rows_all"] == 1


def test_influence_long_past_counts_in_no_window() -> None:
    found = by_user(influence_given, ledger_world([("a", "b", "x", 10.0, 1_000_000, 40, True)]))
    assert found["a"] == pytest.approx(
        {
            **{f"influence_{w}": 0 for w in ("3d", "10d", "20d")},
            **{f"influence_value_{w}": 0 for w in ("3d", "10d", "20d")},
            "influence_all": 1_000_000,
            "influence_value_all": 40,
            "influence_rows_all": 1,
            "influence_new_all": 1_000_000,
            "influence_decayed": exp(-3),
            "influence_idle_days": 30.0,
            "influence_rising": 0.0,
        },
        abs=1e-6,
    )


def test_small_shares_of_credit_fade_without_being_lost() -> None:
    found = by_user(influence_given, ledger_world([("a", f"u{n}", "x", 35.0, 500, 0, False) for n in range(2000)]))
    assert found["a"]["influence_decayed"] == pytest.approx(exp(-0.5), rel=0.003)


def test_people_moved() -> None:
    found = by_user(people_moved, ledger_world(CREDITS))
    assert found["a"] == pytest.approx(
        {
            "people_moved_3d": 2,
            "people_moved_10d": 2,
            "people_moved_20d": 2,
            "people_moved_all": 3,
            "people_moved_again": 1,  # b, to x and y
            "moves_per_person": 4 / 3,
        }
    )
    assert found["b"]["people_moved_all"] == 3


def test_influence_received() -> None:
    found = by_user(influence_received, ledger_world(CREDITS))
    assert set(found) == {"a", "b", "c", "d", "e", "f"}
    assert found["b"] == {
        "received_3d": 1_000_000,
        "received_10d": 2_000_000,
        "received_20d": 2_000_000,
        "received_all": 2_000_000,
        "received_idle_days": 0.75,
        "movers_all": 1,
    }
    assert found["c"] == {
        "received_3d": 1_500_000,
        "received_10d": 1_500_000,
        "received_20d": 1_500_000,
        "received_all": 1_500_000,
        "received_idle_days": 2.0,
        "movers_all": 2,
    }
    assert (found["d"]["received_20d"], found["d"]["received_all"]) == (0, THIRD)


def test_follow_up_rate() -> None:
    bought = {"a": (("x", 36), ("x", 39), ("y", 35), ("z", 34)), "b": (("w", 0), (None, 39))}
    orders = [{"user_id": u, "item_id": item, "ordered_at": day(at)} for u, rows in bought.items() for item, at in rows]
    assert by_user(follow_up_rate, ledger_world(CREDITS, orders)) == {
        "a": pytest.approx(
            {
                "followed_share": 2 / 3,
                "follow_ups_each": (2_500_000 + THIRD) / 1e6 / 3,
                "open_adoptions": 2,  # x, and y to the moment; the first purchase of x counts
            }
        ),
        # What b moved people to, b never bought.
        "b": {"followed_share": 0.0, "follow_ups_each": 0.0, "open_adoptions": 0},
    }


def test_influence_chain() -> None:
    found = by_user(influence_chain, ledger_world(CREDITS))
    assert found["a"] == pytest.approx(
        {"chain_level1": 3, "chain_level2": 1, "chain_branching": 1 / 3, "chain_value": 650 + 70}
    )
    # b moved a at 39.75, but a had moved all others before; b moved c at 38, c moved f to something else.
    assert found["b"] == {"chain_level1": 3, "chain_level2": 0, "chain_branching": 0.0, "chain_value": 70 + 8 + 9}
    assert found["c"] == {"chain_level1": 1, "chain_level2": 0, "chain_branching": 0.0, "chain_value": 6}


def test_a_person_reached_by_two_ways_is_one_person_of_the_chain() -> None:
    rows = [
        ("a", "b", "x", 30.0, 1_000_000, 0, False),
        ("a", "c", "x", 30.0, 1_000_000, 0, False),
        ("b", "e", "x", 31.0, 500_000, 20, False),
        ("c", "e", "x", 31.0, 500_000, 20, False),
    ]
    assert by_user(influence_chain, ledger_world(rows))["a"] == {
        "chain_level1": 2,
        "chain_level2": 1,
        "chain_branching": 0.5,
        "chain_value": 40,
    }


def test_credits_older_than_the_lookback_are_not_read() -> None:
    snapshot = ledger_world(CREDITS, lookback=timedelta(days=10))
    given = by_user(influence_given, snapshot)["a"]
    assert (given["influence_all"], given["influence_rows_all"]) == (2_500_000, 3)
    assert by_user(people_moved, snapshot)["a"]["people_moved_all"] == 2
    assert "d" not in by_user(influence_received, snapshot)
    assert by_user(influence_chain, snapshot)["a"]["chain_level1"] == 2
