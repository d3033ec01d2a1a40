"""Outreach with a randomised holdout, and whom it really moves to share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import DISTRIBUTOR, HUNTER, KOL, OWNER, STAFF, Accounts
from features.simulate.acts import Acts
from features.simulate.events import CHANNELS, NOBODY, Orders, Shares
from features.simulate.ownership import Ownership
from features.simulate.promotions import answered, working_hours
from features.simulate.rows import take
from features.simulate.season import DAY
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

ANSWERS = ("lost_cause", "sure_thing", "persuadable", "do_not_disturb")
LOST, SURE, PERSUADABLE, ASLEEP = range(len(ANSWERS))
INCENTIVES = ("commission", "coupon", "contest")
OUTREACH_CHANNELS = ("sms", "wechat", "app")
WAIT_DAYS = 14
_INCENTIVE_LEVER = np.array([1.0, 0.7, 1.3])
_INCENTIVE_COST = np.array([1_000, 800, 300])
_CHANNEL_COST = np.array([5, 2, 1])
_PER_CAMPAIGN = 0.075
_SURE_SHARES, _LOST_SHARES, _ASLEEP_SHARES = 0.5, 0.02, 0.15


@dataclass(frozen=True)
class Outreach:
    """(k,) contacts by moment, holdouts included. ``shared``: when the user shared within ``WAIT_DAYS``, or ``NOBODY``."""

    campaign: Ints
    user: Ints
    contacted: NDArray[np.bool_]
    incentive: Ints
    channel: Ints
    cost: Ints
    moment: Ints
    shared: Ints


def draw_answers(truth: Truth, accounts: Accounts, rng: np.random.Generator) -> Ints:
    """(n,) index into ``ANSWERS``: how a user takes a contact, after Radcliffe and Surry's quadrants of uplift.

    Sure things are among the readiest sharers. Persuadables buy and have followers but share little or nothing so far:
    half of those above the median in both, few of the others. Do-not-disturbs are some of the remaining sharers.
    """
    people, n = truth.people, truth.people.size
    answer = np.full(n, LOST)
    followers = np.diff(truth.network.start)
    able = (people.rate > np.median(people.rate)) & (followers > np.median(followers))
    luck = rng.random(n)
    ready = np.quantile(people.share_rate[people.share_rate > 0], 0.5) if (people.share_rate > 0).any() else np.inf
    answer[luck < np.where(able, 0.5, 0.08)] = PERSUADABLE
    answer[(people.share_rate > 0) & (luck > 0.8)] = ASLEEP
    answer[(people.share_rate >= ready) & (luck < 0.8)] = SURE
    # Sellers share for reasons of their own. Abusers answer as the people do who they were before.
    selling = np.isin(accounts.role[:n], (KOL, DISTRIBUTOR, HUNTER, STAFF, OWNER))
    answer[selling & (answer != SURE)] = LOST
    return answer


def draw_outreach(
    orders: Orders, answer: Ints, truth: Truth, accounts: Accounts, owned: Ownership, settings: SocietySettings,
    rng: np.random.Generator,
) -> tuple[Outreach, Acts]:  # fmt: skip
    """Campaigns among the living at random, an arm at random, and the shares of those who share within the wait.

    Whoever shares hands on the last thing they bought; without an order before the contact nobody can.
    """
    people, n = truth.people, truth.people.size
    count = round(settings.contacts / _PER_CAMPAIGN * truth.settings.years)
    begin = np.sort(working_hours(rng.random(count), truth, rng))
    campaign, user = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for number, start in enumerate(begin):
        living = np.flatnonzero((people.registered < start) & (truth.leave > start + DAY))
        living = living[accounts.role[living] != STAFF]
        chosen = rng.permutation(living)[: round(_PER_CAMPAIGN * n)]
        user.append(np.sort(chosen))
        campaign.append(np.full(chosen.size, number))
    who, wave = np.concatenate(user), np.concatenate(campaign)
    k = who.size
    moment = begin[wave] + (rng.random(k) * 7200).astype(np.int64)
    moment = np.minimum(moment, truth.leave[who] - 1)
    contacted = rng.random(k) >= settings.holdout
    incentive = rng.integers(0, len(INCENTIVES), k)
    channel = rng.choice(len(OUTREACH_CHANNELS), k, p=[0.3, 0.4, 0.3])

    kind = answer[who]
    chance = np.array([_LOST_SHARES, _SURE_SHARES, _LOST_SHARES, _ASLEEP_SHARES])[kind]
    lever = settings.uplift * _INCENTIVE_LEVER[incentive]
    chance = np.where(contacted & (kind == PERSUADABLE), np.minimum(chance + lever, 1.0), chance)
    chance = np.where(contacted & (kind == ASLEEP), _LOST_SHARES, chance)
    shared = moment + 600 + (rng.beta(1, 3, k) * (WAIT_DAYS - 1) * DAY).astype(np.int64)
    last = _last_order(orders, who, moment)
    shares = (rng.random(k) < chance) & (last != NOBODY) & (shared < truth.leave[who])
    cost = np.where(contacted, _CHANNEL_COST[channel] + np.where(shares, _INCENTIVE_COST[incentive], 0), 0)
    found = Outreach(wave, who, contacted, incentive, channel, cost, moment, np.where(shares, shared, NOBODY))
    order = np.lexsort((who, moment))
    at = np.flatnonzero(shares)
    sent_by = rng.choice(len(CHANNELS), at.size, p=[0.5, 0.25, 0.25, 0.0])
    nothing = np.zeros(at.size, dtype=np.int64)
    sent = Shares(who[at], orders.item[last[at]], shared[at], sent_by, nothing, nothing + NOBODY)
    return take(found, order), answered(sent, truth, owned, rng)


def _last_order(orders: Orders, user: Ints, moment: Ints) -> Ints:
    """(k,) position of each user's last order before a moment, or ``NOBODY``; ``orders`` are in the order of time."""
    by_user = np.argsort(orders.user, kind="stable")
    span = int(max(orders.moment.max(initial=0), moment.max(initial=0))) + 1
    key = orders.user[by_user] * span + orders.moment[by_user]
    place = np.searchsorted(key, user * span + moment) - 1
    position = np.append(by_user, NOBODY)[place]
    mine = (place >= 0) & (np.append(orders.user, NOBODY)[position] == user)
    return np.where(mine, position, NOBODY)
