"""Posts, reviews, messages, check-ins, live rooms and offline events: what people do besides buying and sharing."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import BOT, KOC, KOL, OWNER, Accounts
from features.simulate.events import NOBODY, Orders
from features.simulate.groups import SPACES, Groups
from features.simulate.joining import Memberships
from features.simulate.rows import join, take
from features.simulate.season import DAY, HOUR, Season
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

KINDS = ("message", "red_packet", "post", "review", "like", "check_in", "live", "offline_event")
MESSAGE, PACKET, POST, REVIEW, LIKE, CHECK_IN, LIVE, OFFLINE = range(len(KINDS))

_MESSAGES_A_YEAR = 6.0
_NOISY, _SILENT, _LEADER = 8.0, 0.05, 5.0
_BURSTS_A_YEAR, _BURST_JOINS, _BURST_SECONDS = 12, 0.3, 600
_POST_SHARE = {"kol": 0.6, "koc": 0.15, "other": 0.01}
_KOL_POSTS_A_YEAR = 40.0
_REVIEW_SHARE = {"kol": 0.4, "koc": 0.15, "other": 0.05}
_LIKES_A_YEAR = 0.3
_CHECKERS, _STREAKS_A_YEAR, _STREAK_DAYS = 0.08, 2.0, 7
_LIVE_ROOMS_A_YEAR, _LIVE_SHARE = 12, 0.015
_OFFLINE_A_YEAR, _OFFLINE_SHARE = 3, 0.25
_BOT_MESSAGE_HOURS = 12


@dataclass(frozen=True)
class Engagements:
    """(k,) engagements; ``kind`` indexes ``KINDS``; ``item`` and ``community`` are ``NOBODY`` where there is none."""

    user: Ints
    kind: Ints
    item: Ints
    community: Ints
    moment: Ints


def draw_engagements(
    orders: Orders, groups: Groups, memberships: Memberships, truth: Truth, accounts: Accounts, season: Season,
    settings: SocietySettings, rng: np.random.Generator,
) -> Engagements:  # fmt: skip
    """All engagements by time. KOLs make content about what they buy and without it; few others do (Nielsen 2006)."""
    scale = settings.engagements * truth.settings.years
    role = accounts.role[: truth.people.size]
    parts = [
        _messages(groups, memberships, truth, season, settings.engagements, rng),
        _bursts(groups, memberships, truth, scale, rng),
        _content(orders, accounts, settings.engagements, rng),
        _anytime(KINDS.index("post"), np.where(role == KOL, _KOL_POSTS_A_YEAR, 0.0) * scale, truth, season, rng),
        _anytime(LIKE, _LIKES_A_YEAR * scale * truth.people.rate / truth.people.rate.mean(), truth, season, rng),
        _check_ins(scale, truth, rng),
        _live_rooms(scale, role, truth, rng),
        _offline(groups, memberships, scale, truth, rng),
        _bot_talk(accounts, memberships, truth, scale, rng),
    ]
    found = join(*parts)
    return take(found, np.lexsort((found.kind, found.user, found.moment)))


def _of(user: Ints, kind: int, moment: Ints, *, item: Ints | None = None, community: Ints | None = None) -> Engagements:
    none = np.full(user.size, NOBODY)
    return Engagements(
        user, np.full(user.size, kind), none if item is None else item, none if community is None else community, moment
    )


def _present(memberships: Memberships, groups: Groups, truth: Truth) -> tuple[Ints, Ints]:
    """(k,) from when and until when each member can talk in the group."""
    begin = np.maximum(memberships.joined, 0)
    end = np.minimum(memberships.left, np.minimum(truth.leave[memberships.user], groups.died[memberships.community]))
    return begin, np.maximum(end, begin)


def _members_each(group: Ints, groups: Groups, memberships: Memberships) -> tuple[Ints, Ints]:
    """For each of ``group`` (n,) its members: place in ``group``, and row of ``memberships``, one pair per member."""
    by_group = np.argsort(memberships.community, kind="stable")
    start = np.searchsorted(memberships.community[by_group], np.arange(groups.size + 1))
    size = start[group + 1] - start[group]
    place = np.repeat(np.arange(group.size), size)
    return place, by_group[np.repeat(start[group] - np.cumsum(size) + size, size) + np.arange(place.size)]


def _messages(
    groups: Groups, memberships: Memberships, truth: Truth, season: Season, scale: float, rng: np.random.Generator
) -> Engagements:
    """Talk in groups: Poisson by member, much in noisy groups and by leaders, hardly any in silent ones."""
    group = memberships.community
    level = _MESSAGES_A_YEAR * scale * rng.gamma(0.7, 1 / 0.7, group.size)
    level *= np.where(groups.noisy, _NOISY, np.where(groups.silent, _SILENT, 1.0))[group]
    level *= np.where(groups.leader[group] == memberships.user, _LEADER, 1.0)
    begin, end = _present(memberships, groups, truth)
    low = season.demand(begin)
    span = season.demand(end) - low
    row = np.repeat(np.arange(group.size), rng.poisson(level * span / 365))
    moment = season.moment(low[row] + rng.random(row.size) * span[row]).clip(begin[row], np.maximum(end[row] - 1, 0))
    return _of(memberships.user[row], MESSAGE, moment, community=group[row])


def _bursts(groups: Groups, memberships: Memberships, truth: Truth, scale: float, rng: np.random.Generator) -> Engagements:
    """Red packets in noisy groups: within ten minutes a third of the members grab one and say thanks."""
    noisy = np.flatnonzero(groups.noisy)
    packet = np.repeat(noisy, rng.poisson(_BURSTS_A_YEAR * scale, noisy.size))
    at = (rng.random(packet.size) * (truth.settings.end - DAY)).astype(np.int64)
    burst, row = _members_each(packet, groups, memberships)
    begin, end = _present(memberships, groups, truth)
    moment = at[burst] + (rng.random(burst.size) * _BURST_SECONDS).astype(np.int64)
    there = (begin[row] <= at[burst]) & (moment + 20 < end[row]) & (rng.random(row.size) < _BURST_JOINS)
    row, moment = row[there], moment[there]
    user, group = memberships.user[row], memberships.community[row]
    return join(_of(user, PACKET, moment, community=group), _of(user, MESSAGE, moment + 15, community=group))


def _content(orders: Orders, accounts: Accounts, scale: float, rng: np.random.Generator) -> Engagements:
    """Posts soon after a purchase and reviews some days later, of the item bought."""
    role = accounts.role[orders.user]
    parts = []
    for kind, chances, days in ((POST, _POST_SHARE, 1.0), (REVIEW, _REVIEW_SHARE, 5.0)):
        chance = np.where(role == KOL, chances["kol"], np.where(role == KOC, chances["koc"], chances["other"]))
        # Owners of groups are livelier than others, but no authors.
        chance = np.where(role == OWNER, 2 * chances["other"], chance) * scale
        moment = orders.moment + 1800 + (rng.exponential(days, orders.user.size) * DAY).astype(np.int64)
        made = (rng.random(orders.user.size) < chance) & (moment < accounts.leave[orders.user])
        parts.append(_of(orders.user[made], kind, moment[made], item=orders.item[made]))
    return join(*parts)


def _anytime(
    kind: int, per_user: NDArray[np.float64], truth: Truth, season: Season, rng: np.random.Generator
) -> Engagements:
    """Poisson over the time that each user is there; ``per_user`` over the whole of it."""
    begin = np.maximum(truth.people.registered, 0)
    low = season.demand(begin)
    span = season.demand(truth.leave) - low
    user = np.repeat(np.arange(span.size), rng.poisson(per_user * span / truth.settings.days))
    moment = season.moment(low[user] + rng.random(user.size) * span[user]).clip(begin[user], truth.leave[user] - 1)
    return _of(user, kind, moment)


def _check_ins(scale: float, truth: Truth, rng: np.random.Generator) -> Engagements:
    """Weeks of daily check-ins by a few, some of which break off early."""
    people = truth.people
    checkers = np.flatnonzero(rng.random(people.size) < _CHECKERS)
    user = np.repeat(checkers, rng.poisson(_STREAKS_A_YEAR * scale, checkers.size))
    begin = (rng.random(user.size) * (truth.settings.days - _STREAK_DAYS)).astype(np.int64) * DAY
    lasted = np.where(rng.random(user.size) < 0.5, _STREAK_DAYS, rng.integers(1, _STREAK_DAYS + 1, user.size))
    row = np.repeat(np.arange(user.size), lasted)
    day = np.arange(row.size) - np.repeat(np.cumsum(lasted) - lasted, lasted)
    moment = begin[row] + day * DAY + ((7 + 15 * rng.random(row.size)) * HOUR).astype(np.int64)
    able = (moment >= people.registered[user[row]]) & (moment < truth.leave[user[row]])
    return _of(user[row][able], CHECK_IN, moment[able])


def _live_rooms(scale: float, role: Ints, truth: Truth, rng: np.random.Generator) -> Engagements:
    """Evening live rooms that part of the living enter, buyers more than others; KOLs come to nearly each."""
    people = truth.people
    rooms = round(_LIVE_ROOMS_A_YEAR * scale)
    begin = rng.integers(0, truth.settings.days, rooms) * DAY + 20 * HOUR
    chance = np.minimum(_LIVE_SHARE * people.rate / people.rate.mean(), 0.3)
    chance = np.where(role == KOL, 0.7, chance)
    user, moment = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
    for at in begin:
        came = np.flatnonzero(rng.random(people.size) < chance)
        entered = at + (rng.random(came.size) * HOUR).astype(np.int64)
        able = (people.registered[came] <= at) & (entered < truth.leave[came])
        user.append(came[able])
        moment.append(entered[able])
    return _of(np.concatenate(user), LIVE, np.concatenate(moment))


def _offline(groups: Groups, memberships: Memberships, scale: float, truth: Truth, rng: np.random.Generator) -> Engagements:
    """Meetings of clubs and neighbourhoods, on Saturdays."""
    meeting = np.flatnonzero(groups.kind != SPACES.index("online"))
    event = np.repeat(meeting, rng.poisson(_OFFLINE_A_YEAR * scale, meeting.size))
    weeks = max(truth.settings.days // 7 - 1, 1)
    saturday = (5 - truth.settings.start.weekday()) % 7
    at = (rng.integers(0, weeks, event.size) * 7 + saturday) * DAY + 14 * HOUR
    which, row = _members_each(event, groups, memberships)
    begin, end = _present(memberships, groups, truth)
    moment = at[which] + (rng.random(which.size) * HOUR).astype(np.int64)
    came = (begin[row] <= at[which]) & (moment < end[row]) & (rng.random(row.size) < _OFFLINE_SHARE)
    row, moment = row[came], moment[came]
    found = _of(memberships.user[row], OFFLINE, moment, community=memberships.community[row])
    _, once = np.unique(found.user * truth.settings.days + found.moment // DAY, return_index=True)
    return take(found, once)


def _bot_talk(
    accounts: Accounts, memberships: Memberships, truth: Truth, scale: float, rng: np.random.Generator
) -> Engagements:
    """One line every twelve hours from each bot, in some group, for some weeks."""
    bots = accounts.playing(BOT)
    if scale == 0 or memberships.community.size == 0:
        bots = bots[:0]
    parts = [_of(np.zeros(0, dtype=np.int64), MESSAGE, np.zeros(0, dtype=np.int64))]
    for bot in bots:
        until = min(int(accounts.registered[bot]) + 30 * DAY, truth.settings.end)
        at = np.arange(accounts.registered[bot] + HOUR, until, _BOT_MESSAGE_HOURS * HOUR)
        group = memberships.community[rng.integers(0, memberships.community.size, at.size)]
        parts.append(_of(np.full(at.size, bot), MESSAGE, at, community=group))
    return join(*parts)
