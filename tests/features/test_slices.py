"""Counts by tier and permission, by hand."""

from typing import Any

import pytest

from features.prepare import prepare
from features.slices import membership_slices, wilson
from features.snapshot import take_snapshot
from tests.worlds import day, world


def slices(**tables: Any) -> dict[tuple[str, str], dict[str, Any]]:
    found = membership_slices(prepare(take_snapshot(world(**tables), day(40))))
    return {(row["slice"], row["value"]): row for row in found.to_pylist()}


def orders() -> list[dict[str, Any]]:
    """a, b, c and d bought before day 30; a and b after it too; a moved c before and d within; b moved c before."""
    bought: list[tuple[str, float, str | None]] = [
        ("a", 5, None), ("b", 5, None), ("c", 6, "a"), ("c", 7, "b"), ("d", 8, None), ("d", 35, "a"), ("a", 36, None),
        ("b", 37, None), ("e", 38, None),
    ]  # fmt: skip
    return [
        {"user_id": user, "item_id": f"i{n}", "ordered_at": day(at), "referrer_id": by}
        for n, (user, at, by) in enumerate(bought)
    ]


def test_d29_tiers_are_those_held_when_the_horizon_began() -> None:
    facts = [("a", "tier", "premium", 1), ("b", "tier", "normal", 1), ("c", "tier", "premium", 32)]
    attributes = [{"user_id": u, "name": name, "value": value, "valid_from": day(at)} for u, name, value, at in facts]
    found = slices(orders=orders(), attributes=attributes)
    assert {key: (row["people"], row["moved"], row["stayed"]) for key, row in found.items() if key[0] != "permission"} == {
        ("tier", "premium"): (1, 1, 1), ("tier", "normal"): (1, 0, 1), ("tier", "unknown"): (2, 0, 1),
        ("paid", "paid"): (1, 1, 1), ("paid", "free"): (3, 0, 2),
    }  # fmt: skip
    free = found["paid", "free"]
    assert (free["moved_share"], free["moved_low"]) == (0.0, pytest.approx(0, abs=1e-12))


def test_d53_permission_is_counted_among_those_who_had_moved_somebody() -> None:
    facts = [
        ("a", "distributor_grant", "yes", 3),
        ("b", "distributor_grant", "yes", 31),
        ("d", "distributor_grant", "yes", 3),
    ]
    attributes = [{"user_id": u, "name": name, "value": value, "valid_from": day(at)} for u, name, value, at in facts]
    found = slices(orders=orders(), attributes=attributes)
    assert {key[1]: (row["people"], row["stayed"]) for key, row in found.items() if key[0] == "permission"} == {
        "granted": (1, 1), "not granted": (1, 1),
    }  # fmt: skip


def test_the_interval_is_that_of_wilson() -> None:
    assert wilson(8, 10) == (0.8, pytest.approx(0.490, abs=1e-3), pytest.approx(0.943, abs=1e-3))
    assert wilson(0, 0) == (None, None, None)
