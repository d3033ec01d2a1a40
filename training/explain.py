"""Why a candidate is on the list: exact contributions to the ranker's margin, grouped into reasons."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import SIDES
from training.matrix import Floats, Matrix
from training.ranker import Ranker
from training.reasons import REASONS, Language, facts_named, say_strongest

ROWS_AT_ONCE = 2_000


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
) -> dict[Language, list[str]]:
    """For each row, the strongest reasons that raise its score, in both languages; ``horizon``: suffix of its window."""
    parts = reason_contributions(ranker, matrix, rows, windows)[:, :-1]
    facts = {name: matrix.column(name)[list(rows)] for name in facts_named(horizon) if name in matrix}
    return say_strongest(parts, facts, horizon)
