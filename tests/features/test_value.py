"""Money around each user, on worlds small enough to add up by hand."""

from typing import Any

import ibis.expr.types as ir
import pytest

from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.value import below, calls, costs, money_moved, payer_ranks, refunds_moved
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)


def at(number: float = 40, **tables: Any) -> Snapshot:
    """The prepared snapshot; the attribution window is 5 days, feature windows are 3, 10 and 20 days."""
    return prepare(take_snapshot(world(engine=ENGINE, until=day(60), **tables), day(number)))


def by_user(table: ir.Table | None) -> dict[str, tuple[Any, ...]]:
    assert table is not None
    return {row.pop("user_id"): tuple(row.values()) for row in ENGINE.to_arrow(table).to_pylist()}


def order(user: str, item: str, when: float, amount: int = 100, **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ordered_at": day(when), "amount": amount, **more}


def test_d36_money_of_new_friends_and_of_those_who_come_again_are_told_apart() -> None:
    orders = [
        order("b", "x", 10, 100, referrer_id="a"),
        order("b", "y", 20, 40, referrer_id="a"),
        order("c", "z", 1, 900),
        order("c", "x", 12, 7, referrer_id="a"),
    ]
    # b's first order ever was a's doing, that of c was not.
    found = ENGINE.to_arrow(money_moved(at(orders=orders))).to_pylist()
    assert found == [{"user_id": "a", "value_moved": 147, "value_new": 100, "friends_won": 1_000_000, "value_repeat": 47}]


def test_d44_rewards_that_are_money_and_contacts_are_the_cost() -> None:
    rewards = [{"user_id": "a", "kind": kind, "amount": amount, "granted_at": day(3)}
               for kind, amount in (("commission", 300), ("coupon", 50), ("points", 9_000), (None, 7))]  # fmt: skip
    sent = [{"campaign_id": "c", "user_id": user, "arm": arm, "cost": 10, "contacted_at": day(5)}
            for user, arm in (("a", "contacted"), ("b", "contacted"), ("c", "holdout"))]  # fmt: skip
    orders = [order("a", "x", 1)]
    assert by_user(costs(at(orders=orders, rewards=rewards, outreach=sent))) == {"a": (367,), "b": (10,)}
    assert by_user(costs(at(4, orders=orders, rewards=rewards, outreach=sent))) == {"a": (357,)}
    assert costs(at(orders=orders)) is None


def test_d46_followers_who_buy_what_somebody_calls_for_over_followers_reached() -> None:
    ties = [{"user_id": who, "influencer_id": "a"} for who in ("b", "c", "d", "e")]
    shares = [{"share_id": f"s{n}", "sharer_id": "a", "item_id": item, "shared_at": day(when)}
              for n, (item, when) in enumerate([("x", 10), ("x", 11), (None, 12)])]  # fmt: skip
    posts = [{"user_id": "a", "kind": "post", "item_id": "y", "happened_at": day(20)}]
    orders = [
        order("b", "x", 12), order("c", "x", 15), order("d", "x", 15.1), order("e", "x", 9), order("b", "y", 21),
        order("stranger", "y", 21),
    ]  # fmt: skip
    # Two calls, x and y, each to four followers; b and c bought x in time, b bought y. The second share of x is no new call.
    assert by_user(calls(at(orders=orders, shares=shares, engagements=posts, ties=ties))) == {"a": (2, 8, 3)}
    assert by_user(calls(at(orders=orders, shares=shares, ties=ties))) == {"a": (1, 4, 2)}


def test_d28_the_first_payers_have_the_first_places() -> None:
    orders = [order("c", "x", 3), order("a", "x", 1, 0), order("a", "x", 4), order("b", "x", 3), order("d", "x", 2)]
    # a's first order was free; b and c paid at one moment.
    assert by_user(payer_ranks(at(orders=orders))) == {"d": (1,), "b": (2,), "c": (2,), "a": (4,)}


def test_d52_what_the_chain_below_somebody_spends_lately() -> None:
    joins = [("b", "a", 2), ("c", "b", 3), ("d", "b", 4), ("z", "y", 5)]
    memberships = [{"community_id": "g", "user_id": user, "inviter_id": inviter, "joined_at": day(when)}
                   for user, inviter, when in joins]  # fmt: skip
    orders = [order("b", "x", 30, 100), order("c", "x", 31, 50), order("c", "y", 10, 900), order("a", "x", 30, 777),
              order("d", "x", 33, 8)]  # fmt: skip
    # The longest window begins on day 20. a brought b, who brought c and d.
    found = by_user(below(at(orders=orders, memberships=memberships)))
    assert found == {"a": (3, 158), "b": (2, 58), "y": (1, 0)}


@pytest.mark.parametrize(("number", "refunded"), [(40, 60), (25, 0)])
def test_d31_refunds_of_what_somebody_led_others_to(number: float, refunded: int) -> None:
    orders = [
        order("b", "x", 10, 100, referrer_id="a", refund_amount=60, refunded_at=day(30)),
        order("b", "x", 12, 20),
        order("b", "x", 5, 500, refund_amount=500, refunded_at=day(6)),
        order("c", "y", 10, 40, referrer_id="a"),
    ]
    # What b bought before a came is none of a's.
    assert by_user(refunds_moved(at(number, orders=orders))) == {"a": (160, refunded, 0)}


def test_d31_complaints_about_what_somebody_led_others_to() -> None:
    orders = [
        order("b", "x", 10, referrer_id="a", refund_amount=0, refunded_at=day(11)),
        order("c", "y", 10, referrer_id="a"),
    ]
    acts = [{"user_id": who, "kind": kind, "item_id": item, "happened_at": day(when)}
            for who, kind, item, when in [("b", "complaint", "x", 15), ("b", "after-sales", "x", 16), ("c", "post", "y", 15),
                                          ("c", "complaint", "x", 15), ("c", "complaint", "y", 9)]]  # fmt: skip
    assert by_user(refunds_moved(at(orders=orders, engagements=acts)))["a"][2] == 1
