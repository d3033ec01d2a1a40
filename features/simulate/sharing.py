"""Shares of what was bought, who responds to them, buys through them and passes them on."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import ACTIONS, CHANNELS, NOBODY, Orders, Responses, Shares
from features.simulate.rows import join, take
from features.simulate.season import DAY
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

_CHANNEL_SHARES = np.array([0.45, 0.25, 0.25, 0.05])
_CHANNEL_REACH = np.array([0.8, 0.9, 1.2, 2.3])
_HELP_RATE, _JOIN_RATE = 0.1, 0.08
_SHARE_DELAY_DAYS = 0.5
_RESPONSE_DELAY_DAYS, _RESPONSE_DELAY_SIGMA = 0.4, 1.2
_STEP_SECONDS = 600


def share_orders(orders: Orders, truth: Truth, rng: np.random.Generator) -> Shares:
    """Shares of purchases that did not come through a share themselves, soon after the purchase."""
    shared = (orders.share == NOBODY) & (rng.random(orders.user.size) < truth.people.share_rate[orders.user])
    return _shares(take(orders, shared), np.full(int(shared.sum()), NOBODY), truth, rng)


def respond(shares: Shares, first: int, truth: Truth, rng: np.random.Generator) -> tuple[Responses, Orders, Shares]:
    """Responses (clicks, some with help or join), purchases through the shares, and shares that pass them on.

    ``first``: position of the first of ``shares`` among all shares. A follower responds to one share at most once.
    """
    settings, network = truth.settings, truth.network
    mean = truth.reach[shares.sharer] * truth.responses_per_reach * _CHANNEL_REACH[shares.channel]
    cause = np.repeat(np.arange(shares.sharer.size), rng.poisson(mean))
    arc = network.draw_arcs(shares.sharer[cause], rng)
    _, once = np.unique(cause * network.influencer.size + arc, return_index=True)
    cause, arc = cause[once], arc[once]
    delay_days = rng.lognormal(np.log(_RESPONSE_DELAY_DAYS), _RESPONSE_DELAY_SIGMA, cause.size)
    moment = shares.moment[cause] + 1 + (delay_days * DAY).astype(np.int64)
    responder = network.follower[arc]
    able = (network.live_from[arc] <= shares.moment[cause]) & (truth.people.registered[responder] <= shares.moment[cause])
    able &= moment + 2 * _STEP_SECONDS < truth.leave[responder]
    cause, moment, responder = cause[able], moment[able], responder[able]

    dice = rng.random(cause.size)
    answers = [Responses(first + cause, responder, np.zeros_like(cause), moment)]
    for action, chosen in (("help", dice < _HELP_RATE), ("join", dice > 1 - _JOIN_RATE)):
        later = moment[chosen] + _STEP_SECONDS
        answers.append(
            Responses(first + cause[chosen], responder[chosen], np.full(later.size, ACTIONS.index(action)), later)
        )
    item = shares.item[cause]
    buys = rng.random(cause.size) < settings.buy_rate * truth.fit[responder, truth.catalogue.category[item]]
    checkout = moment + 2 * _STEP_SECONDS
    reached = Orders(responder, item, checkout, shares.sharer[cause], first + cause)
    passes = rng.random(cause.size) < np.minimum(truth.people.share_rate[responder] * settings.reshare_rate, 1)
    passed = take(reached, passes)
    return join(*answers), take(reached, buys), _shares(passed, passed.share, truth, rng)


def _shares(source: Orders, parent: Ints, truth: Truth, rng: np.random.Generator) -> Shares:
    moment = source.moment + 1 + (rng.exponential(_SHARE_DELAY_DAYS, source.user.size) * DAY).astype(np.int64)
    channel = rng.choice(len(CHANNELS), source.user.size, p=_CHANNEL_SHARES)
    made = Shares(source.user, source.item, moment, channel, np.zeros_like(channel), parent)
    return take(made, moment < truth.leave[source.user])
