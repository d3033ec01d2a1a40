"""A store of a million users with 40 columns, and criteria that a given part of them meets."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from serving.store.score_store import ScoreStore
from tests.serving.batches import random_categories, write_table

LABELS = {"region": 10, "province": 31, "city": 300, "shop": 2_000, "owner": 500, "tier": 5, "channel": 8, "language": 3,
          "age_band": 10, "points_level": 10}  # fmt: skip
"""Attribute -> how many values it has, equally common."""
SCORES = ("role_sharer", "role_organiser", "role_reviewer", "role_bargain_hunter", "role_lurker", "abuse", "self_dealing",
          "bridge", "community_pull", "community_age_days", "reach_90d", "shares_90d", "orders_90d", "spend_90d",
          "recency_days")  # fmt: skip
EXPLAINED = 10_000


def write_wide(folder: Path, users: int = 1_000_000, seed: int = 0) -> ScoreStore:
    """A store with one batch of ``users`` with 40 columns; numbers are even between 0 and 1 but for score and percentile."""
    random = np.random.default_rng(seed)
    score = np.sort(random.lognormal(size=users))[::-1]
    said = np.arange(users) < min(EXPLAINED, users)
    columns: dict[str, Any] = {
        "user_id": [f"u{number:08}" for number in random.permutation(users)],
        "koc_score": score,
        "koc_percentile": 100.0 * (users - np.arange(users) - 0.5) / users,
        "expected_followers": score * random.random(users),
        "expected_value": np.round(score * random.integers(100, 10_000, users), 2),
        "rising": pa.array(random.normal(size=users), mask=random.random(users) < 0.7),
        "willingness": pa.array(random.normal(size=users), mask=~said),
        "reach": pa.array(random.normal(size=users), mask=~said),
        "churn_probability": pa.array(random.random(users), mask=random.random(users) < 0.1),
        "stage": _labels(random, "stage", 5, users),
        "reason": _said(said, "people moved in the last 90 days: {0}; friends who have not bought: {1}"),
        "reason_zh": _said(said, "近 90 天带动 {0} 人；身边还有 {1} 人没买"),
        "attribute_consent_sms": pa.array(random.choice(["yes", "no"], users), mask=random.random(users) < 0.1),
        "attribute_consent_wecom": pa.array(random.choice(["granted", "refused"], users)),
        "community": _labels(random, "g", 3_000, users),
    }
    columns |= {name: random.random(users) for name in SCORES}
    columns |= {f"attribute_{name}": _labels(random, name, count, users) for name, count in LABELS.items()}
    table, store = pa.table(columns), ScoreStore(folder)
    write_table(store, table, categories=random_categories(table.slice(0, min(users, 200_000)), seed))
    return store


def criteria(part: float, seed: int = 0) -> Iterator[dict[str, Any]]:
    """Filters that about ``part`` of the users meet, .1, .01 or .0001, hardly ever the same twice."""
    random = np.random.default_rng(seed)

    def labels(name: str, wanted: int) -> dict[str, Any]:
        chosen = random.choice(LABELS[name], wanted, replace=False)
        return {f"attribute_{name}": [f"{name}-{number}" for number in chosen]}

    def between(width: float) -> dict[str, Any]:
        lowest = random.uniform(0, 1 - width)
        return {str(random.choice(SCORES)): {"min": lowest, "max": lowest + width}}

    kinds = {
        0.1: (lambda: labels("region", 2) | between(0.5), lambda: {"reachable": "wecom"} | between(0.2),
              lambda: labels("tier", 2) | labels("points_level", 5) | between(0.5)),
        0.01: (lambda: labels("region", 1) | between(0.1), lambda: labels("city", 6) | between(0.5),
               lambda: labels("tier", 1) | {"reachable": "wecom"} | between(0.1)),
        0.0001: (lambda: labels("city", 3) | between(0.01), lambda: labels("shop", 2) | labels("region", 1),
                 lambda: labels("region", 1) | labels("points_level", 1) | labels("age_band", 1) | between(0.1)),
    }  # fmt: skip
    while True:
        yield kinds[part][random.integers(len(kinds[part]))]()


def _labels(random: np.random.Generator, name: str, count: int, users: int) -> pa.Array:
    codes = pa.array(random.integers(0, count, users).astype(np.int32))
    return pa.DictionaryArray.from_arrays(codes, [f"{name}-{number}" for number in range(count)]).cast(pa.string())


def _said(said: np.ndarray, text: str) -> pa.Array:
    return pa.array(
        [text.format(place % 97, place % 31) if known else None for place, known in enumerate(said)], pa.string()
    )
