"""How purchases spread: each generation moves people along ties and through shares, who make the next one."""

import numpy as np

from features.simulate.acts import Acts, bought_through, in_time_order
from features.simulate.events import NOBODY, Orders
from features.simulate.ownership import Ownership
from features.simulate.purchases import Purchases
from features.simulate.rows import join, take
from features.simulate.sharing import respond, share_orders
from features.simulate.truth import Truth
from features.simulate.word_of_mouth import follow_ups

_GENERATIONS = 12


def spread(own: Purchases, truth: Truth, rng: np.random.Generator) -> Acts:
    """All orders, shares and responses, each in order of time; nobody acts before registration or after leaving.

    Only what is bought anew moves others, and only people who do not come to own the item otherwise: a caused order is
    one that would not exist without its mover.
    """
    nobody = np.full(own.user.size, NOBODY)
    orders = [Orders(own.user, own.item, own.moment, nobody, nobody)]
    active = take(orders[0], own.fresh)
    owned = Ownership(truth.catalogue.launched.size)
    owned.add(active)
    passed = share_orders(take(active, np.zeros(0, dtype=np.int64)), truth, rng)
    shares, responses = [passed], []
    for _ in range(_GENERATIONS):
        new_shares = join(passed, share_orders(active, truth, rng))
        answers, bought, passed = respond(new_shares, sum(part.sharer.size for part in shares), truth, rng)
        candidates = join(follow_ups(active, truth, rng), bought)
        active = take(candidates, owned.first_of_each(candidates))
        owned.add(active)
        shares.append(new_shares)
        responses += [answers, bought_through(active)]
        orders.append(active)
        if active.user.size == 0 and passed.sharer.size == 0:
            break
    acts = Acts.of(orders=join(*orders), shares=join(*shares), responses=join(*responses))
    return in_time_order(acts)[0]
