"""A shop in which a tenth of the people are followed and imitated, the others followed and not: what a model can learn."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.worlds import day

DAYS = 100
HORIZON = 20
DATASET = f"""
name = "stars"
[time]
horizon = "{HORIZON}d"
window = "5d"
until = {day(DAYS):%Y-%m-%d}
test_dates = [{day(DAYS - 2 * HORIZON):%Y-%m-%d}, {day(DAYS - HORIZON):%Y-%m-%d}]
[tables.orders]
source = "orders.parquet"
[tables.ties]
source = "ties.parquet"
[tables.attributes]
source = "attributes.parquet"
"""


def stars(folder: Path, people: int = 1_200, seed: int = 0) -> Path:
    """``dataset.toml`` of orders, ties and regions; everybody has five followers, and half of the people stop ordering on
    some day."""
    rng = np.random.default_rng(seed)
    names = np.array([f"u{number:04}" for number in range(people)])
    follows = np.stack([np.roll(np.arange(people), step) for step in rng.permutation(people - 1)[:5] + 1])
    star = rng.random(people) < 0.1
    ends = np.where(rng.random(people) < 0.5, DAYS * rng.random(people), DAYS)
    rows = []
    for person in range(people):
        for at in np.sort(ends[person] * rng.random(rng.poisson(ends[person] / 6))):
            item = f"i{rng.integers(300)}"
            rows.append((names[person], item, at))
            if star[person]:
                copying = follows[:, person][rng.random(5) < 0.3]
                rows += [(names[who], item, later) for who in copying if (later := at + 3 * rng.random()) < ends[who]]
    orders = {
        "user_id": [user for user, _, _ in rows],
        "item_id": [item for _, item, _ in rows],
        "ordered_at": [day(at) for _, _, at in rows],
        "amount": [100] * len(rows),
    }
    ties = {"user_id": names[follows].ravel(), "influencer_id": np.tile(names, 5)}
    regions = {
        "user_id": names, "name": ["region"] * people, "value": np.where(np.arange(people) % 2, "south", "north"),
        "valid_from": [day(0)] * people,
    }  # fmt: skip
    for name, columns in (("orders", orders), ("ties", ties), ("attributes", regions)):
        pq.write_table(pa.table(columns), folder / f"{name}.parquet")
    (folder / "dataset.toml").write_text(DATASET)
    return folder / "dataset.toml"
