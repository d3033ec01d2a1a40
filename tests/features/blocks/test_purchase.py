"""Orders of a few buyers, with every value worked out by head."""

from dataclasses import replace
from datetime import timedelta

import pytest

from features.blocks.purchase import (
    category_spread,
    purchase_discount,
    purchase_frequency,
    purchase_money,
    purchase_rhythm,
    purchase_variety,
)
from features.tables import Tables
from tests.features.blocks.by_user import AS_OF, by_user, shared_engine
from tests.worlds import Rows, day, world


def shop(*orders: dict[str, object], **others: Rows) -> Tables:
    return world(
        engine=shared_engine(), orders=[{"user_id": "a", "ordered_at": day(39), **order} for order in orders], **others
    )


def test_frequency() -> None:
    days = (0, 20, 25, 30, 36, 37, 39)
    found = by_user(
        purchase_frequency,
        shop(*({"ordered_at": day(at)} for at in days), {"ordered_at": AS_OF}, {"user_id": "b", "ordered_at": day(39.5)}),
    )
    assert found == {
        "a": pytest.approx(
            {
                "orders_3d": 2,
                "orders_10d": 4,
                "orders_20d": 6,
                "orders_all": 7,
                "recency_days": 1.0,
                "tenure_days": 40.0,
                "orders_per_day": 7 / 40,
                "orders_trend": (4 - 2) / (4 + 2),
            }
        ),
        "b": pytest.approx(
            {
                "orders_3d": 1,
                "orders_10d": 1,
                "orders_20d": 1,
                "orders_all": 1,
                "recency_days": 0.5,
                "tenure_days": 0.5,
                "orders_per_day": 1.0,  # over a day, not over the half
                "orders_trend": 1.0,
            }
        ),
    }


def test_a_buyer_silent_for_two_windows_has_no_trend() -> None:
    found = by_user(purchase_frequency, shop({"ordered_at": day(19.9)}))
    assert found["a"]["orders_trend"] is None


def test_orders_before_the_lookback_do_not_exist() -> None:
    tables = world(
        engine=shared_engine(),
        settings={"lookback": timedelta(days=15)},
        orders=[{"user_id": "a", "item_id": "x", "amount": 100, "ordered_at": day(at)} for at in (24.9, 25, 39)],
    )
    assert by_user(purchase_frequency, tables)["a"]["orders_all"] == 2
    assert by_user(purchase_frequency, tables)["a"]["tenure_days"] == 15.0
    assert by_user(purchase_rhythm, tables)["a"]["active_days_all"] == 2
    assert by_user(purchase_money, tables)["a"]["spend_all"] == 200
    variety = by_user(purchase_variety, tables)["a"]
    assert (variety["adopted_20d"], variety["repeat_share"]) == (1, 0.5)


def test_rhythm_counts_local_days() -> None:
    # In Shanghai (UTC+8) the first two are on Monday the 1st, the third, two hours later, is on Tuesday.
    hours = (1, 15, 17, 5 * 24, 38 * 24)
    tables = shop(
        *({"ordered_at": day(hour / 24)} for hour in hours),
        {"user_id": "b", "ordered_at": day(36.5)},
        *({"user_id": "c", "ordered_at": day(at)} for at in (10, 20, 30)),
    )
    tables = replace(tables, dataset=tables.dataset.model_copy(update={"zone": "Asia/Shanghai"}))
    mean = (1 + 4 + 33) / 3
    assert by_user(purchase_rhythm, tables) == {
        "a": pytest.approx(
            {
                "active_days_3d": 1,
                "active_days_10d": 1,
                "active_days_20d": 1,
                "active_days_all": 4,
                "gap_days_mean": mean,
                "gap_days_max": 33.0,
                "gap_days_std": ((1 + 16 + 33 * 33) / 3 - mean * mean) ** 0.5,
                "overdue": 2 / mean,
                "weekend_share": 1 / 4,  # the 6th is a Saturday
            }
        ),
        "b": {
            "active_days_3d": 0,
            "active_days_10d": 1,
            "active_days_20d": 1,
            "active_days_all": 1,
            "gap_days_mean": None,
            "gap_days_max": None,
            "gap_days_std": None,
            "overdue": None,
            "weekend_share": 0.0,
        },
        "c": {
            "active_days_3d": 0,
            "active_days_10d": 1,
            "active_days_20d": 2,
            "active_days_all": 3,
            "gap_days_mean": 10.0,
            "gap_days_max": 10.0,
            "gap_days_std": 0.0,
            "overdue": 1.0,
            "weekend_share": 1 / 3,  # of the 11th, 21st and 31st only the 21st, a Sunday
        },
    }


