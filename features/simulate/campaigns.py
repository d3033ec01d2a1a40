"""Invitations that travel: invite, accept, buy, and invite on, in campaigns and when people register."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.acts import Acts
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, TARGETS, Orders, Responses, Shares
from features.simulate.ownership import Ownership
from features.simulate.rows import join, take
from features.simulate.season import DAY
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

_MEMBERSHIP = TARGETS.index("membership")
_CLICK, _JOIN, _REGISTER, _BUY = (ACTIONS.index(name) for name in ("click", "join", "register", "buy"))
_GENERATIONS = 20
_ACCEPT_DELAY_DAYS, _ACCEPT_DELAY_SIGMA = 0.6, 1.0
_PASS_DELAY_DAYS = 0.5
_STEP_SECONDS = 600
_SHARERS_PASS, _OTHERS_PASS = 1.8, 0.73
_INVITE_AHEAD_DAYS = 1.5
_IN_VAIN = 1.2


def draw_campaigns(truth: Truth, owned: Ownership, settings: SocietySettings, rng: np.random.Generator) -> Acts:
    """Cascades of each campaign around one item, from people who share, along ties.

    The continuous-time independent cascade of Gomez-Rodriguez, Balduzzi and Schoelkopf (ICML 2011) with log-normal
    delays: an invitation is accepted along each tie in proportion to its true intensity, once per campaign and person,
    the earliest acceptance counts. Those who accept pass it on more often when they are used to sharing.
    """
    people, n = truth.people, truth.people.size
    count = round(settings.campaigns * truth.settings.years)
    begin = np.sort((rng.random(count) * truth.settings.end * 0.95).astype(np.int64))
    item = truth.catalogue.choose(rng.integers(0, n, count), begin, people, rng)
    wave, user = _seeds(truth, begin, settings, rng)
    moment = begin[wave] + (rng.exponential(_PASS_DELAY_DAYS, user.size) * DAY).astype(np.int64)
    parent = np.full(user.size, NOBODY)
    reached = np.sort(wave * n + user)
    passing = np.minimum(settings.reinvite * np.where(people.share_rate > 0, _SHARERS_PASS, _OTHERS_PASS), 1.0)
    scale = _accepts_per_reach(truth, settings)
    nothing = Acts.of()
    shares, responses, orders = [nothing.shares], [nothing.responses], [nothing.orders]
    first = 0
    for _ in range(_GENERATIONS):
        alive = moment < truth.leave[user]
        wave, user, moment, parent = wave[alive], user[alive], moment[alive], parent[alive]
        if user.size == 0:
            break
        channel = rng.choice(len(CHANNELS), user.size, p=[0.55, 0.2, 0.25, 0.0])
        sent = Shares(user, item[wave], moment, channel, np.full(user.size, _MEMBERSHIP), parent)
        cause, responder, at = _accepted(sent, scale, truth, rng)
        key = wave[cause] * n + responder
        _, once = np.unique(key, return_index=True)
        new = once[~np.isin(key[once], reached)]
        cause, responder, at = cause[new], responder[new], at[new]
        reached = np.union1d(reached, key[new])
        category = truth.catalogue.category[sent.item[cause]]
        buys = rng.random(cause.size) < truth.settings.buy_rate * truth.fit[responder, category]
        wanted = Orders(responder, sent.item[cause], at + 2 * _STEP_SECONDS, sent.sharer[cause], first + cause)
        bought = take(wanted, buys)
        bought = take(bought, owned.first_of_each(bought))
        owned.add(bought)
        share = first + cause
        responses += [
            Responses(share, responder, np.full(share.size, _CLICK), at),
            Responses(share, responder, np.full(share.size, _JOIN), at + _STEP_SECONDS),
            Responses(bought.share, bought.user, np.full(bought.user.size, _BUY), bought.moment),
        ]
        shares.append(sent)
        orders.append(bought)
        on = rng.random(cause.size) < passing[responder]
        wave, user, parent = wave[cause[on]], responder[on], share[on]
        moment = at[on] + _STEP_SECONDS + 1 + (rng.exponential(_PASS_DELAY_DAYS, user.size) * DAY).astype(np.int64)
        first += sent.sharer.size
    return Acts.of(orders=join(*orders), shares=join(*shares), responses=join(*responses))


def draw_registrations(truth: Truth, inviter: Ints, rng: np.random.Generator) -> Acts:
    """The invitation behind each invited newcomer, whose parent is the one that had brought the inviter, and vain ones."""
    registered = truth.people.registered
    newcomer = np.flatnonzero(inviter != NOBODY)
    newcomer = newcomer[np.argsort(registered[newcomer], kind="stable")]
    host = inviter[newcomer]
    ahead = (rng.exponential(_INVITE_AHEAD_DAYS, newcomer.size) * DAY).astype(np.int64)
    earliest = np.maximum(registered[host], -1) + 1
    sent_at = np.clip(registered[newcomer] - ahead - 1, np.minimum(earliest, registered[newcomer] - 1), None)
    told = sent_at >= earliest
    newcomer, host, sent_at = newcomer[told], host[told], sent_at[told]
    brought_by = np.full(truth.people.size, NOBODY)
    brought_by[newcomer] = np.arange(newcomer.size)
    channel = rng.choice(len(CHANNELS), newcomer.size, p=[0.7, 0.1, 0.2, 0.0])
    target = np.full(newcomer.size, _MEMBERSHIP)
    came = Shares(host, np.full(host.size, NOBODY), sent_at, channel, target, brought_by[host])
    vain = take(came, rng.integers(0, max(host.size, 1), round(_IN_VAIN * host.size)))
    moment = vain.moment + (rng.exponential(10.0, vain.sharer.size) * DAY).astype(np.int64)
    vain = Shares(vain.sharer, vain.item, moment, vain.channel, vain.target, vain.parent)
    vain = take(vain, moment < truth.leave[vain.sharer])
    register = np.full(newcomer.size, _REGISTER)
    answers = Responses(np.arange(newcomer.size), newcomer, register, registered[newcomer])
    return Acts.of(shares=join(came, vain), responses=answers)


def _seeds(truth: Truth, begin: Ints, settings: SocietySettings, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """(k,) campaign and user of those who start: drawn by how readily they share among the living."""
    share_rate, registered = truth.people.share_rate, truth.people.registered
    count = round(settings.seeds * truth.people.size)
    waves, users = [], []
    for wave, moment in enumerate(begin):
        weight = share_rate * ((registered < moment) & (truth.leave > moment))
        likely = np.flatnonzero(weight)
        # The largest of Gumbel variables shifted by log weights are a draw without replacement by weight.
        luck = np.log(weight[likely]) + rng.gumbel(size=likely.size)
        users.append(likely[np.argsort(-luck, kind="stable")[:count]])
        waves.append(np.full(users[-1].size, wave))
    none = np.zeros(0, dtype=np.int64)
    return np.concatenate([none, *waves]), np.concatenate([none, *users])


def _accepted(sent: Shares, scale: float, truth: Truth, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """(k,) invitation, person and moment of each acceptance, the earliest of a campaign and person first."""
    network = truth.network
    cause = np.repeat(np.arange(sent.sharer.size), rng.poisson(truth.reach[sent.sharer] * scale))
    arc = network.draw_arcs(sent.sharer[cause], rng)
    delay_days = rng.lognormal(np.log(_ACCEPT_DELAY_DAYS), _ACCEPT_DELAY_SIGMA, cause.size)
    at = sent.moment[cause] + 1 + (delay_days * DAY).astype(np.int64)
    responder, begun = network.follower[arc], sent.moment[cause]
    able = (network.live_from[arc] <= begun) & (truth.people.registered[responder] <= begun)
    able &= at + 2 * _STEP_SECONDS < truth.leave[responder]
    early = np.flatnonzero(able)
    early = early[np.argsort(at[early], kind="stable")]
    return cause[early], responder[early], at[early]


def _accepts_per_reach(truth: Truth, settings: SocietySettings) -> float:
    """Acceptances per unit of reach, so that those who pass on, met in proportion to what reaches them, get the mean."""
    network = truth.network
    met = np.bincount(network.follower, weights=network.intensity, minlength=truth.people.size)
    mean = float(met @ truth.reach) / max(float(met.sum()), 1e-12)
    return settings.accepts_per_invite / max(mean, 1e-12)
