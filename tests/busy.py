"""Random small worlds in which people buy, follow each other and respond to shares: enough to train on."""

from typing import Any

import numpy as np

from features.engine import DuckDB
from features.tables import Tables
from tests.worlds import day, world

DAYS = 80


def busy_rows(*, users: int = 60, seed: int = 0) -> dict[str, list[dict[str, Any]]]:
    """orders, ties and share_responses of ``DAYS`` days; people imitate those they follow."""
    rng = np.random.default_rng(seed)
    names = [f"u{number:02}" for number in range(users)]
    ties = {(a, b) for a, b in rng.integers(0, users, (4 * users, 2)).tolist() if a != b}
    orders, responses = [], []
    for user in range(users):
        for _ in range(rng.poisson(10 * rng.random())):
            item, at = f"i{rng.integers(40)}", DAYS * rng.random()
            orders.append({"user_id": names[user], "item_id": item, "ordered_at": day(at), "amount": 100})
            for follower in (a for a, b in sorted(ties) if b == user and rng.random() < 0.25):
                later = at + 3 * rng.random()
                if later < DAYS:
                    orders.append({"user_id": names[follower], "item_id": item, "ordered_at": day(later), "amount": 100})
                    responses.append(
                        {"sharer_id": names[user], "responder_id": names[follower], "item_id": item,
                         "action": "click", "responded_at": day(later)}
                    )  # fmt: skip
    return {
        "orders": orders,
        "ties": [{"user_id": names[a], "influencer_id": names[b]} for a, b in sorted(ties)],
        "share_responses": responses,
    }


def busy_world(*tables: str, engine: DuckDB | None = None, users: int = 60, seed: int = 0, **settings: Any) -> Tables:
    """The named tables of ``busy_rows``, complete up to ``DAYS``; ``settings`` are those of `tests.worlds.world`."""
    rows = busy_rows(users=users, seed=seed)
    return world(engine=engine, until=day(DAYS), **settings, **{name: rows[name] for name in tables})
