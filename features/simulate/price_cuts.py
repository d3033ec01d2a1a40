"""Price cuts that not everybody gets: group prices, won bargains, distributors' prices and personal coupons."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import DISTRIBUTOR, HUNTER, Accounts
from features.simulate.events import Orders
from features.simulate.society import SocietySettings
from features.simulate.till import Receipts

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_HUNTERS_USE = 0.95
_HUNTERS_CUT = (0.2, 0.5)
_COUPON_CUT = (0.1, 0.3)
_DISTRIBUTOR_CUT = 0.12


def draw_coupons(
    orders: Orders, cut: Floats, accounts: Accounts, settings: SocietySettings, rng: np.random.Generator
) -> tuple[Floats, Flags]:
    """(k,) share of the list price that each order's way of buying takes off, and whether by a coupon.

    Discount hunters use a coupon for nearly everything, others for few orders. Distributors have a price of their own: it
    comes with the permission to distribute, so that it makes nobody a hunter.
    """
    role, k = accounts.role[orders.user], orders.user.size
    hunter = role == HUNTER
    coupon = rng.random(k) < np.where(hunter, _HUNTERS_USE, settings.coupons)
    deep = rng.uniform(*_HUNTERS_CUT, k)
    size = np.where(hunter, deep, rng.uniform(*_COUPON_CUT, k))
    cut = np.maximum(cut, np.where(role == DISTRIBUTOR, _DISTRIBUTOR_CUT, 0.0))
    return np.maximum(cut, np.where(coupon, size, 0.0)), coupon


def cut_prices(receipts: Receipts, cut: Floats) -> Receipts:
    """Receipts with the discount that is deeper, and refunds of what was paid then."""
    listed = receipts.amount + receipts.discount
    discount = np.maximum(receipts.discount, (listed * cut).astype(np.int64))
    amount = listed - discount
    whole = receipts.refund == receipts.amount
    refund = np.where(receipts.refund == 0, 0, np.where(whole, amount, amount // 2))
    return replace(receipts, amount=amount, discount=discount, refund=refund)
