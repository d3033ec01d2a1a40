"""Why a candidate is on the list: exact contributions to the margin of the hybrid, grouped into reasons."""

from collections.abc import Sequence
from typing import get_args

import numpy as np

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import SIDES
from training.frame import Frame
from training.hybrid import Hybrid, Said
from training.languages import Language
from training.matrix import Floats
from training.reasons import REASONS, Side, facts_named, say_strongest

ROWS_AT_ONCE = 2_000


def reason_contributions(hybrid: Hybrid, frame: Frame, said: Said, rows: Sequence[int]) -> Floats:
    """(len(rows), len(REASONS) + 1): what each reason adds to the margin, the last the base; rows sum to the margin.

    The user ranker is taken apart by feature (SHAP values of trees: Lundberg et al., From local explanations to global
    understanding with explainable AI for trees, 2020), the tie model and the network count as a whole, from their mean.
    """
    stack, ranker = hybrid.stack, hybrid.ranker
    if stack is None or ranker is None:
        raise TypeError("a model without evidence of influence has no reasons")
    x = frame.matrix.select(ranker.columns, np.array(rows, np.int64))
    parts = [ranker.contributions(x[start : start + ROWS_AT_ONCE]) for start in range(0, len(x), ROWS_AT_ONCE)]
    single = np.concatenate(parts) if parts else np.empty((0, len(ranker.columns) + 1))
    grouped = np.zeros((len(x), len(REASONS) + 1))
    grouped[:, -1] = stack.bias
    of_input = {name: index for index, reason in enumerate(REASONS) for name in reason.inputs}
    for view, weight, centre in zip(stack.views, stack.weights, stack.centre, strict=True):
        if view in of_input:
            grouped[:, of_input[view]] += weight * (said.views[view][list(rows)] - centre)
            grouped[:, -1] += weight * centre
            continue
        for column, reason in enumerate(reason_of_columns(ranker.columns, frame.windows)):
            grouped[:, reason] += weight * single[:, column]
        grouped[:, -1] += weight * single[:, -1]
    return grouped


def reason_of_columns(columns: Sequence[str], windows: Sequence[str]) -> list[int]:
    """For each feature column, the index of its reason in ``REASONS``."""
    block_of = {column: block.name for block in ALL_BLOCKS for column in block.columns(windows)}
    reason_of = {block: index for index, reason in enumerate(REASONS) for block in reason.blocks}

    def block(column: str) -> str:
        return block_of.get(column) or f"neighbours_{next(side for side in SIDES if column.startswith(side))}"

    return [reason_of[block(column)] for column in columns]


def side_sums(parts: Floats) -> dict[Side, Floats]:
    """Side -> (n,) what its reasons add to the margin; parts: as from `reason_contributions`."""
    sides: tuple[Side, ...] = get_args(Side)
    of_side = {side: [index for index, reason in enumerate(REASONS) if reason.side == side] for side in sides}
    return {side: parts[:, columns].sum(axis=1) for side, columns in of_side.items()}


def say_reasons(parts: Floats, frame: Frame, said: Said, rows: Sequence[int]) -> dict[Language, list[str]]:
    """For each row, the strongest reasons that raise its score, in both languages.

    parts: (len(rows), len(REASONS) + 1), as from `reason_contributions`.
    """
    horizon = f"{int(frame.horizon_days)}d"
    facts = {name: frame.matrix.column(name)[list(rows)] for name in facts_named(horizon) if name in frame.matrix}
    if "ties" in said.views:
        facts["likely_followers"] = np.exp(said.views["ties"])[list(rows)]
    return say_strongest(parts[:, :-1], facts, horizon)