def test_money_is_net_of_refunds_known_by_then() -> None:
    found = by_user(
        purchase_money,
        shop(
            {"ordered_at": day(39), "amount": 1000},
            {"ordered_at": day(36), "amount": 500, "refund_amount": 200, "refunded_at": day(38)},
            {"ordered_at": day(31), "amount": 300, "refund_amount": 300, "refunded_at": day(41)},  # not yet known
            {"ordered_at": day(25), "amount": None},
            {"ordered_at": day(0), "amount": 100, "refund_amount": 150, "refunded_at": day(1)},  # no less than nothing
            {"user_id": "unpriced", "amount": None},
            {"user_id": "free", "amount": 0},
        ),
    )
    nothing = {"spend_3d": 0, "spend_10d": 0, "spend_20d": 0, "spend_all": 0, "order_value_max": 0, "refund_share": None}
    assert found == {
        "a": pytest.approx(
            {
                "spend_3d": 1000,
                "spend_10d": 1600,
                "spend_20d": 1600,
                "spend_all": 1600,
                "order_value": 400.0,  # four lines have an amount
                "order_value_max": 1000,
                "refund_share": 300 / 1900,
            }
        ),
        "unpriced": {**nothing, "order_value": None},
        "free": {**nothing, "order_value": 0.0},
    }


def test_discount() -> None:
    found = by_user(
        purchase_discount,
        shop(
            {"amount": 900, "discount": 100},
            {"amount": 500, "discount": None},
            {"amount": None, "discount": 50},  # off what, is not known
            {"amount": 400, "discount": 0},
            {"user_id": "free", "amount": 0, "discount": 0},
            {"user_id": "unpriced", "amount": None, "discount": 10},
        ),
    )
    assert found == {
        "a": pytest.approx({"discounted_orders": 2, "discounted_share": 0.5, "discount_share": 100 / (100 + 1800)}),
        "free": {"discounted_orders": 0, "discounted_share": 0.0, "discount_share": None},
        "unpriced": {"discounted_orders": 1, "discounted_share": 1.0, "discount_share": None},
    }


def test_variety() -> None:
    found = by_user(
        purchase_variety,
        shop(
            {"item_id": "x", "ordered_at": day(10)},
            {"item_id": "x", "ordered_at": day(39)},
            {"item_id": "y", "ordered_at": day(37)},
            {"item_id": "y", "ordered_at": day(37)},
            {"item_id": "z", "ordered_at": day(20)},
            {"item_id": None, "ordered_at": day(38)},
            {"user_id": "b", "item_id": None},
        ),
    )
    assert found == {
        "a": pytest.approx(
            {
                "adopted_3d": 1,
                "adopted_10d": 1,
                "adopted_20d": 2,
                "subjects_3d": 2,
                "subjects_10d": 2,
                "subjects_20d": 3,
                "subjects_all": 3,
                "repeat_share": 2 / 5,
            }
        )
    }


def test_variety_at_a_level_above_items() -> None:
    items = [{"item_id": item, "spu_id": spu} for item, spu in (("x1", "x"), ("x2", "x"), ("y1", None))]
    tables = world(
        engine=shared_engine(),
        credit="spu",
        orders=[{"user_id": "a", "item_id": item, "ordered_at": day(39)} for item in ("x1", "x2", "y1", "unlisted")],
        items=items,
    )
    found = by_user(purchase_variety, tables)["a"]
    assert (found["subjects_all"], found["repeat_share"]) == (3, 0.25)


def test_category_spread_leaves_out_what_has_no_category() -> None:
    kinds = {"bread": "food", "rice": "food", "ball": "toys", "thing": None}
    bought = ("bread", "bread", "rice", "ball", "thing", "unlisted", None)
    found = by_user(
        category_spread,
        shop(
            *({"item_id": item} for item in bought),
            {"user_id": "b", "item_id": "thing"},
            items=[{"item_id": item, "category": kind} for item, kind in kinds.items()],
        ),
    )
    assert found == {"a": {"categories_all": 2, "top_category_share": 0.75, "category_focus": (9 + 1) / 16}}
