"""Which parts each user plays, from 0 to 1, and on what evidence: `role_scores`."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.abuse.suspects import BLOCK, BOT, MAIN, PUPPET, RING
from features.signals import OWN_OFFERS, Signals, signals
from features.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

ROLES = (
    "koc", "kol", "distributor", "discount_hunter", "staff_guide", "group_owner", "bot", "sock_puppet", "ring", "ordinary",
)  # fmt: skip
"""In this order the first of several that are equally high is the top one."""

ABUSE = ("bot", "sock_puppet", "ring")

HIGH = 0.5
"""From here on a role is told with its evidence, and may be the top one."""

RECOMMEND = {"posts": (0.15, 0.01), "reviews": (0.15, 0.05)}
"""Posts and reviews an order of those who recommend, and of others. One in a hundred members writes and one in ten now and
then (participation inequality, Nielsen 2006); whoever recommends tells of some out of ten purchases."""

PERFORM = {"posts": (1.0, 0.15), "reviews": (0.4, 0.15)}
"""The same of those who write for a public, and of those who recommend what they bought."""

KOC_ODDS = 8.5
"""Log of the odds against a KOC before anything is known: 1 in 5,000, as many have some followers or moved somebody."""

KOL_AUDIENCE = 6.0
"""Followers, in means of those who have any, at which a public author is as likely a KOL as not."""

MOST_CONTENT = 4.0
"""Log odds of a KOL by content alone, either way: to write a lot is no proof of an audience."""

HUNTED, USUAL, HUNTERS = 0.8, 0.05, 0.02
"""Share of orders far below everybody's price of hunters and of others, and share of hunters before anything is known."""

AT_WORK, BY_CHANCE, STAFF = 0.98, 0.45, 0.002
"""Share of offers in business hours of those who are paid for it and of others (54 of 168 hours, and few at night), and
share of staff before anything is known."""

OF_RECORD = 0.7
"""Somebody whom a group's members know as its owner; a clear behaviour says more."""


@dataclass(frozen=True)
class RoleScores:
    """``scores``: role -> (N,) 0 to 1 in the order of ``signals.users``; ``clusters``: (N,) accounts of it, 0 without."""

    signals: Signals
    scores: dict[str, Floats]
    clusters: Floats


def role_scores(snapshot: Snapshot) -> pa.Table:
    """Roles of everybody who acted before the date of a prepared snapshot, sorted by user_id.

    Returns:
        user_id           string
        role              string   the top one of ``ROLES``
        role_NAME         float64  0 to 1 for each of them; several can be high
        role_evidence     string   of the roles that are ``HIGH``, null for ordinary customers
        role_evidence_zh  string   the same in Chinese

    Nobody is labelled in real data, so that nothing is fitted: each score is a probability by Bayes' rule from the fixed
    rates above, round numbers that say what is meant by such people.

    - KOC: tells of purchases as authors do, has moved people, is followed. KOL: writes for an audience of many times the
      mean.
    - Distributor: offers what they never bought, at all hours. Staff guide: the same within business hours.
    - Discount hunter: buys far below the price that everybody got (`features.signals`), so that neither a group price nor a
      distributor's own price makes one.
    - Group owner: by the role in a group. Bot, sock puppet, ring: see `features.abuse.suspects`.
    """
    found = score_roles(snapshot)
    top = top_roles(found.scores)
    clear = np.max([found.scores[name] for name in _SAID], axis=0) >= HIGH
    told = [_told(found, place) if clear[place] else (None, None) for place in range(len(top))]
    return pa.table(
        {
            "user_id": pa.array(found.signals.users, pa.string()),
            "role": pa.array(top, pa.string()),
            **{f"role_{name}": found.scores[name] for name in ROLES},
            "role_evidence": pa.array([english for english, _ in told], pa.string()),
            "role_evidence_zh": pa.array([chinese for _, chinese in told], pa.string()),
        }
    )


def score_roles(snapshot: Snapshot) -> RoleScores:
    """Scores of each role, and the signals behind them."""
    known = signals(snapshot)
    recommends, performs = (_content_odds(known, rates) for rates in (RECOMMEND, PERFORM))
    followed = known.followers[known.followers > 0]
    usual = followed.mean() if followed.size else 1.0
    audience = np.log(np.maximum(known.followers, 1) / (KOL_AUDIENCE * usual))
    scores = {
        "koc": _logistic(recommends + 2 * np.log1p(known.moved) + np.log1p(known.followers) - KOC_ODDS),
        "kol": _logistic(performs.clip(-MOST_CONTENT, MOST_CONTENT) + 4 * audience),
        "discount_hunter": _logistic(_share_odds(known.deep, known.priced, HUNTED, USUAL, HUNTERS)),
        "group_owner": np.where(known.owned > 0, OF_RECORD, 0.0),
    }
    at_work = _logistic(_share_odds(known.offers_at_work, known.offers, AT_WORK, BY_CHANCE, STAFF))
    offers = known.offers / (known.offers + OWN_OFFERS)
    scores["staff_guide"] = np.where(known.offers >= OWN_OFFERS, at_work, 0.0)
    scores["distributor"] = offers * (1 - scores["staff_guide"])
    accused, clusters = _accused(snapshot, known.users)
    scores |= accused
    scores["ordinary"] = 1 - np.max([scores[name] for name in ROLES if name in scores], axis=0)
    return RoleScores(known, scores, clusters)


