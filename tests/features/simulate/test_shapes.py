"""Shapes of a market small enough to work out by head."""

from datetime import datetime, timedelta
from math import isnan

import numpy as np
import pandas as pd
import pytest

from features.simulate.shapes import gini, market_shapes

AS_OF = datetime(2024, 1, 11)
HORIZON, WINDOW = timedelta(days=4), timedelta(days=3)


def orders(*rows: tuple[str, str, float]) -> pd.DataFrame:
    """(user, item, day of January 2024)."""
    return pd.DataFrame(
        [(user, item, datetime(2024, 1, 1) + timedelta(days=day - 1)) for user, item, day in rows],
        columns=["user_id", "item_id", "ordered_at"],
    )


def ties(*rows: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["user_id", "influencer_id"])


def test_gini() -> None:
    assert gini(np.array([2.0, 2.0, 2.0])) == 0
    assert gini(np.array([0.0, 0.0, 0.0, 4.0])) == pytest.approx(0.75)
    assert isnan(gini(np.array([])))


def test_orders_recency_and_repeats() -> None:
    bought = orders(("a", "x", 1), ("a", "x", 9), ("a", "y", 12), ("b", "x", 6), ("c", "x", 2), ("d", "x", 15))
    shapes = market_shapes(bought, None, as_of=AS_OF, horizon=HORIZON)
    assert shapes.orders_mean == 6 / 4
    assert shapes.single_order_share == 3 / 4
    # a: 2 of 10 days ago, b: 5, c: 9; d has not bought yet.
    assert shapes.recency_p50 == pytest.approx(0.5)
    # a and b bought within eight days before, c did not; a again within four days after, d at their very end.
    assert shapes.repeat_rate == 1 / 2
    assert isnan(shapes.degree_mean)
    assert isnan(shapes.follow_up_rate)


def test_ties() -> None:
    followed = ties(("a", "b"), ("b", "a"), ("c", "b"), ("c", "c"), ("c", "b"))
    shapes = market_shapes(orders(("a", "x", 1), ("b", "x", 1), ("c", "x", 1), ("d", "x", 1)), followed, as_of=AS_OF)
    assert shapes.tied_share == 3 / 4
    assert shapes.degree_mean == 1.5
    assert shapes.reciprocity == pytest.approx(2 / 3)


def test_influence_before_and_after_the_date() -> None:
    bought = orders(("b", "x", 7), ("a", "x", 8), ("b", "y", 11), ("a", "y", 12), ("c", "y", 13), ("c", "z", 1))
    shapes = market_shapes(bought, ties(("a", "b"), ("c", "b")), as_of=AS_OF, horizon=HORIZON, window=WINDOW)
    assert shapes.follow_up_rate == 3 / 6
    assert shapes.influential_share == 1 / 3
    assert shapes.influence_persistence == pytest.approx(1)
    assert shapes.degree_captures == shapes.past_captures == shapes.best_captures == 1
