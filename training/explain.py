"""Why a candidate is on the list: exact contributions to the ranker's margin, grouped into reasons in words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import Formatter

import numpy as np

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import SIDES
from training.matrix import Floats, Matrix
from training.ranker import Ranker

ROWS_AT_ONCE = 2_000
SAID = 2


@dataclass(frozen=True)
class Reason:
    """One human reason: the blocks whose contributions it sums, and how it is said of a user.

    ``texts`` name features in braces; ``{w}`` is the window of one horizon (``42d``) and ``{days}`` its length. A text
    is said only where all that it names is known, so the fullest comes first.
    """

    name: str
    blocks: tuple[str, ...]
    texts: tuple[str, ...]

    def say(self, facts: Mapping[str, float], window: str) -> str | None:
        """The first text that the known features of a user fill, as whole numbers; None where none does, or all are 0."""
        known = {name: f"{value:,.0f}" for name, value in facts.items() if not math.isnan(value)}
        for text in self.texts:
            filled = text.replace("{w}", window).replace("{days}", f"{window.removesuffix('d')} days")
            named = [name for _, name, _, _ in Formatter().parse(filled) if name]
            if all(name in known for name in named):
                # Nobody is on a list because of people whom they did not move.
                return filled.format_map(known) if any(known[name] != "0" for name in named) else None
        return None


REASONS: tuple[Reason, ...] = (
    Reason(
        "influence given",
        ("influence_given", "people_moved", "follow_up_rate", "influence_chain"),
        ("people moved: {people_moved_{w}} in {days}, {people_moved_all} ever",),
    ),
    Reason(
        "sharing",
        ("shares_made", "shares_answered", "responses_drawn"),
        (
            "people who responded to shares: {responders_{w}} in {days}, {responders_all} ever",
            "shares: {shares_{w}} in {days}, {shares_all} ever",
        ),
    ),
    Reason(
        "group buys",
        ("group_buys_opened", "group_buys_joined"),
        ("group buys opened: {groups_opened_all}, bringing {group_members_brought} members",),
    ),
    Reason(
        "invitations",
        ("invitations", "memberships"),
        ("people invited into communities: {invited_all}", "communities joined: {communities_all}"),
    ),
    Reason(
        "shared taste",
        ("shared_taste",),
        ("followers who buy the same: {shared_with}, with {open_pairs} chances to follow open now",),
    ),
    Reason(
        "people around",
        tuple(f"neighbours_{side}" for side in SIDES),
        ("followers: {followers}, with {followers_sum_acts_{w}} acts in {days}", "followers: {followers}"),
    ),
    Reason("ties", ("degrees", "degrees_by_kind", "tie_structure"), ("followers: {followers}, of them mutual: {mutual}",)),
    Reason("earliness", ("earliness",), ("items of which among the first three buyers: {first_adoptions_{w}} in {days}",)),
    Reason("being moved", ("influence_received",), ("was moved by others: {movers_all} people",)),
    Reason("answers", ("responses_given",), ("responses to shares of others: {answers_{w}} in {days}, {answers_all} ever",)),
    Reason(
        "purchases",
        (
            "purchase_frequency",
            "purchase_rhythm",
            "purchase_money",
            "purchase_discount",
            "purchase_variety",
            "category_spread",
        ),
        ("orders: {orders_{w}} in {days}, the last {recency_days} days ago", "orders: {orders_{w}} in {days}"),
    ),
    Reason(
        "activity",
        ("activity", "lifecycle", "engagement", "rewards"),
        ("acts: {acts_{w}} in {days}, the last {idle_days} days ago", "acts: {acts_{w}} in {days}"),
    ),
)


def reason_contributions(ranker: Ranker, matrix: Matrix, rows: Sequence[int], windows: Mapping[str, object]) -> Floats:
    """(len(rows), len(REASONS) + 1): what each reason adds to the margin, the last the base; rows sum to the margin."""
    x = matrix.select(ranker.columns)[list(rows)]
    parts = [ranker.contributions(x[start : start + ROWS_AT_ONCE]) for start in range(0, len(x), ROWS_AT_ONCE)]
    single = np.concatenate(parts) if parts else np.empty((0, len(ranker.columns) + 1))
    grouped = np.zeros((len(x), len(REASONS) + 1))
    for column, reason in enumerate(reason_of_columns(ranker.columns, windows)):
        grouped[:, reason] += single[:, column]
    grouped[:, -1] = single[:, -1]
    return grouped


def reason_of_columns(columns: Sequence[str], windows: Mapping[str, object]) -> list[int]:
    """For each feature column, the index of its reason in ``REASONS``."""
    block_of = {column: block.name for block in ALL_BLOCKS for column in block.columns(windows)}
    reason_of = {block: index for index, reason in enumerate(REASONS) for block in reason.blocks}

    def block(column: str) -> str:
        return block_of.get(column) or f"neighbours_{next(side for side in SIDES if column.startswith(side))}"

    return [reason_of[block(column)] for column in columns]


def say_reasons(
    ranker: Ranker, matrix: Matrix, rows: Sequence[int], windows: Mapping[str, object], horizon: str
) -> list[str]:
    """For each row, the strongest reasons that raise its score, in words; ``horizon``: suffix of its window."""
    said = []
    for row, parts in zip(rows, reason_contributions(ranker, matrix, rows, windows)[:, :-1], strict=True):
        facts = dict(zip(matrix.columns, matrix.x[row].tolist(), strict=True))
        raising = [index for index in np.argsort(-parts, kind="stable") if parts[index] > 0]
        texts = [text for index in raising if (text := REASONS[index].say(facts, horizon))]
        said.append("; ".join(texts[:SAID]) or "nothing stands out")
    return said
