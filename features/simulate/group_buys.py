"""Group buys: opened at a lower price, filled by friends and strangers within 24 hours, or failed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import HUNTER, Accounts
from features.simulate.acts import Acts
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, TARGETS, Orders, Responses, Shares
from features.simulate.mates import draw_mates
from features.simulate.ownership import Ownership
from features.simulate.season import DAY, HOUR, Season
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

SIZES = (2, 3, 5, 10)
_SIZE_SHARES = (0.45, 0.35, 0.15, 0.05)
_HUNTERS_OPEN, _LURKERS_OPEN = 4.0, 0.1
_FRIEND_DELAY_HOURS, _FRIEND_DELAY_SIGMA = 2.5, 1.2
_TOLD = 0.8
_JOIN = ACTIONS.index("join")


@dataclass(frozen=True)
class GroupBuys:
    """(k,) group buys by time, and (m,) their members, openers first.

    ``closed``: when the last seat was taken, or the deadline; ``member_group``: position of the member's group buy.
    """

    initiator: Ints
    item: Ints
    size: Ints
    opened: Ints
    closed: Ints
    succeeded: NDArray[np.bool_]
    member_group: Ints
    member: Ints
    joined: Ints

    @property
    def deadline(self) -> Ints:
        """24 hours after the opening."""
        return self.opened + DAY


def draw_group_buys(
    truth: Truth, accounts: Accounts, season: Season, owned: Ownership, settings: SocietySettings, rng: np.random.Generator
) -> tuple[GroupBuys, Acts]:
    """Group buys of items that the opener does not have, and the share, joins and orders that belong to them.

    Friends come by the true intensity of their tie and by taste, people of the same community and strangers in proportion
    to how much they buy: these looked for the item, so that the opener counts as their mover for friends only. Nobody
    pays for a group that does not fill, so it leaves no orders. Discount hunters open several times as many as others.
    """
    people, n = truth.people, truth.people.size
    role = accounts.role[:n]
    weight = people.rate * (people.share_rate + _LURKERS_OPEN * people.share_rate.mean())
    weight *= np.where(role == HUNTER, _HUNTERS_OPEN, 1.0)
    opener, opened = draw_moments(weight, settings.group_buys, truth, season, rng)
    item = truth.catalogue.choose(opener, opened, people, rng)
    wanted = owned.lacks(opener, item) & (opened + DAY < truth.settings.end)
    opener, opened, item = opener[wanted], opened[wanted], item[wanted]
    size = rng.choice(SIZES, opener.size, p=_SIZE_SHARES)

    group, member, joined, friend = _candidates(opener, item, opened, weight, truth, settings, rng)
    able = owned.lacks(member, item[group]) & (member != opener[group]) & (joined < opened[group] + DAY)
    able &= (people.registered[member] <= opened[group]) & (joined < truth.leave[member])
    able &= ~np.isin(item[group] * n + member, item * n + opener)
    order = np.flatnonzero(able)
    order = order[np.lexsort((joined[order], group[order]))]
    _, once = np.unique(group[order] * n + member[order], return_index=True)
    # A person is in one group buy of an item only.
    order = order[np.sort(once)]
    _, once = np.unique(item[group[order]] * n + member[order], return_index=True)
    order = order[np.sort(once)]
    group, member, joined, friend = group[order], member[order], joined[order], friend[order]
    seat = np.arange(group.size) - np.searchsorted(group, group)
    seated = seat < size[group] - 1
    group, member, joined, friend = group[seated], member[seated], joined[seated], friend[seated]
    taken = np.bincount(group, minlength=opener.size) + 1
    succeeded = taken == size
    closed = opened + DAY
    last = np.zeros(opener.size, dtype=np.int64)
    np.maximum.at(last, group, joined)
    closed = np.where(succeeded, last, closed)
    found = GroupBuys(
        opener, item, size, opened, closed, succeeded,
        np.concatenate([np.arange(opener.size), group]),
        np.concatenate([opener, member]),
        np.concatenate([opened, joined]),
    )  # fmt: skip
    return found, _acts(found, friend, owned, settings, rng)


def draw_moments(
    weight: NDArray[np.float64], per_user: float, truth: Truth, season: Season, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Users and moments, by time, while they are there.

    In proportion to ``weight``; ``per_user`` a year in the mean, if all were there.
    """
    begin = np.maximum(truth.people.registered, 0)
    low = season.demand(begin)
    span = season.demand(truth.leave) - low
    mean = weight * per_user * weight.size / max(float(weight.sum()), 1e-12) / 365
    user = np.repeat(np.arange(weight.size), rng.poisson(mean * span))
    moment = np.maximum(season.moment(low[user] + rng.random(user.size) * span[user]), begin[user])
    by_time = np.lexsort((user, moment))
    by_time = by_time[moment[by_time] < truth.leave[user[by_time]]]
    return user[by_time], moment[by_time]


