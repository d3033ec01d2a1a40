"""Tables of what a run said of each user on its test dates, drawn by chance, and the recipe of such a run."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from training.judged import JUDGED
from training.recipe import Recipe

DATES = (datetime(2024, 5, 1), datetime(2024, 5, 31))
HORIZON_DAYS = 30.0


def drawn(people: int = 1_500, dates: Sequence[datetime] = DATES, *, noise: float = 0.3, seed: int = 0) -> pa.Table:
    """Both tasks. Who moves whom follows a hidden inclination, which scores know but for ``noise``.

    The same people, labels and slices for every ``noise`` and ``seed``, which draw the scores; one in three is of ``south``.
    """
    parts = []
    for number, date in enumerate(dates):
        world, own = np.random.default_rng([7, number]), np.random.default_rng([seed, number])
        inclined = world.normal(size=people)
        expected = np.exp(1.2 * inclined - 2.5)
        moved = world.poisson(expected).astype(float)
        leaving = 1 / (1 + np.exp(-inclined))
        left = (world.random(people) < leaving).astype(float)
        said = inclined + noise * own.normal(size=people)
        score = 1.2 * said - 2.5
        # People moved are expected as they are, whatever the noise.
        score += np.log(moved.sum() / np.exp(score).sum())
        about = {
            "region": np.where(np.arange(people) % 3 == 0, "south", "north"),
            "tier": np.full(people, "normal"),
            "new": np.where(np.arange(people) % 50 == 0, "yes", "no"),
            "suppressed": np.full(people, ""),
        }
        for task, label, values in (("koc", moved, score), ("churn", left, leaving)):
            parts.append(
                pa.table(
                    {
                        "task": [task] * people,
                        "as_of": pa.array([date] * people, pa.timestamp("us")),
                        "person": [f"{person:016x}" for person in range(people)],
                        "label": label,
                        "score": values,
                        **about,
                    },
                    schema=JUDGED,
                )
            )
    return pa.concat_tables(parts)


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(JUDGED.get_field_index(name), JUDGED.field(name), pa.array(values, JUDGED.field(name).type))


def shuffled(table: pa.Table, where: Any, seed: int = 0) -> pa.Table:
    """Scores of the rows ``where`` dealt out anew among them."""
    score = table["score"].to_numpy().copy()
    score[where] = np.random.default_rng(seed).permutation(score[where])
    return with_column(table, "score", score)


def recipe(**changes: Any) -> Recipe:
    """Of a run that learned from two closed label windows."""
    as_of = datetime(2024, 7, 1)
    given: dict[str, Any] = {
        "dataset": {"name": "shop"}, "settings": {}, "as_of": as_of.isoformat(),
        "training_dates": [(as_of - timedelta(days=HORIZON_DAYS * step)).isoformat() for step in (1, 2)],
        "test_dates": [date.isoformat() for date in DATES], "horizon_days": HORIZON_DAYS, "fingerprint": "f" * 64,
        "lock": "l" * 64, "code": "c" * 64, "version": "0", "machine": "m", "bundle": "b" * 64,
    }  # fmt: skip
    return Recipe(**{**given, **changes})
