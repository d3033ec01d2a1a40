"""Bargains: a price that falls with every friend who helps, and an order once enough did."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import HUNTER, Accounts
from features.simulate.acts import Acts
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, TARGETS, Orders, Responses, Shares
from features.simulate.group_buys import draw_moments
from features.simulate.mates import draw_mates
from features.simulate.ownership import Ownership
from features.simulate.rows import take
from features.simulate.season import DAY, HOUR, Season
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

HELP = ACTIONS.index("help")
BARGAIN = TARGETS.index("bargain")
HELPS_A_DAY = 3
HELPS_NEEDED = 4
HELP_DELAY_HOURS, HELP_DELAY_SIGMA = 2.0, 1.3
CHANNEL_SHARES = (0.6, 0.05, 0.35, 0.0)
_HUNTERS_BARGAIN = 6.0
_TIE_MATTERS = 0.5
_CUT = (0.3, 0.5)


def draw_bargains(
    truth: Truth, accounts: Accounts, season: Season, owned: Ownership, settings: SocietySettings, rng: np.random.Generator
) -> Acts:
    """Shares of kind bargain, helps of followers and people of the same community within a day, and won orders.

    To help costs nothing, so that taste does not matter and the tie's intensity only by its square root. The rule of such
    campaigns holds for everybody here: a friend helps once per bargain, and ``HELPS_A_DAY`` times a day at most.
    """
    people, network, n = truth.people, truth.network, truth.people.size
    role = accounts.role[:n]
    weight = people.rate * people.share_rate * np.where(role == HUNTER, _HUNTERS_BARGAIN, 1.0)
    # Hunters bargain even if they share nothing else.
    weight[(role == HUNTER) & (people.share_rate == 0)] = weight[weight > 0].mean() if weight.any() else 0.0
    sharer, moment = draw_moments(weight, settings.bargains, truth, season, rng)
    item = truth.catalogue.choose(sharer, moment, people, rng)
    shares = bargain_shares(sharer, item, moment, rng)

    pull = network.intensity**_TIE_MATTERS
    drawn = np.bincount(network.influencer, weights=pull, minlength=n)
    scale = settings.helps_per_bargain * float(weight.sum()) / max(float(weight @ drawn), 1e-12)
    total = np.concatenate([[0.0], np.cumsum(pull)])
    cause = np.repeat(np.arange(sharer.size), rng.poisson(drawn[sharer] * scale))
    low, high = network.start[sharer[cause]], network.start[sharer[cause] + 1]
    target = total[low] + rng.random(cause.size) * (total[high] - total[low])
    arc = (np.searchsorted(total, target, side="right") - 1).clip(low, high - 1)
    helper, at = network.follower[arc], moment[cause] + help_delay(cause.size, rng)
    tied = network.live_from[arc] <= moment[cause]
    of, mate = draw_mates(sharer, settings.helps_of_members, truth, rng)
    cause, helper = np.append(cause, of), np.append(helper, mate)
    at = np.append(at, moment[of] + help_delay(of.size, rng))
    able = np.append(tied, mate != sharer[of]) & (people.registered[helper] <= moment[cause])
    able &= (at < truth.leave[helper]) & (at < moment[cause] + DAY)
    # The first drawn of a helper's acts counts, not the earliest: few followers would help sooner than many.
    _, once = np.unique(cause * n + helper, return_index=True)
    able &= np.isin(np.arange(cause.size), once)
    helps = within_rules(Responses(cause[able], helper[able], np.full(int(able.sum()), HELP), at[able]))

    orders = won(shares, helps, truth.leave, owned)
    return Acts.of(orders=orders, shares=shares, responses=helps, cut=price_cuts(orders, rng))


def bargain_shares(sharer: Ints, item: Ints, moment: Ints, rng: np.random.Generator) -> Shares:
    """One share per bargain, through the channels that people use for it."""
    channel = rng.choice(len(CHANNELS), sharer.size, p=CHANNEL_SHARES)
    nobody = np.full(sharer.size, NOBODY)
    return Shares(sharer, item, moment, channel, np.full(sharer.size, BARGAIN), nobody)


def won(shares: Shares, helps: Responses, leave: Ints, owned: Ownership) -> Orders:
    """The order of each bargain that got ``HELPS_NEEDED`` helps, an hour after the last of these."""
    by_time = take(helps, np.lexsort((helps.moment, helps.share)))
    place = np.arange(by_time.share.size) - np.searchsorted(by_time.share, by_time.share)
    enough = take(by_time, place == HELPS_NEEDED - 1)
    buyer, checkout = shares.sharer[enough.share], enough.moment + HOUR
    nobody = np.full(buyer.size, NOBODY)
    orders = take(Orders(buyer, shares.item[enough.share], checkout, nobody, nobody), checkout < leave[buyer])
    orders = take(orders, owned.first_of_each(orders))
    owned.add(orders)
    return orders


def price_cuts(orders: Orders, rng: np.random.Generator) -> NDArray[np.float64]:
    """Share of the list price that a won bargain takes off."""
    return rng.uniform(*_CUT, orders.user.size)


def help_delay(count: int, rng: np.random.Generator) -> Ints:
    """(count,) seconds until somebody helps, whoever it is."""
    hours = rng.lognormal(np.log(HELP_DELAY_HOURS), HELP_DELAY_SIGMA, count)
    return np.asarray(1 + (hours * HOUR).astype(np.int64))


def within_rules(helps: Responses) -> Responses:
    """The helps that the rules allow: the first per bargain and helper, and ``HELPS_A_DAY`` per helper and local day."""
    by_time = take(helps, np.lexsort((helps.responder, helps.moment)))
    size = int(helps.responder.max(initial=0)) + 1
    _, once = np.unique(by_time.share * size + by_time.responder, return_index=True)
    kept = take(by_time, np.sort(once))
    day = kept.moment // DAY * size + kept.responder
    order = np.argsort(day, kind="stable")
    rank = np.arange(day.size) - np.searchsorted(day[order], day[order])
    return take(kept, np.sort(order[rank < HELPS_A_DAY]))
