"""Points by source, levels, paid tiers, consents and all else that is dated about a user."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import DISTRIBUTOR, Accounts
from features.simulate.acts import Acts
from features.simulate.engagement import CHECK_IN, POST, REVIEW, Engagements
from features.simulate.events import ACTIONS, NOBODY
from features.simulate.lifetime import NEVER
from features.simulate.rows import join, take
from features.simulate.season import DAY
from features.simulate.society import SocietySettings
from features.simulate.till import Receipts
from features.simulate.truth import Truth

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

REWARD_KINDS = ("points", "coupon", "commission", "gift")
SOURCES = ("spending", "check_in", "sharing", "posting", "coupon", "referral", "invitation")
LEVELS = ("V1", "V2", "V3", "V4", "V5")
LEVEL_POINTS = (0, 500, 1_500, 4_000, 10_000)
TIERS = ("normal", "senior", "premium")
REGIONS = (
    "Shanghai", "Jiangsu", "Zhejiang", "Guangdong", "Beijing", "Shandong", "Sichuan", "Hubei", "Henan", "Fujian", "Hunan",
    "Anhui",
)  # fmt: skip
CONSENTS = ("consent_sms", "consent_wechat", "consent_app")
NAMES = ("region", "level", "tier", "owner", *CONSENTS, "distributor_grant")

_MONTH_DAYS = 30
_FEN_PER_POINT = 100
_POINTS = {"check_in": 5, "sharing": 20, "posting": 30}
_COMMISSION = 0.08
_GIFT = 500
_HOME_SHARE, _MOVES = 0.8, 0.02
_ASKED = (0.6, 0.5, 0.4)
_AGREE, _WITHDRAW = 0.8, 0.04
_TIER_DAYS = (91, 365)
_RENEWS = 0.6


@dataclass(frozen=True)
class Rewards:
    """(k,) grants by time; ``kind`` indexes ``REWARD_KINDS``, ``source`` ``SOURCES``; ``amount`` in points or fen."""

    user: Ints
    kind: Ints
    amount: Ints
    source: Ints
    moment: Ints


@dataclass(frozen=True)
class Attributes:
    """(k,) dated facts by user; ``name`` indexes ``NAMES``, ``value`` its labels, or is an account (``owner``)."""

    user: Ints
    name: Ints
    value: Ints
    moment: Ints


def draw_rewards(acts: Acts, receipts: Receipts, coupon: Flags, talk: Engagements, accounts: Accounts, end: int) -> Rewards:
    """Points every thirty days for what was done in them, coupons when used, commission of distributors, gifts to inviters.

    A point for each yuan paid. Nothing is drawn here: rewards follow from what people did.
    """
    orders, shares = acts.orders, acts.shares
    posts = (talk.kind == POST) | (talk.kind == REVIEW)
    one = np.ones(1, dtype=np.int64)
    parts = [
        _monthly("spending", orders.user, orders.moment, receipts.amount // _FEN_PER_POINT, end),
        _monthly("sharing", shares.sharer, shares.moment, np.broadcast_to(one, shares.sharer.shape), end),
        _monthly("posting", talk.user[posts], talk.moment[posts], np.broadcast_to(one, (int(posts.sum()),)), end),
    ]
    checks = talk.kind == CHECK_IN
    parts.append(
        _monthly("check_in", talk.user[checks], talk.moment[checks], np.broadcast_to(one, (int(checks.sum()),)), end)
    )
    parts.append(_grants("coupon", "coupon", orders.user[coupon], receipts.discount[coupon], orders.moment[coupon]))
    sold = (receipts.referrer != NOBODY) & (accounts.role[receipts.referrer] == DISTRIBUTOR)
    paid = np.maximum((receipts.amount[sold] * _COMMISSION).astype(np.int64), 1)
    parts.append(_grants("commission", "referral", receipts.referrer[sold], paid, orders.moment[sold] + 7 * DAY))
    answers = acts.responses
    came = answers.responder[answers.action == ACTIONS.index("register")]
    host = accounts.inviter[came]
    parts.append(_grants("gift", "invitation", host, np.full(came.size, _GIFT), accounts.registered[came] + DAY))
    found = join(*parts)
    found = take(found, found.moment < end)
    return take(found, np.lexsort((found.source, found.user, found.moment)))


def draw_attributes(
    truth: Truth, accounts: Accounts, owner: Ints, rewards: Rewards, settings: SocietySettings, rng: np.random.Generator
) -> Attributes:
    """Region, level, tier, looking-after guide, consents and the permission to distribute, each from when it held."""
    people, n, end = truth.people, truth.people.size, truth.settings.end
    everyone = np.arange(n)
    home = rng.integers(0, len(REGIONS), int(people.community.max()) + 1)
    region = np.where(rng.random(n) < _HOME_SHARE, home[people.community], rng.integers(0, len(REGIONS), n))
    parts = [_facts("region", everyone, region, people.registered)]
    moved = np.flatnonzero(rng.random(n) < _MOVES)
    parts.append(_facts("region", moved, rng.integers(0, len(REGIONS), moved.size), _later(moved, truth, rng)))
    parts += [_levels(rewards, truth), *_tiers(truth, settings, rng)]

    served = np.flatnonzero(owner != NOBODY)
    since = np.maximum(people.registered[served], accounts.registered[owner[served]]) + DAY
    parts.append(_facts("owner", served, owner[served], since))
    for name, asked in zip(CONSENTS, _ASKED, strict=True):
        told = np.flatnonzero(rng.random(n) < asked)
        agreed = (rng.random(told.size) < _AGREE).astype(np.int64)
        parts.append(_facts(name, told, agreed, people.registered[told] + 60))
        back = told[(agreed == 1) & (rng.random(told.size) < _WITHDRAW)]
        parts.append(_facts(name, back, np.zeros(back.size, dtype=np.int64), _later(back, truth, rng) + 120))
    sellers = accounts.playing(DISTRIBUTOR)
    granted = np.maximum(people.registered[sellers], 0) + (rng.random(sellers.size) * 20 * DAY).astype(np.int64)
    parts.append(_facts("distributor_grant", sellers, np.ones(sellers.size, dtype=np.int64), granted))
    found = join(*parts)
    found = take(found, found.moment < np.minimum(end, np.append(truth.leave, end)[found.user]))
    # A fact repeated at its very moment would be a key given twice; the later one of the list holds.
    order = np.lexsort((found.moment, found.name, found.user))
    found = take(found, order)
    same = (np.diff(found.user) == 0) & (np.diff(found.name) == 0) & (np.diff(found.moment) == 0)
    return take(found, np.append(~same, True) if found.user.size else order)


def _facts(name: str, user: Ints, value: Ints, moment: Ints) -> Attributes:
    return Attributes(user, np.full(user.size, NAMES.index(name)), value, moment)


def _grants(kind: str, source: str, user: Ints, amount: Ints, moment: Ints) -> Rewards:
    kinds, sources = np.full(user.size, REWARD_KINDS.index(kind)), np.full(user.size, SOURCES.index(source))
    return Rewards(user, kinds, amount, sources, moment)


def _monthly(source: str, user: Ints, moment: Ints, amount: Ints, end: int) -> Rewards:
    """One grant of points per user and thirty days, at their end."""
    months = end // (_MONTH_DAYS * DAY) + 2
    month = np.maximum(moment, 0) // (_MONTH_DAYS * DAY)
    key, place = np.unique(user * months + month, return_inverse=True)
    total = np.bincount(place, weights=amount, minlength=key.size).astype(np.int64) * _POINTS.get(source, 1)
    granted = (key % months + 1) * _MONTH_DAYS * DAY
    return take(_grants("points", source, key // months, total, granted), total > 0)


def _levels(rewards: Rewards, truth: Truth) -> Attributes:
    """V1 on registration, higher ones on the day that all points ever granted reach them."""
    n = truth.people.size
    points = take(rewards, (rewards.kind == REWARD_KINDS.index("points")) & (rewards.user < n))
    points = take(points, np.lexsort((points.moment, points.user)))
    total = np.cumsum(points.amount)
    held = total - np.append(0, total)[np.searchsorted(points.user, points.user)]
    # Several sources grant at one moment: what is held after the last of them counts.
    last = np.append((np.diff(points.user) > 0) | (np.diff(points.moment) > 0), True)[: held.size]
    points, held = take(points, last), held[last]
    level = np.searchsorted(LEVEL_POINTS, held, side="right") - 1
    before = np.append(0, level)[: level.size]
    before[np.append(True, np.diff(points.user) > 0)[: level.size]] = 0
    risen = level > before
    everyone = np.arange(n)
    return join(
        _facts("level", everyone, np.zeros(n, dtype=np.int64), truth.people.registered),
        _facts("level", points.user[risen], level[risen], points.moment[risen]),
    )


def _tiers(truth: Truth, settings: SocietySettings, rng: np.random.Generator) -> list[Attributes]:
    """Paid for a quarter (senior) or a year (premium), renewed or lapsed; who shares and buys much pays more often."""
    people = truth.people
    weight = np.sqrt(people.rate / people.rate.mean()) * np.where(people.share_rate > 0, 2.0, 1.0)
    pays = np.flatnonzero(rng.random(people.size) < np.minimum(settings.paid_tier * weight / weight.mean(), 0.9))
    tier = rng.integers(0, 2, pays.size)
    moment = _later(pays, truth, rng)
    parts = []
    while pays.size:
        parts.append(_facts("tier", pays, tier + 1, moment))
        over = moment + np.array(_TIER_DAYS)[tier] * DAY
        renews = rng.random(pays.size) < _RENEWS
        parts.append(_facts("tier", pays[~renews], np.zeros(int((~renews).sum()), dtype=np.int64), over[~renews]))
        on = renews & (over < truth.leave[pays])
        pays, tier, moment = pays[on], tier[on], over[on]
    return parts


def _later(user: Ints, truth: Truth, rng: np.random.Generator) -> Ints:
    """A moment within the observed time that each user is there."""
    begin = np.maximum(truth.people.registered[user], 0)
    end = np.where(truth.churned[user] == NEVER, truth.settings.end, truth.churned[user])
    return np.asarray(begin + 1 + (rng.random(user.size) * np.maximum(end - begin - 1, 0)).astype(np.int64))
