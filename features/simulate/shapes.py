"""The shapes of a market: what a simulated one and a real one are compared on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.simulate.follow_ups import FollowUps, follow_ups

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SOCIAL = (
    "tied_share",
    "degree_mean",
    "degree_median",
    "degree_p99_over_mean",
    "degree_gini",
    "reciprocity",
    "degree_orders_correlation",
    "top_items_share",
    "follow_up_rate",
    "influential_share",
    "influence_persistence",
    "degree_captures",
    "past_captures",
    "best_captures",
)


@dataclass(frozen=True)
class MarketShapes:
    """Sizes and ratios of one market; shares lie in [0, 1], and what needs ties is nan without them.

    Ties: ``tied_share`` of buyers have at least one, either way; ``degree_*``: people whom a user may influence, over users
    with at least one; ``reciprocity``: share of arcs that also exist the other way round;
    ``degree_orders_correlation``: Spearman, over buyers.

    Orders: ``orders_*`` per buyer; ``single_order_share`` of buyers; ``recency_*``: quantiles, over everyone who bought
    before the date, of the time since the last order, in units of the time observed before the date; ``repeat_rate``: those
    who ordered in the two horizons before the date and do so again in the one after it; ``top_items_share``: orders
    that the top 1 % of items get.

    Influence (implicit, from ties and orders alone): ``follow_up_rate``: first purchases of an item later than ``gap`` and
    not later than ``window`` after a tie's own; ``influential_share``: users seen before the date with influence in the
    horizon after it; ``influence_persistence``: Spearman correlation of that with the influence in the horizon before;
    ``degree_captures``, ``past_captures``, ``best_captures``: share of the influence in the horizon after the date that the
    top 1 % of users hold, by degree, by influence in the horizon before, and by that influence itself.
    """

    tied_share: float
    degree_mean: float
    degree_median: float
    degree_p99_over_mean: float
    degree_gini: float
    reciprocity: float
    degree_orders_correlation: float
    orders_mean: float
    orders_gini: float
    single_order_share: float
    recency_p10: float
    recency_p50: float
    recency_p90: float
    repeat_rate: float
    top_items_share: float
    follow_up_rate: float
    influential_share: float
    influence_persistence: float
    degree_captures: float
    past_captures: float
    best_captures: float


def gini(counts: Floats) -> float:
    """Gini coefficient of (n,) values >= 0: 0 when all are equal, near 1 when one holds everything; nan when empty."""
    if counts.size == 0 or counts.sum() == 0:
        return float("nan")
    ordered = np.sort(counts)
    ranks = np.arange(1, ordered.size + 1)
    return float((2 * ranks - ordered.size - 1) @ ordered / (ordered.size * ordered.sum()))


def market_shapes(
    orders: pd.DataFrame,
    ties: pd.DataFrame | None,
    *,
    as_of: datetime,
    horizon: timedelta = timedelta(days=42),
    window: timedelta = timedelta(days=28),
    gap: timedelta = timedelta(0),
) -> MarketShapes:
    """The shapes of any market at one date.

    Args:
        orders: columns user_id, ordered_at and, for the follow-up shapes, item_id; one row per order
        ties: columns user_id, influencer_id, one row per direction; None where there is no graph (its shapes are nan)
        as_of: UTC; recency and repeat rate stand here
    """
    times = orders["ordered_at"].to_numpy("datetime64[us]").astype(np.int64)
    names = [orders["user_id"]] if ties is None else [orders["user_id"], ties["user_id"], ties["influencer_id"]]
    codes, _ = pd.factorize(np.concatenate([column.to_numpy() for column in names]))
    users, n_users = codes[: len(orders)], int(codes.max()) + 1
    moment = int(np.datetime64(as_of, "us").astype(np.int64))
    span = _microseconds(horizon)
    counts = np.bincount(users, minlength=n_users)
    bought = counts[counts > 0]
    before = times < moment
    last = np.full(n_users, -1, dtype=np.int64)
    np.maximum.at(last, users[before], times[before])
    seen = last >= 0
    recency = np.quantile((moment - last[seen]) / (moment - times.min()), [0.1, 0.5, 0.9])
    active = last >= moment - 2 * span
    returned = np.zeros(n_users, dtype=bool)
    returned[users[~before & (times < moment + span)]] = True
    social = dict.fromkeys(_SOCIAL, float("nan"))
    if ties is not None:
        ends = codes[len(orders) :].reshape(2, -1)
        arcs = np.unique((ends[0] * n_users + ends[1])[ends[0] != ends[1]])
        items = pd.factorize(orders["item_id"])[0]
        spans = {"window": _microseconds(window), "gap": _microseconds(gap)}
        events = follow_ups(users, items, times, arcs // n_users, arcs % n_users, **spans)
        sold = np.sort(np.bincount(items))[::-1]
        social = {
            **_tie_shapes(arcs, counts),
            "top_items_share": float(sold[: int(np.ceil(0.01 * sold.size))].sum() / sold.sum()),
            "follow_up_rate": events.rate,
            **_influence_shapes(events, arcs, seen, moment, span),
        }
    return MarketShapes(
        orders_mean=float(bought.mean()),
        orders_gini=gini(bought.astype(float)),
        single_order_share=float((bought == 1).mean()),
        recency_p10=float(recency[0]),
        recency_p50=float(recency[1]),
        recency_p90=float(recency[2]),
        repeat_rate=float(returned[active].mean()) if active.any() else float("nan"),
        **social,
    )


def _tie_shapes(arcs: Ints, counts: Ints) -> dict[str, float]:
    n_users = counts.size
    follower, influencer = arcs // n_users, arcs % n_users
    degree = np.bincount(influencer, minlength=n_users)
    reached = degree[degree > 0]
    bought = counts > 0
    tied = degree + np.bincount(follower, minlength=n_users) > 0
    return {
        "tied_share": float(tied[bought].mean()),
        "degree_mean": float(reached.mean()),
        "degree_median": float(np.median(reached)),
        "degree_p99_over_mean": float(np.quantile(reached, 0.99) / reached.mean()),
        "degree_gini": gini(reached.astype(float)),
        "reciprocity": float(np.isin(influencer * n_users + follower, arcs, assume_unique=True).mean()),
        "degree_orders_correlation": _spearman(degree[bought], counts[bought]),
    }


def _influence_shapes(events: FollowUps, arcs: Ints, seen: Flags, moment: int, span: int) -> dict[str, float]:
    degree = np.bincount(arcs % seen.size, minlength=seen.size)[seen]
    later = events.within(moment, moment + span, seen.size)[seen]
    earlier = events.within(moment - span, moment, seen.size)[seen]
    top = int(np.ceil(0.01 * later.size))
    total = later.sum() or float("nan")

    def captured(score: Floats) -> float:
        return float(later[np.argsort(-score, kind="stable")[:top]].sum() / total)

    return {
        "influential_share": float((later > 0).mean()),
        "influence_persistence": _spearman(earlier, later),
        "degree_captures": captured(degree.astype(float)),
        # Equal influence is ordered by degree, which is far too small to change the order otherwise.
        "past_captures": captured(earlier + degree * 1e-9),
        "best_captures": captured(later),
    }


def _spearman(left: NDArray[Any], right: NDArray[Any]) -> float:
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return float("nan")
    return float(pd.Series(left).corr(pd.Series(right), method="spearman"))


def _microseconds(length: timedelta) -> int:
    return length // timedelta(microseconds=1)
