"""What sock puppets, rings and bots do: each act looks like an honest one, only together they give themselves away."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import BOT, PUPPET, RING, Accounts
from features.simulate.acts import Acts, together
from features.simulate.bargains import BARGAIN, HELP, bargain_shares, help_delay, price_cuts, within_rules, won
from features.simulate.events import ACTIONS, NOBODY, Orders, Responses, Shares
from features.simulate.ownership import Ownership
from features.simulate.rows import join, take
from features.simulate.season import DAY, HOUR, Season
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

_JOIN, _CLICK = ACTIONS.index("join"), ACTIONS.index("click")
_PUPPET_DAYS_PER_BARGAIN, _PUPPET_ACTIVE_DAYS = 6.0, 90
_PUPPET_HELPS, _PUPPET_CLICKS, _PUPPET_PASSES, _PUPPET_BUYS = 0.3, 0.1, 0.02, 0.25
_RING_DAYS_PER_BARGAIN, _RING_ACTIVE_DAYS = 10.0, 120
_RING_HELPS = 0.85
_BOT_HOURS, _BOT_ACTIVE_DAYS, _BOT_JITTER_SECONDS = (2.0, 8.0), (30, 60), 3.0


def draw_puppets(truth: Truth, accounts: Accounts, season: Season, owned: Ownership, rng: np.random.Generator) -> Acts:
    """The person shares bargains, and accounts of theirs help, click, pass on and help each other's; nobody else counts.

    Each puppet has a stream of its own, so that one more leaves the others' acts as they are.
    """
    parts = [Acts.of()]
    behind = accounts.person
    puppets = np.flatnonzero((accounts.role == PUPPET) & (behind != np.arange(accounts.size)))
    masters, first = np.unique(behind[puppets], return_index=True)
    for master in masters[np.argsort(first)]:
        own = puppets[behind[puppets] == master]
        parts.append(_puppet(int(master), own, truth, accounts, season, owned, rng.spawn(1)[0]))
    return together(*parts)


def draw_rings(truth: Truth, accounts: Accounts, season: Season, owned: Ownership, rng: np.random.Generator) -> Acts:
    """Members share bargains in turn, and nearly all others of the ring help each time."""
    parts = [Acts.of()]
    members = accounts.playing(RING)
    for ring in np.unique(accounts.cluster[members]):
        own = rng.spawn(1)[0]
        ring_members = members[accounts.cluster[members] == ring]
        begin = max(int(np.maximum(accounts.registered[ring_members], 0).max()), 0)
        end = int(accounts.leave[ring_members].min())
        length = min(_RING_ACTIVE_DAYS * DAY, end - begin)
        begin += int(own.random() * max(end - begin - length, 0))
        count = own.poisson(max(length, 0) / DAY / _RING_DAYS_PER_BARGAIN, ring_members.size)
        sharer = np.repeat(ring_members, count)
        moment = _shopping(own.random(sharer.size), begin, begin + max(length, 1), season)
        item = truth.catalogue.choose(sharer, moment, truth.people, own)
        share, other = np.divmod(np.arange(sharer.size * ring_members.size), ring_members.size)
        helper = ring_members[other]
        helps = (own.random(share.size) < _RING_HELPS) & (helper != sharer[share])
        share, helper = share[helps], helper[helps]
        at = moment[share] + help_delay(share.size, own)
        able = (at < end) & (at < moment[share] + DAY)
        answers = Responses(share[able], helper[able], np.full(int(able.sum()), HELP), at[able])
        shares = bargain_shares(sharer, item, moment, own)
        orders = won(shares, answers, accounts.leave, owned)
        parts.append(Acts.of(orders=orders, shares=shares, responses=answers, cut=price_cuts(orders, own)))
    return together(*parts)


def draw_bots(shares: Shares, accounts: Accounts, truth: Truth, rng: np.random.Generator) -> Responses:
    """Helps at fixed intervals, day and night, on whichever bargain of the last day is open; ``shares`` are everybody's."""
    bots = accounts.playing(BOT)
    open_ = np.flatnonzero(shares.target == BARGAIN)
    open_ = open_[np.argsort(shares.moment[open_], kind="stable")]
    users, moments = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for bot in bots:
        step = rng.uniform(*_BOT_HOURS) * HOUR
        until = min(int(accounts.registered[bot] + rng.uniform(*_BOT_ACTIVE_DAYS) * DAY), truth.settings.end)
        at = np.arange(accounts.registered[bot] + step, until, step)
        at = at + rng.normal(0, _BOT_JITTER_SECONDS, at.size)
        users.append(np.full(at.size, bot))
        moments.append(at.astype(np.int64))
    user, moment = np.concatenate(users), np.concatenate(moments)
    begun = shares.moment[open_]
    low, high = np.searchsorted(begun, moment - DAY), np.searchsorted(begun, moment)
    found = high > low
    user, moment, low, high = user[found], moment[found], low[found], high[found]
    chosen = low + (rng.random(user.size) * (high - low)).astype(np.int64)
    share = open_[chosen] if chosen.size else chosen
    _, once = np.unique(share * accounts.size + user, return_index=True)
    once = once[moment[once] < truth.settings.end]
    return Responses(share[once], user[once], np.full(once.size, HELP), moment[once])