def _candidates(
    opener: Ints, item: Ints, opened: Ints, weight: NDArray[np.float64], truth: Truth,
    settings: SocietySettings, rng: np.random.Generator,
) -> tuple[Ints, Ints, Ints, NDArray[np.bool_]]:  # fmt: skip
    """(k,) group buy, person, moment and whether a friend, before it is seen who can."""
    network, people = truth.network, truth.people
    scale = settings.joins_per_group * float(weight.sum()) / max(float(weight @ truth.reach), 1e-12)
    cause = np.repeat(np.arange(opener.size), rng.poisson(truth.reach[opener] * scale / 0.4))
    arc = network.draw_arcs(opener[cause], rng)
    friend = network.follower[arc]
    likes = rng.random(cause.size) < truth.fit[friend, truth.catalogue.category[item[cause]]]
    likes &= network.live_from[arc] <= opened[cause]
    cause, friend = cause[likes], friend[likes]
    hours = rng.lognormal(np.log(_FRIEND_DELAY_HOURS), _FRIEND_DELAY_SIGMA, cause.size)
    chance = np.repeat(np.arange(opener.size), rng.poisson(settings.strangers, opener.size))
    total = np.cumsum(people.rate)
    stranger = np.searchsorted(total, rng.random(chance.size) * total[-1]).clip(max=total.size - 1)
    seen, mate = draw_mates(opener, settings.joins_of_members, truth, rng)
    chance, stranger = np.append(chance, seen), np.append(stranger, mate)
    later = np.concatenate([hours * HOUR, rng.random(chance.size) * DAY]).astype(np.int64) + 1
    group = np.concatenate([cause, chance])
    known = np.concatenate([np.ones(cause.size, dtype=bool), np.zeros(chance.size, dtype=bool)])
    return group, np.concatenate([friend, stranger]), opened[group] + later, known


def _acts(
    found: GroupBuys, friend: NDArray[np.bool_], owned: Ownership, settings: SocietySettings, rng: np.random.Generator
) -> Acts:
    """The share that most openers send, its joins, and the orders of filled groups."""
    k = found.initiator.size
    told = rng.random(k) < _TOLD
    position = np.where(told, np.cumsum(told) - 1, NOBODY)
    place = np.flatnonzero(told)
    channel = rng.choice(len(CHANNELS), place.size, p=[0.5, 0.1, 0.4, 0.0])
    target = np.full(place.size, TARGETS.index("group_buy"))
    moment = found.opened[place] + 1
    shares = Shares(found.initiator[place], found.item[place], moment, channel, target, np.full(place.size, NOBODY))

    group, member, joined = found.member_group[k:], found.member[k:], found.joined[k:]
    through = np.where(friend, position[group], NOBODY)
    answered = through != NOBODY
    responses = Responses(through[answered], member[answered], np.full(int(answered.sum()), _JOIN), joined[answered] + 1)
    mover = np.concatenate([np.full(k, NOBODY), np.where(friend, found.initiator[group], NOBODY)])
    share = np.concatenate([np.full(k, NOBODY), through])
    paid = found.succeeded[found.member_group]
    item, closed = found.item[found.member_group], found.closed[found.member_group]
    orders = Orders(found.member[paid], item[paid], closed[paid], mover[paid], share[paid])
    owned.add(orders)
    cut = settings.price_cut * rng.uniform(0.75, 1.25, k)
    return Acts.of(orders=orders, shares=shares, responses=responses, cut=cut[found.member_group][paid])
