"""What people did in one step of the simulation, and several steps put together."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import ACTIONS, NOBODY, Orders, Responses, Shares
from features.simulate.rows import join, take

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Acts:
    """Orders, shares and responses; positions of shares (``parent``, ``share``) are those within ``shares``.

    ``cut``: (orders,) share of the list price that this way of buying takes off at least.
    """

    orders: Orders
    shares: Shares
    responses: Responses
    cut: Floats

    @classmethod
    def of(
        cls,
        *,
        orders: Orders | None = None,
        shares: Shares | None = None,
        responses: Responses | None = None,
        cut: Floats | None = None,
    ) -> Self:
        """Acts of which some kinds may be missing; orders without ``cut`` have none."""
        none = np.zeros(0, dtype=np.int64)
        orders = Orders(*[none] * 5) if orders is None else orders
        shares = Shares(*[none] * 6) if shares is None else shares
        responses = Responses(*[none] * 4) if responses is None else responses
        return cls(orders, shares, responses, np.zeros(orders.user.size) if cut is None else cut)


def together(*parts: Acts) -> Acts:
    """All acts of several steps, with the positions of shares moved along."""
    moved = []
    first = 0
    for part in parts:
        moved.append(
            Acts(
                replace(part.orders, share=_moved(part.orders.share, first)),
                replace(part.shares, parent=_moved(part.shares.parent, first)),
                replace(part.responses, share=part.responses.share + first),
                part.cut,
            )
        )
        first += part.shares.sharer.size
    return Acts(
        join(*(part.orders for part in moved)),
        join(*(part.shares for part in moved)),
        join(*(part.responses for part in moved)),
        np.concatenate([part.cut for part in moved]),
    )


def in_time_order(acts: Acts) -> tuple[Acts, Ints]:
    """The same acts sorted by time, so that positions say nothing about who caused what; and where each order was."""
    by_time = np.argsort(acts.shares.moment, kind="stable")
    # The extra last place keeps NOBODY (-1) as it is.
    position = np.full(by_time.size + 1, NOBODY)
    position[by_time] = np.arange(by_time.size)
    place = np.argsort(acts.orders.moment, kind="stable")
    responses = acts.responses
    answered = np.lexsort((responses.action, responses.responder, responses.moment))
    sorted_acts = Acts(
        take(replace(acts.orders, share=position[acts.orders.share]), place),
        take(replace(acts.shares, parent=position[acts.shares.parent]), by_time),
        take(replace(responses, share=position[responses.share]), answered),
        acts.cut[place],
    )
    return sorted_acts, place


def bought_through(orders: Orders) -> Responses:
    """The ``buy`` response of each order that came through a share."""
    through = take(orders, orders.share != NOBODY)
    return Responses(through.share, through.user, np.full(through.user.size, ACTIONS.index("buy")), through.moment)


def _moved(positions: Ints, by: int) -> Ints:
    return np.where(positions == NOBODY, NOBODY, positions + by)
