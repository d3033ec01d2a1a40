"""What follows one share of each item."""

from typing import Any

import pytest

from features.engine import DuckDB
from features.items import PRIOR_SHARES, share_worth
from features.prepare import prepare
from features.snapshot import take_snapshot
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)


def worth(number: float = 30, **tables: Any) -> dict[str, dict[str, Any]]:
    """item_id -> its row at day ``number``; the attribution window is 5 days."""
    snapshot = prepare(take_snapshot(world(engine=ENGINE, until=day(60), **tables), day(number)))
    return {row.pop("item_id"): row for row in ENGINE.to_arrow(share_worth(snapshot)).to_pylist()}


def share(name: str, item: str, at: float, sharer: str = "s") -> dict[str, Any]:
    return {"share_id": name, "sharer_id": sharer, "item_id": item, "shared_at": day(at)}


def answer(name: str, who: str, at: float) -> dict[str, Any]:
    return {"share_id": name, "responder_id": who, "responded_at": day(at)}


def order(user: str, item: str, at: float, amount: int = 100) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ordered_at": day(at), "amount": amount}


ITEMS = [{"item_id": item, "category": "tea" if item != "toy" else "toys"} for item in ("x", "y", "toy")]


def test_d38_what_follows_one_share_of_an_item_is_held_against_its_category() -> None:
    found = worth(
        items=ITEMS,
        shares=[share("x1", "x", 1), share("x2", "x", 2), share("y1", "y", 1), share("t1", "toy", 1)],
        share_responses=[
            answer("x1", "b", 1.5), answer("x1", "b", 2), answer("x1", "c", 2), answer("x1", "s", 2), answer("x2", "d", 3),
            answer("y1", "b", 2),
        ],
        # b buys x in time, c six days after the share; d without having answered a share of y.
        orders=[order("b", "x", 2), order("c", "x", 7.1), order("d", "y", 3), order("s", "x", 0.5, 900)],
    )  # fmt: skip
    counted = {item: (r["shares"], r["responses"], r["purchases"], r["value"]) for item, r in found.items()}
    assert counted == {"x": (2, 3, 1, 100), "y": (1, 1, 0, 0), "toy": (1, 0, 0, 0)}
    # Three shares of tea drew four answers and one purchase of 100.
    assert found["x"]["share_worth"] == pytest.approx((1 + PRIOR_SHARES / 3) / (2 + PRIOR_SHARES))
    assert found["y"]["share_worth"] == pytest.approx((PRIOR_SHARES / 3) / (1 + PRIOR_SHARES))
    assert found["x"]["responses_each"] == pytest.approx((3 + PRIOR_SHARES * 4 / 3) / (2 + PRIOR_SHARES))
    assert found["x"]["value_each"] == pytest.approx(100 * found["x"]["share_worth"])
    assert found["toy"]["share_worth"] == 0


def test_shares_whose_window_is_open_are_not_counted_yet() -> None:
    tables = {"shares": [share("x1", "x", 1), share("x2", "x", 25)], "share_responses": [answer("x1", "b", 2)],
              "orders": [order("b", "x", 2)]}  # fmt: skip
    assert [worth(number, **tables)["x"]["shares"] for number in (30, 30.001)] == [1, 2]


def test_without_orders_responses_alone_tell() -> None:
    found = worth(shares=[share("x1", "x", 1)], share_responses=[answer("x1", "b", 2)])
    assert (found["x"]["responses"], found["x"]["purchases"], found["x"]["category"]) == (1, 0, None)
