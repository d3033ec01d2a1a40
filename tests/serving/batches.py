"""Stores of scores made by hand or by chance, without a model, for tests of what serves them."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from serving.evidence import Evidence
from serving.store.manifest import Manifest
from serving.store.schemas import COMMUNITIES_SCHEMA, TIES_SCHEMA
from serving.store.score_store import ScoreStore

AS_OF = datetime(2024, 6, 1)
REGIONS = ("Beijing", "Chengdu", "Hangzhou", "Suzhou", "Wuhan")
TIERS = ("bronze", "silver", "gold")
STAGES = ("active", "dormant", "newcomer")
STAFF = ("li", "wang", "zhang")
NO_CATEGORIES = pa.table({"user_id": pa.array([], pa.string()), "category": pa.array([], pa.string()),
                          "influence": pa.array([], pa.float64())})  # fmt: skip


def write_users(store: ScoreStore, users: list[Mapping[str, Any]], **more: Any) -> Manifest:
    """A batch of users given one by one: ``user_id`` and any columns, best first.

    ``koc_score`` falls from 10 by 1 and ``stage`` is active unless given. ``more``: as `write_table`.
    """
    filled = [
        {"user_id": None, "koc_score": max(10.0 - place, 0.1), "stage": "active", "reason": f"why {user['user_id']}",
         "reason_zh": f"因为 {user['user_id']}"} | dict(user)
        for place, user in enumerate(users)
    ]  # fmt: skip
    names = {name: None for user in filled for name in user}
    return write_table(store, pa.table({name: [user.get(name) for user in filled] for name in names}), **more)


def write_table(store: ScoreStore, users: pa.Table, **more: Any) -> Manifest:
    """A batch of a table of scores; ``more``: other parts of `ScoreStore.write`, or its ``model``, ``as_of``, ``keep``."""
    given = {"categories": NO_CATEGORIES, "dataset": "shop", "model": "koc/1", "as_of": AS_OF} | more
    return store.write(users, **given)


def write_random(folder: Path, users: int = 200, seed: int = 0, **more: Any) -> ScoreStore:
    """A store with one batch as `random_users` makes it, with categories, evidence, ties and communities."""
    store = ScoreStore(folder)
    table = random_users(users, seed)
    parts = {"categories": random_categories(table, seed), "evidence": random_evidence(table, seed),
             "ties": random_ties(table, seed), "communities": random_communities(seed)}  # fmt: skip
    write_table(store, table, **(parts | more))
    return store


def random_users(users: int, seed: int = 0) -> pa.Table:
    """Columns as of `score_users`, best first, with attributes region, tier, consent_sms, consent_wecom_offers and owner."""
    random = np.random.default_rng(seed)
    score = np.sort(random.lognormal(size=users))[::-1]
    explained = np.arange(users) < users // 2
    ids = [f"u{number:05}" for number in random.permutation(users)]
    columns = {
        "user_id": pa.array(ids, pa.string()),
        "koc_score": score,
        "koc_percentile": 100.0 * (users - np.arange(users) - 0.5) / max(users, 1),
        "expected_followers": score * 0.8,
        "expected_value": np.round(score * random.integers(100, 10_000, users), 2),
        "rising": _holed(random, random.normal(size=users)),
        "willingness": pa.array(random.normal(size=users), mask=~explained),
        "reach": pa.array(random.normal(size=users), mask=~explained),
        "churn_probability": _holed(random, random.random(users)),
        "stage": _labels(random, STAGES, users),
        "reason": pa.array([f"people moved lately: {place}" if seen else None for place, seen in enumerate(explained)],
                           pa.string()),
        "reason_zh": pa.array([f"近期带动 {place} 人" if seen else None for place, seen in enumerate(explained)],
                              pa.string()),
        "attribute_consent_sms": _labels(random, ("yes", "no"), users, holes=0.1),
        "attribute_consent_wecom_offers": _labels(random, ("granted", "refused"), users, holes=0.3),
        "attribute_owner": _labels(random, STAFF, users, holes=0.2),
        "attribute_region": _labels(random, REGIONS, users, holes=0.05),
        "attribute_tier": _labels(random, TIERS, users),
    }  # fmt: skip
    return pa.table(columns)


def random_categories(users: pa.Table, seed: int = 0) -> pa.Table:
    """Influence of half of the users in beauty, snacks or toys."""
    random = np.random.default_rng(seed + 1)
    ids = users["user_id"].to_pylist()
    pairs = sorted({(category, ids[place]) for place in random.permutation(len(ids))[: len(ids) // 2]
                    for category in random.choice(["beauty", "snacks", "toys"], 2)})  # fmt: skip
    return pa.table({"user_id": pa.array([user for _, user in pairs], pa.string()),
                     "category": pa.array([category for category, _ in pairs], pa.string()),
                     "influence": random.integers(1, 9, len(pairs)).astype(float)})  # fmt: skip


def random_ties(users: pa.Table, seed: int = 0, each: int = 5) -> pa.Table:
    """About ``each`` ties of every user to others, sorted by influencer, then by follower."""
    random = np.random.default_rng(seed + 2)
    ids = users["user_id"].to_pylist()
    pairs = sorted({(ids[a], ids[b]) for a, b in random.integers(0, max(len(ids), 1), (len(ids) * each, 2)) if a != b})
    return pa.table({"user_id": pa.array([follower for _, follower in pairs], pa.string()),
                     "influencer_id": pa.array([influencer for influencer, _ in pairs], pa.string()),
                     "expected_follow_ups": random.random(len(pairs)).astype(np.float32),
                     "strength": np.ones(len(pairs), np.float32)}, schema=TIES_SCHEMA)  # fmt: skip


def random_evidence(users: pa.Table, seed: int = 0) -> Evidence:
    """Two people who followed each of the better half, and one item to hand on."""
    random = np.random.default_rng(seed + 3)
    ids = users["user_id"].to_pylist()
    best = ids[: len(ids) // 2]
    none, twice = Evidence.none(), [user for user in best for _ in range(2)]
    followed = {"user_id": twice, "influenced_id": random.choice(ids, len(twice)).tolist() if ids else [],
                "item_id": [f"i{number}" for number in random.integers(0, 20, len(twice))],
                "category": random.choice(["beauty", "snacks"], len(twice)).tolist(),
                "happened_at": [AS_OF] * len(twice), "evidence": ["tie"] * len(twice)}  # fmt: skip
    handed = {"user_id": best, "place": [1] * len(best), "item_id": [f"i{place % 20}" for place in range(len(best))],
              "category": ["beauty"] * len(best), "open_people": [3] * len(best), "because": ["bought lately"] * len(best),
              "because_zh": ["近期买过"] * len(best)}  # fmt: skip
    return Evidence(pa.table(followed).cast(none.follow_ups.schema), pa.table(handed).cast(none.next_items.schema))


def random_communities(seed: int = 0) -> pa.Table:
    """Three communities and how many of their members are expected to leave."""
    leaving = np.random.default_rng(seed + 4).uniform(0, 10, 3)
    return communities_table([
        {"community_id": f"g{number}", "members": 50 - 10 * number, "rated": 10, "expected_leavers": left,
         "leave_rate": left / 10}
        for number, left in enumerate(leaving.tolist(), start=1)
    ])  # fmt: skip


def communities_table(rows: list[Mapping[str, Any]]) -> pa.Table:
    """Communities given one by one; null where a row does not say."""
    return pa.table({name: [row.get(name) for row in rows] for name in COMMUNITIES_SCHEMA.names}, schema=COMMUNITIES_SCHEMA)


def _holed(random: np.random.Generator, values: np.ndarray, holes: float = 0.2) -> pa.Array:
    return pa.array(values, mask=random.random(len(values)) < holes)


def _labels(random: np.random.Generator, labels: tuple[str, ...], users: int, holes: float = 0.0) -> pa.Array:
    return pa.array(random.choice(labels, users), pa.string(), mask=random.random(users) < holes)
