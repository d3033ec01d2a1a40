"""What each person is worth to a list: one number a row, by the list's objective."""

from collections.abc import Mapping, Sequence

import numpy as np

from features.errors import ListError
from serving.lists.criteria import Objective
from serving.lists.selection import Scores
from serving.store.batch import Batch

COLUMNS: Mapping[Objective, Sequence[str]] = {
    Objective.INFLUENCE: ("koc_score",),
    Objective.ACQUIRE: ("expected_new",),
    Objective.CONSOLIDATE: ("koc_score", "expected_new"),
    Objective.VALUE: ("expected_value",),
    Objective.RETENTION: ("churn_probability", "value_at_risk"),
}
"""Score columns that an objective reads."""


def scores(batch: Batch, objective: Objective, category: str | None = None) -> Scores:
    """(rows,) >= 0, nan of people whom the batch does not rate.

    influence     people expected to be moved within the horizon
    acquire       of these, new customers: people whose first order ever it would be
    consolidate   of these, customers already: influence without acquire
    value         minor units expected to be moved
    retention     minor units expected to be lost: probability of churn times what the person spends and moves in a horizon

    ``category`` weighs all but retention by the share of influence that falls into it.

    Raises:
        ListError: the batch lacks a column, or retention is to be weighed by a category.
        ScoresError: the batch does not know the category.
    """
    wanted = COLUMNS[objective]
    absent = [column for column in wanted if column not in batch.columns]
    if absent:
        raise ListError(
            f"objective {objective.value!r} needs {', '.join(absent)}, which batch {batch.manifest.batch} does not have; "
            "map the tables that it comes from (see docs/lists.md) and score again, or choose another objective"
        )
    if objective is Objective.RETENTION:
        if category is not None:
            raise ListError("retention is of a person as a whole; drop the filter category, or choose another objective")
        return _floats(batch, "churn_probability") * _floats(batch, "value_at_risk")
    first, *less = (batch.category_score(category, name) if category else _floats(batch, name) for name in wanted)
    return np.maximum(first - less[0], 0.0) if less else first


def _floats(batch: Batch, column: str) -> Scores:
    return np.asarray(batch.values(column), dtype=np.float64)
