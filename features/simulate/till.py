"""What the till writes about each order: quantity, money, refund, channel and when it was recorded."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import CHANNELS, NOBODY, Orders, Shares
from features.simulate.lifetime import NEVER
from features.simulate.season import DAY, Season
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

ORDER_CHANNELS = ("mini_program", "app", "store", "live")
_CHANNEL_SHARES = np.array([0.5, 0.3, 0.12, 0.08])
_EXTRA_PIECES = 0.2
_FULL_REFUND_SHARE = 0.8
_LONGEST_REFUND_DAYS = 20
_LATE_DAYS = 2.0


@dataclass(frozen=True)
class Receipts:
    """(k,) facts of each order, money in fen and moments in seconds.

    ``amount`` is paid, after ``discount``; ``refunded`` is ``NEVER`` without refund; ``referrer``: the sharer whom the order
    names, or ``NOBODY``; ``recorded``: when the order was written down.
    """

    quantity: Ints
    amount: Ints
    discount: Ints
    refund: Ints
    refunded: Ints
    referrer: Ints
    channel: Ints
    recorded: Ints


def ring_up(orders: Orders, shares: Shares, truth: Truth, season: Season, rng: np.random.Generator) -> Receipts:
    """Discounts are deeper on festival days; refunds that would come after the end are not in the data."""
    settings = truth.settings
    k = orders.user.size
    quantity = 1 + rng.poisson(_EXTRA_PIECES, k)
    listed = truth.catalogue.price[orders.item] * quantity
    sale = season.is_sale(orders.moment)
    depth = np.where(sale, rng.uniform(0.1, 0.4, k), rng.uniform(0.02, 0.15, k))
    depth *= rng.random(k) < np.where(sale, 0.8, 0.25)
    discount = (listed * depth).astype(np.int64)
    amount = listed - discount

    refunded = orders.moment + DAY + (rng.random(k) * (_LONGEST_REFUND_DAYS - 1) * DAY).astype(np.int64)
    given_back = (rng.random(k) < settings.refund_rate) & (refunded < settings.end)
    refund = np.where(rng.random(k) < _FULL_REFUND_SHARE, amount, amount // 2)

    late = rng.random(k) < settings.late_rate
    recorded = orders.moment + np.where(late, (rng.exponential(_LATE_DAYS, k) * DAY).astype(np.int64), 0)

    through = orders.share != NOBODY
    channel = rng.choice(len(ORDER_CHANNELS), k, p=_CHANNEL_SHARES)
    channel[through] = np.where(
        shares.channel[orders.share[through]] == CHANNELS.index("live"), ORDER_CHANNELS.index("live"), 0
    )
    return Receipts(
        quantity=quantity,
        amount=amount,
        discount=discount,
        refund=np.where(given_back, refund, 0),
        refunded=np.where(given_back, refunded, NEVER),
        referrer=np.where(through & (rng.random(k) < settings.referred), orders.mover, NOBODY),
        channel=channel,
        recorded=np.minimum(recorded, settings.end - 1),
    )
