"""Follow-ups along ties: whom a purchase moves to buy the same, without any trace but the two orders."""

import numpy as np

from features.simulate.events import NOBODY, Orders
from features.simulate.season import DAY
from features.simulate.truth import Truth


def follow_ups(orders: Orders, truth: Truth, rng: np.random.Generator) -> Orders:
    """Orders that ``orders`` cause, before it is checked whether the buyer has the item anyway.

    The independent cascade in its Poisson form: the number moved by one purchase has the influencer's reach as its
    mean, each one is an arc drawn by intensity and kept with the category's fit. This equals one trial per arc, and its
    cost grows with the follow-ups instead of the arcs.
    """
    settings, network = truth.settings, truth.network
    cause = np.repeat(np.arange(orders.user.size), rng.poisson(truth.reach[orders.user]))
    arc = network.draw_arcs(orders.user[cause], rng)
    user = network.follower[arc]
    item, begun = orders.item[cause], orders.moment[cause]
    delay_days = rng.lognormal(np.log(settings.delay_days), settings.delay_sigma, cause.size)
    moment = begun + 1 + (delay_days * DAY).astype(np.int64)
    moved = rng.random(cause.size) < truth.fit[user, truth.catalogue.category[item]]
    moved &= (network.live_from[arc] <= begun) & (truth.people.registered[user] <= begun) & (moment < truth.leave[user])
    nobody = np.full(int(moved.sum()), NOBODY)
    return Orders(user[moved], item[moved], moment[moved], orders.user[cause][moved], nobody)