def top_roles(scores: dict[str, Floats]) -> npt.NDArray[np.str_]:
    """(N,) the highest of the roles that are ``HIGH``, ordinary without any.

    One of abuse comes first, whatever else; then KOL, since somebody with a public is dealt with as such, KOC or not.
    """
    order = [name for name in ROLES if name != "ordinary"]
    ahead = {**dict.fromkeys(ABUSE, 2.0), "kol": 1.0}
    stacked = np.stack([np.where(scores[name] >= HIGH, scores[name] + ahead.get(name, 0.0), 0.0) for name in order])
    return np.where(stacked.max(axis=0) >= HIGH, np.array(order)[stacked.argmax(axis=0)], "ordinary")


def _accused(snapshot: Snapshot, users: npt.NDArray[np.object_]) -> tuple[dict[str, Floats], Floats]:
    scores, clusters = {name: np.zeros(len(users)) for name in ABUSE}, np.zeros(len(users))
    if "suspects" not in snapshot or not len(users):
        return scores, clusters
    of = {PUPPET: "sock_puppet", MAIN: "sock_puppet", BOT: "bot", RING: "ring", BLOCK: "ring"}
    for row in snapshot.engine.to_arrow(snapshot["suspects"]).to_pylist():
        place = int(np.searchsorted(users, row["user_id"]))
        if place < len(users) and users[place] == row["user_id"] and row["code"] in of:
            scores[of[row["code"]]][place] = 1.0 if row["code"] == MAIN else row["score"]
            clusters[place] = row["members"]
    return scores, clusters


def _content_odds(known: Signals, rates: dict[str, tuple[float, float]]) -> Floats:
    """(N,) log odds of what was written at the first of two rates an order (Poisson) against the second."""
    odds: Floats = np.zeros(len(known.users))
    for kind, (likely, usual) in rates.items():
        count: Floats = getattr(known, kind)
        odds = odds + count * np.log(likely / usual) - (likely - usual) * known.orders
    return odds


def _share_odds(count: Floats, of: Floats, likely: float, usual: float, prior: float) -> Floats:
    """(N,) log odds of one share of a binomial count against another, from a prior share of people."""
    odds: Floats = np.log(prior / (1 - prior)) + count * np.log(likely / usual)
    return odds + np.asarray((of - count) * np.log((1 - likely) / (1 - usual)), dtype=np.float64)


def _logistic(odds: Floats) -> Floats:
    values: Floats = 1 / (1 + np.exp(-np.clip(odds, -50, 50)))
    return values


Say = Callable[[RoleScores, int], tuple[str, str]]


def _content(found: RoleScores, place: int) -> tuple[str, str]:
    known = found.signals
    wrote, orders = int(known.posts[place] + known.reviews[place]), int(known.orders[place])
    moved, followers = known.moved[place], int(known.followers[place])
    return (
        f"{wrote} posts and reviews beside {orders} orders, {moved:.1f} people moved, {followers} followers",
        f"{orders} 笔订单、{wrote} 篇帖子和评价，带动 {moved:.1f} 人，{followers} 位粉丝",
    )


def _sells(found: RoleScores, place: int) -> tuple[str, str]:
    known = found.signals
    offers, at_work = int(known.offers[place]), int(known.offers_at_work[place])
    paid = int(known.commissions[place])
    return (
        f"{offers} offers of goods never bought, {at_work} in business hours, {paid} commissions",
        f"分享未购商品 {offers} 次，其中营业时间 {at_work} 次，佣金 {paid} 笔",
    )


def _hunts(found: RoleScores, place: int) -> tuple[str, str]:
    deep, priced = int(found.signals.deep[place]), int(found.signals.priced[place])
    return (
        f"{deep} of {priced} orders far below the price that everybody got",
        f"{priced} 笔订单中 {deep} 笔远低于普遍价格",
    )


def _owns(found: RoleScores, place: int) -> tuple[str, str]:
    owned = int(found.signals.owned[place])
    return f"owner of {owned} groups", f"{owned} 个群的群主"


def _clockwork(found: RoleScores, place: int) -> tuple[str, str]:
    regular = found.scores["bot"][place]
    return f"acts at one interval around the clock (regularity {regular:.2f})", f"昼夜按固定间隔操作（规律度 {regular:.2f}）"


def _together(found: RoleScores, place: int) -> tuple[str, str]:
    members = int(found.clusters[place])
    return f"one of {members} accounts that act for each other", f"{members} 个互相操作的账号之一"


_SAID: dict[str, tuple[str, str, Say]] = {
    "koc": ("KOC", "KOC", _content),
    "kol": ("KOL", "KOL", _content),
    "distributor": ("distributor", "分销员", _sells),
    "discount_hunter": ("discount hunter", "羊毛党", _hunts),
    "staff_guide": ("staff guide", "导购", _sells),
    "group_owner": ("group owner", "群主", _owns),
    "bot": ("bot", "机器人", _clockwork),
    "sock_puppet": ("sock puppet", "马甲号", _together),
    "ring": ("ring", "互助团伙", _together),
}


def _told(found: RoleScores, place: int) -> tuple[str, str]:
    """Evidence of the roles that are high, in English and Chinese."""
    high = [name for name in ROLES if name in _SAID and found.scores[name][place] >= HIGH]
    said = [(*_SAID[name][:2], *_SAID[name][2](found, place)) for name in high]
    english = "; ".join(f"{label}: {text}" for label, _, text, _ in said)
    return english, "；".join(f"{label}：{text}" for _, label, _, text in said)
