"""The ledger of assets on a market that is added up by hand, exact to the cent."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.engine import DuckDB
from features.errors import ScoresError
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from serving.kpis import divided, kpis
from serving.store.score_store import ScoreStore
from tests.serving.batches import write_users
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)
USERS = pa.table({"user_id": ["a", "b", "c", "d"], "lifetime_value": [9.0, 1000.0, 2000.0, None]})


def order(user: str, item: str, when: float, amount: int, referrer: str) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ordered_at": day(when), "amount": amount, "referrer_id": referrer}


def market(**more: Any) -> Snapshot:
    tables = world(
        engine=ENGINE,
        until=day(60),
        items=[{"item_id": "x", "category": "tea"}, {"item_id": "y", "category": "toys"}],
        orders=[
            order("b", "x", 10, 1001, "a"),
            order("b", "x", 12, 500, "a"),
            order("c", "y", 11, 333, "a"),
            order("d", "y", 12, 0, "e"),
            order("b", "y", 13, 200, "e"),
        ],
        ties=[{"user_id": "f", "influencer_id": "a"}],
        **more,
    )
    return prepare(take_snapshot(tables, day(40)))


def rewards(*paid: tuple[str, int]) -> list[dict[str, Any]]:
    return [{"user_id": user, "kind": "commission", "amount": amount, "granted_at": day(14)} for user, amount in paid]


def test_d72_the_ledger_of_assets_of_a_worked_example() -> None:
    # a moved b to tea and c to toys, so that 101 is divided into 51 and 50; e moved two people to toys; z moved nobody.
    found = kpis(market(rewards=rewards(("a", 101), ("e", 7), ("z", 5))), USERS).to_pylist()
    names = ("scope", "category", "candidates", "reached", "led_in", "served", "paid", "won", "amount", "cost")
    assert [tuple(row[name] for name in names) for row in found] == [
        # b and f are around a; b came again.
        ("category", "tea", 1, 2, 1, 1, 1, 1, 1501, 51),
        # d's order was free; to b it was not the first.
        ("category", "toys", 2, 4, 3, 0, 2, 2, 533, 57),
        ("category", None, 0, 0, 0, 0, 0, 0, 0, 5),
        # b, c, d and f once each.
        ("total", None, 2, 4, 3, 1, 2, 3, 2034, 113),
    ]
    rates = ("lead_in_rate", "service_rate", "cash_in_rate", "acquisition_cost", "lifetime_value_each")
    assert [tuple(row[name] for name in rates) for row in found] == [
        (1 / 2, 1.0, 1.0, 51.0, 1000.0),
        (3 / 4, 0.0, 2 / 3, 57 / 2, 2000.0),
        (None, None, None, None, None),
        (3 / 4, 1 / 3, 2 / 3, 113 / 3, 1500.0),
    ]


def test_without_rewards_there_is_no_cost_and_without_amounts_no_worth() -> None:
    total = kpis(market(), USERS.select(["user_id"])).to_pylist()[-1]
    assert (total["amount"], total["cost"], total["acquisition_cost"], total["lifetime_value_each"]) == (
        2034,
        None,
        None,
        None,
    )


def test_before_anything_happened_the_total_is_nothing() -> None:
    empty = prepare(
        take_snapshot(world(engine=ENGINE, orders=[{"user_id": "a", "ordered_at": day(1)}], until=day(60)), day(0))
    )
    assert [(row["scope"], row["amount"], row["lead_in_rate"]) for row in kpis(empty, USERS).to_pylist()] == [
        ("total", 0, None)
    ]


@given(st.integers(0, 10**12), st.lists(st.integers(0, 10**9), min_size=1, max_size=9))
def test_d72_no_cent_is_lost_in_a_division(amount: int, weights: list[int]) -> None:
    parts = divided(amount, weights)
    assert sum(parts) == amount
    if sum(weights):
        exact = [amount * weight / sum(weights) for weight in weights]
        assert all(abs(part - share) <= 1 + 1e-3 for part, share in zip(parts, exact, strict=True))


def test_a_batch_keeps_its_ledger(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    made = kpis(market(), USERS)
    write_users(store, [{"user_id": "a"}], kpis=made)
    assert store.open().kpis().equals(made)
    write_users(store, [{"user_id": "a"}])
    with pytest.raises(ScoresError, match="holds no ledger of assets; score again"):
        store.open().kpis()
