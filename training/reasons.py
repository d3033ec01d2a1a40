"""The words of reasons: about a dozen things that an operator understands, said of a user in English and Chinese."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from string import Formatter
from typing import Literal

import numpy as np

from features.blocks.neighbours import SIDES
from training.languages import BETWEEN, LANGUAGES, NOTHING, Language
from training.matrix import Floats

Side = Literal["willingness", "reach"]
"""Whether somebody shares, invites and buys, or whether people are there who follow: one does not stand for the other."""

INPUT_FACTS = ("likely_followers",)
"""Facts that no feature gives. ``likely_followers``: follow-ups that the tie model expects over all ties of a user."""


@dataclass(frozen=True)
class Reason:
    """One human reason: the blocks and named inputs of the score that it sums, and how it is said of a user.

    The texts of a language name facts in braces: features, or ``INPUT_FACTS``. ``{w}`` in the name of a feature is the
    window of one horizon (``42d``), and ``{days}`` its length. A text is said only where all that it names is known and
    not all of it is 0, so the fullest comes first; texts of ``en`` and ``zh`` at one place name the same facts.
    """

    name: str
    side: Side
    en: tuple[str, ...]
    zh: tuple[str, ...]
    blocks: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    def texts(self, language: Language) -> tuple[str, ...]:
        return self.en if language == "en" else self.zh

    def say(self, facts: Mapping[str, float], window: str, language: Language = "en") -> str | None:
        """The first text that the known facts of a user fill, as whole numbers; None where none does."""
        for text in self.texts(language):
            template, names = _template(text, window)
            values = {name: f"{facts.get(name, math.nan):,.0f}" for name in names}
            # Nobody is on a list because of people whom they did not move.
            if "nan" not in values.values() and set(values.values()) - {"0"}:
                return template.format_map(values)
        return None


REASONS: tuple[Reason, ...] = (
    Reason(
        "influence given",
        "reach",
        ("people moved: {people_moved_{w}} in {days} days, {people_moved_all} ever",),
        ("近 {days} 天带动 {people_moved_{w}} 人，累计 {people_moved_all} 人",),
        blocks=("influence_given", "people_moved", "follow_up_rate", "influence_chain"),
    ),
    Reason(
        "chain",
        "reach",
        ("people in the chain behind: {chain_size_all}, {chain_people_1} of them brought directly",),
        ("背后链条共 {chain_size_all} 人，其中直接带来 {chain_people_1} 人",),
        blocks=("chain_people", "chain_nucleus", "chain_money", "share_chains", "chain_reach"),
    ),
    Reason(
        "responses drawn",
        "reach",
        (
            "people who responded to shares: {responders_{w}} in {days} days, {responders_all} ever",
            "shares that drew a response: {shares_answered_all}",
        ),
        (
            "近 {days} 天有 {responders_{w}} 人响应其分享，累计 {responders_all} 人",
            "获得响应的分享 {shares_answered_all} 条",
        ),
        blocks=("shares_answered", "responses_drawn"),
    ),
    Reason(
        "shared taste",
        "reach",
        ("followers who buy the same: {shared_with}, with {open_pairs} chances to follow open now",),
        ("身边 {shared_with} 人与其买过同款，目前还有 {open_pairs} 个跟买机会",),
        blocks=("shared_taste", "open_by_strength"),
    ),
    Reason(
        "people around",
        "reach",
        (
            "followers: {followers}, of them mutual: {mutual}, with {followers_sum_acts_{w}} acts in {days} days",
            "followers: {followers}, of them mutual: {mutual}",
        ),
        (
            "可触达 {followers} 人，其中双向 {mutual} 人，近 {days} 天共活跃 {followers_sum_acts_{w}} 次",
            "可触达 {followers} 人，其中双向 {mutual} 人",
        ),
        blocks=(*(f"neighbours_{side}" for side in SIDES), "degrees", "degrees_by_kind", "tie_structure", "tie_strengths"),
    ),
    Reason(
        "people around, two steps away",
        "reach",
        ("followers of followers: {followers_sum_followers}", "people moved on by those moved: {chain_level2}"),
        ("二度人脉 {followers_sum_followers} 人次", "被其带动的人又带动了 {chain_level2} 人"),
        inputs=("gnn",),
    ),
    Reason(
        "likely followers",
        "reach",
        ("followers likely to follow: {likely_followers}", "chances open with active followers: {open_to_active}"),
        ("预计会跟随的有 {likely_followers} 人", "活跃人脉中还有 {open_to_active} 个跟买机会"),
        inputs=("ties",),
    ),
    Reason(
        "sharing",
        "willingness",
        ("shares: {shares_{w}} in {days} days, {shares_all} ever",),
        ("近 {days} 天分享 {shares_{w}} 次，累计 {shares_all} 次",),
        blocks=("shares_made", "content"),
    ),
    Reason(
        "group buys",
        "willingness",
        (
            "group buys opened: {groups_opened_all}, bringing {group_members_brought} members",
            "group buys joined: {groups_joined_all}",
        ),
        ("开团 {groups_opened_all} 次，带来 {group_members_brought} 人参团", "参团 {groups_joined_all} 次"),
        blocks=("group_buys_opened", "group_buys_joined", "group_buy_speed", "help_rules"),
    ),
    Reason(
        "invitations",
        "willingness",
        ("people invited into communities: {invited_all}", "communities joined: {communities_all}"),
        ("邀请 {invited_all} 人入群", "加入 {communities_all} 个社群"),
        blocks=("invitations", "memberships", "community_sizes", "team", "acquaintances"),
    ),
    Reason(
        "answers",
        "willingness",
        (
            "responses to shares of others: {answers_{w}} in {days} days, {answers_all} ever",
            "was moved by others: {movers_all} people",
        ),
        ("近 {days} 天响应他人分享 {answers_{w}} 次，累计 {answers_all} 次", "曾被 {movers_all} 人带动"),
        blocks=("responses_given", "influence_received"),
    ),
    Reason(
        "earliness",
        "willingness",
        ("items of which among the first three buyers: {first_adoptions_{w}} in {days} days",),
        ("近 {days} 天抢先购买 {first_adoptions_{w}} 款（前三位买家）",),
        blocks=("earliness",),
    ),
    Reason(
        "purchases",
        "willingness",
        ("orders: {orders_{w}} in {days} days, the last {recency_days} days ago", "orders: {orders_{w}} in {days} days"),
        ("近 {days} 天下单 {orders_{w}} 笔，最近一笔在 {recency_days} 天前", "近 {days} 天下单 {orders_{w}} 笔"),
        blocks=(
            "purchase_frequency",
            "purchase_rhythm",
            "purchase_money",
            "purchase_discount",
            "purchase_variety",
            "category_spread",
        ),
    ),
    Reason(
        "activity",
        "willingness",
        ("acts: {acts_{w}} in {days} days, the last {idle_days} days ago", "acts: {acts_{w}} in {days} days"),
        ("近 {days} 天活跃 {acts_{w}} 次，最近一次在 {idle_days} 天前", "近 {days} 天活跃 {acts_{w}} 次"),
        blocks=(
            *("activity", "lifecycle", "engagement", "attendance", "spaces", "check_ins", "touches"),
            *("rewards", "points", "levels", "tiers", "permissions"),
        ),
    ),
)


def facts_named(window: str) -> tuple[str, ...]:
    """All facts that the texts of ``REASONS`` name, for one ``window`` such as ``42d``."""
    texts = (text for reason in REASONS for text in reason.en)
    return tuple(dict.fromkeys(name for text in texts for name in _template(text, window)[1]))


def say_strongest(parts: Floats, facts: Mapping[str, Floats], window: str) -> dict[Language, list[str]]:
    """For each user and language, the strongest reasons that raise the score: one of each side where there is one.

    parts: (N, len(REASONS)) contributions; facts: name -> (N,), nan where unknown; window: such as ``42d``.
    """
    named = {name: values.tolist() for name, values in facts.items()}
    said: dict[Language, list[str]] = {language: [] for language in LANGUAGES}
    for row, order in enumerate(np.argsort(-parts, axis=1, kind="stable").tolist()):
        known = {name: values[row] for name, values in named.items()}
        chosen = _one_of_each_side([REASONS[index] for index in order if parts[row, index] > 0], known, window)
        for language in LANGUAGES:
            texts = [text for reason in chosen if (text := reason.say(known, window, language))]
            said[language].append(BETWEEN[language].join(texts) or NOTHING[language])
    return said


def _one_of_each_side(raising: Sequence[Reason], facts: Mapping[str, float], window: str) -> list[Reason]:
    """The strongest that can be said and the strongest of the other side, or the second where that has none."""
    told = [reason for reason in raising if reason.say(facts, window)]
    other = [reason for reason in told[1:] if reason.side != told[0].side]
    return [*told[:1], *(other or told[1:])[:1]]


@cache
def _template(text: str, window: str) -> tuple[str, tuple[str, ...]]:
    """``text`` for one window, and the facts that it names."""
    filled = text.replace("{w}", window).replace("{days}", window.removesuffix("d"))
    return filled, tuple(_fields(filled))


def _fields(text: str) -> Iterator[str]:
    return (name for _, name, _, _ in Formatter().parse(text) if name)
