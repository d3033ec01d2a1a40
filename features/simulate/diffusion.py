"""How purchases spread: each generation moves people along ties and through shares, who make the next one."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import ACTIONS, NOBODY, Orders, Responses, Shares
from features.simulate.purchases import Purchases
from features.simulate.rows import join, take
from features.simulate.sharing import respond, share_orders
from features.simulate.truth import Truth
from features.simulate.word_of_mouth import follow_ups

Ints = NDArray[np.int64]

_GENERATIONS = 12


def spread(own: Purchases, truth: Truth, rng: np.random.Generator) -> tuple[Orders, Shares, Responses]:
    """All orders, shares and responses, each in order of time; nobody acts before registration or after leaving.

    Only what is bought anew moves others, and only people who do not come to own the item otherwise: a caused order is
    one that would not exist without its mover.
    """
    n_items = truth.catalogue.launched.size
    owned = [np.sort(own.user[own.fresh] * n_items + own.item[own.fresh])]
    nobody = np.full(own.user.size, NOBODY)
    orders = [Orders(own.user, own.item, own.moment, nobody, nobody)]
    active = take(orders[0], own.fresh)
    passed = share_orders(take(active, np.zeros(0, dtype=np.int64)), truth, rng)
    shares, responses = [passed], []
    for _ in range(_GENERATIONS):
        new_shares = join(passed, share_orders(active, truth, rng))
        answers, bought, passed = respond(new_shares, sum(part.sharer.size for part in shares), truth, rng)
        active = _first_of_each(join(follow_ups(active, truth, rng), bought), owned, n_items)
        owned.append(np.sort(active.user * n_items + active.item))
        through = take(active, active.share != NOBODY)
        buys = Responses(through.share, through.user, np.full(through.user.size, ACTIONS.index("buy")), through.moment)
        shares.append(new_shares)
        responses += [answers, buys]
        orders.append(active)
        if active.user.size == 0 and passed.sharer.size == 0:
            break
    return _in_time_order(join(*orders), join(*shares), join(*responses))


def _first_of_each(candidates: Orders, owned: list[Ints], n_items: int) -> Orders:
    """The earliest candidate of each (user, item) that nobody owns yet."""
    by_time = take(candidates, np.argsort(candidates.moment, kind="stable"))
    key, first = np.unique(by_time.user * n_items + by_time.item, return_index=True)
    for keys in owned:
        if keys.size:
            place = np.searchsorted(keys, key).clip(max=keys.size - 1)
            new = keys[place] != key
            key, first = key[new], first[new]
    return take(by_time, first)


def _in_time_order(orders: Orders, shares: Shares, responses: Responses) -> tuple[Orders, Shares, Responses]:
    """The same events sorted by time, so that positions say nothing about who caused what."""
    by_time = np.argsort(shares.moment, kind="stable")
    # The extra last place keeps NOBODY (-1) as it is.
    position = np.full(by_time.size + 1, NOBODY)
    position[by_time] = np.arange(by_time.size)
    orders = take(replace(orders, share=position[orders.share]), np.argsort(orders.moment, kind="stable"))
    shares = take(replace(shares, parent=position[shares.parent]), by_time)
    answered = np.lexsort((responses.action, responses.responder, responses.moment))
    return orders, shares, take(replace(responses, share=position[responses.share]), answered)