def draw_abuser_ties(accounts: Accounts, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """(k,) user, influencer and beginning of friendships: half of a ring's pairs, a quarter of puppets with their person."""
    user, influencer, since = [], [], []
    members = accounts.playing(RING)
    for ring in np.unique(accounts.cluster[members]):
        own = members[accounts.cluster[members] == ring]
        left, right = np.triu_indices(own.size, 1)
        friends = rng.random(left.size) < 0.5
        left, right = own[left[friends]], own[right[friends]]
        user += [left, right]
        influencer += [right, left]
        since += [np.maximum(accounts.registered[left], accounts.registered[right])] * 2
    puppets = np.flatnonzero((accounts.role == PUPPET) & (accounts.person != np.arange(accounts.size)))
    known = puppets[rng.random(puppets.size) < 0.25]
    user += [known, accounts.person[known]]
    influencer += [accounts.person[known], known]
    since += [accounts.registered[known]] * 2
    return np.concatenate(user), np.concatenate(influencer), np.concatenate(since)


def _puppet(
    master: int,
    puppets: Ints,
    truth: Truth,
    accounts: Accounts,
    season: Season,
    owned: Ownership,
    rng: np.random.Generator,
) -> Acts:
    """One person's shares and what their accounts do about them."""
    begin = int(accounts.registered[puppets].min())
    end = min(begin + _PUPPET_ACTIVE_DAYS * DAY, int(accounts.leave[master]))
    if end <= begin:
        return Acts.of()
    count = 1 + rng.poisson((end - begin) / DAY / _PUPPET_DAYS_PER_BARGAIN)
    moment = _shopping(rng.random(count), begin, end, season)
    sharer = np.full(count, master)
    item = truth.catalogue.choose(sharer, moment, truth.people, rng)
    own = bargain_shares(sharer, item, moment, rng)
    passes = np.flatnonzero(rng.random(count * puppets.size) < _PUPPET_PASSES)
    parent, by = passes // puppets.size, puppets[passes % puppets.size]
    later = moment[parent] + help_delay(parent.size, rng)
    able = (later < end) & (accounts.registered[by] <= moment[parent])
    parent, by, later = parent[able], by[able], later[able]
    passed = bargain_shares(by, item[parent], later, rng)
    shares = join(own, Shares(by, passed.item, later, passed.channel, passed.target, parent))

    k = shares.sharer.size
    share, other = np.divmod(np.arange(k * puppets.size), puppets.size)
    helper, dice = puppets[other], rng.random(k * puppets.size)
    at = shares.moment[share] + help_delay(share.size, rng)
    able = (helper != shares.sharer[share]) & (accounts.registered[helper] <= shares.moment[share])
    # The re-shares of a puppet draw few: most wait for the person's own.
    able &= (at < shares.moment[share] + DAY) & (at < truth.settings.end) & ((share < count) | (dice < 0.1))
    helps, clicks = able & (dice < _PUPPET_HELPS), able & (dice > 1 - _PUPPET_CLICKS)
    answers = within_rules(Responses(share[helps], helper[helps], np.full(int(helps.sum()), HELP), at[helps]))
    clicked = Responses(share[clicks], helper[clicks], np.full(int(clicks.sum()), _CLICK), at[clicks])
    cheap = won(shares, answers, accounts.leave, owned)
    first = _first_orders(puppets, truth, accounts, rng)
    cut = np.concatenate([price_cuts(cheap, rng), np.zeros(first.user.size)])
    return Acts.of(orders=join(cheap, first), shares=shares, responses=join(answers, clicked), cut=cut)


def _first_orders(puppets: Ints, truth: Truth, accounts: Accounts, rng: np.random.Generator) -> Orders:
    """One cheap order of some accounts soon after they register, so that they pass for customers."""
    buyer = puppets[rng.random(puppets.size) < _PUPPET_BUYS]
    moment = accounts.registered[buyer] + 600 + (rng.random(buyer.size) * 2 * DAY).astype(np.int64)
    goods = truth.catalogue
    cheap = np.flatnonzero((goods.launched < 0) & (goods.price <= np.quantile(goods.price, 0.05)))
    nobody = np.full(buyer.size, NOBODY)
    orders = Orders(buyer, cheap[rng.integers(0, cheap.size, buyer.size)], moment, nobody, nobody)
    return take(orders, moment < truth.settings.end)


def _shopping(part: NDArray[np.float64], begin: int, end: int, season: Season) -> Ints:
    """Moments between two others, following the hours at which people shop."""
    low, high = season.demand(np.array([begin, end]))
    return np.asarray(season.moment(low + part * (high - low)).clip(begin, end - 1))
