"""What people share because they sell: distributors and KOLs on top of their own habit, staff guides in business hours."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import DISTRIBUTOR, KOL, STAFF, Accounts
from features.simulate.acts import Acts, bought_through
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, TARGETS, Orders, Responses, Shares
from features.simulate.group_buys import draw_moments
from features.simulate.ownership import Ownership
from features.simulate.rows import join, take
from features.simulate.season import DAY, HOUR, Season
from features.simulate.sharing import respond
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

OPENS, CLOSES = 9, 18
_ITEM = TARGETS.index("item")
_LIVE, _MOMENTS = CHANNELS.index("live"), CHANNELS.index("moments")
_CLICK = ACTIONS.index("click")
_GENERATIONS = 4
_SOON_DAYS = 0.7
_CLICKS_PER_SHARE, _CLICK_DELAY_HOURS = 1.2, 4.0
_BUYS_PER_CLICK = 0.06


def draw_promotions(
    orders: Orders,
    truth: Truth,
    accounts: Accounts,
    season: Season,
    owned: Ownership,
    settings: SocietySettings,
    rng: np.random.Generator,
) -> Acts:
    """Shares of what KOLs bought (live and moments) and of whatever distributors sell, answered as all shares are."""
    spoken = np.flatnonzero(accounts.role[orders.user] == KOL)
    spoken = spoken[rng.random(spoken.size) < settings.promotions]
    shown = orders.moment[spoken] + 1 + (rng.exponential(_SOON_DAYS, spoken.size) * DAY).astype(np.int64)
    stage = np.where(rng.random(spoken.size) < 0.5, _LIVE, _MOMENTS)
    sells = (accounts.role[: truth.people.size] == DISTRIBUTOR).astype(float)
    seller, offered = draw_moments(sells, settings.distributor_shares * float(sells.mean()), truth, season, rng)
    goods = truth.catalogue.choose(seller, offered, truth.people, rng)
    channel = rng.choice(len(CHANNELS), seller.size, p=[0.4, 0.3, 0.3, 0.0])
    nothing = np.zeros(spoken.size + seller.size, dtype=np.int64)
    shares = Shares(
        np.append(orders.user[spoken], seller),
        np.append(orders.item[spoken], goods),
        np.append(shown, offered),
        np.append(stage, channel),
        nothing + _ITEM,
        nothing + NOBODY,
    )
    return answered(take(shares, shares.moment < truth.leave[shares.sharer]), truth, owned, rng)


def answered(shares: Shares, truth: Truth, owned: Ownership, rng: np.random.Generator) -> Acts:
    """Shares of items with all that follows from them: responses, purchases, and shares that pass them on."""
    sent, responses, orders = [], [Acts.of().responses], [Acts.of().orders]
    first = 0
    for _ in range(_GENERATIONS):
        answers, bought, passed = respond(shares, first, truth, rng)
        bought = take(bought, owned.first_of_each(bought))
        owned.add(bought)
        sent.append(shares)
        responses += [answers, bought_through(bought)]
        orders.append(bought)
        first += shares.sharer.size
        shares = passed
    # What is passed on in the last generation is not followed further.
    return Acts.of(orders=join(*orders), shares=join(*sent), responses=join(*responses))


def draw_customers(truth: Truth, accounts: Accounts, settings: SocietySettings, rng: np.random.Generator) -> Ints:
    """(n,) the guide who looks after each user, or ``NOBODY``; guides have none themselves."""
    n = truth.people.size
    guides = accounts.playing(STAFF)
    served = rng.permutation(n)[: min(guides.size * settings.customers_per_guide, n)]
    owner = np.full(n, NOBODY)
    if guides.size:
        owner[served] = guides[rng.integers(0, guides.size, served.size)]
    owner[guides] = NOBODY
    return owner


def draw_guidance(owner: Ints, truth: Truth, owned: Ownership, settings: SocietySettings, rng: np.random.Generator) -> Acts:
    """Shares of guides in business hours, and clicks and few purchases of their customers."""
    people = truth.people
    served = np.flatnonzero(owner != NOBODY)
    served = served[np.argsort(owner[served], kind="stable")]
    guides = np.unique(owner[served])
    sharer = np.repeat(guides, rng.poisson(settings.staff_shares * truth.settings.years, guides.size))
    moment = working_hours(rng.random(sharer.size), truth, rng)
    present = (moment >= people.registered[sharer]) & (moment < truth.leave[sharer])
    sharer, moment = sharer[present], moment[present]
    item = truth.catalogue.choose(rng.integers(0, people.size, sharer.size), moment, people, rng)
    channel = rng.choice(len(CHANNELS), sharer.size, p=[0.5, 0.2, 0.3, 0.0])
    nobody = np.full(sharer.size, NOBODY)
    shares = Shares(sharer, item, moment, channel, np.full(sharer.size, _ITEM), nobody)

    cause = np.repeat(np.arange(sharer.size), rng.poisson(_CLICKS_PER_SHARE, sharer.size))
    low = np.searchsorted(owner[served], sharer[cause])
    size = np.searchsorted(owner[served], sharer[cause], side="right") - low
    customer = served[low + (rng.random(cause.size) * size).astype(np.int64)]
    at = moment[cause] + 1 + (rng.exponential(_CLICK_DELAY_HOURS, cause.size) * HOUR).astype(np.int64)
    able = (people.registered[customer] <= moment[cause]) & (at + HOUR < truth.leave[customer])
    _, once = np.unique(cause * people.size + customer, return_index=True)
    able[np.setdiff1d(np.arange(cause.size), once)] = False
    cause, customer, at = cause[able], customer[able], at[able]
    clicks = Responses(cause, customer, np.full(cause.size, _CLICK), at)
    buys = rng.random(cause.size) < _BUYS_PER_CLICK
    bought = take(Orders(customer, item[cause], at + HOUR, sharer[cause], cause), buys)
    bought = take(bought, owned.first_of_each(bought))
    owned.add(bought)
    return Acts.of(orders=bought, shares=shares, responses=join(clicks, bought_through(bought)))


def working_hours(part: NDArray[np.float64], truth: Truth, rng: np.random.Generator) -> Ints:
    """Moments within business hours, at these parts (in [0, 1)) of the observed working days."""
    days = np.arange(truth.settings.days)
    weekday = (truth.settings.start.weekday() + days) % 7
    working = days[weekday < 6]
    day = working[(part * working.size).astype(np.int64)]
    return np.asarray(day * DAY + ((OPENS + (CLOSES - OPENS) * rng.random(part.size)) * HOUR).astype(np.int64))
