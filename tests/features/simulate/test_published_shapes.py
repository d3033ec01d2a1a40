"""The simulated market looks like real ones, and what is written about the real ones is what they show."""

from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.dataset import read_dataset
from features.simulate.market import simulate_market
from features.simulate.published_shapes import PUBLISHED, published_range
from features.simulate.settings import MarketSettings
from features.simulate.shapes import MarketShapes, market_shapes
from tests.paths import SHARED

SHAPES = [field.name for field in fields(MarketShapes)]


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Mean of each shape over the three test dates of two markets."""
    found = []
    for seed in (0, 1):
        path = simulate_market(MarketSettings(users=10_000, seed=seed), tmp_path_factory.mktemp("market"))
        orders = pd.read_parquet(path.parent / "orders.parquet", columns=["user_id", "item_id", "ordered_at"])
        ties = pd.read_parquet(path.parent / "ties.parquet", columns=["user_id", "influencer_id"])
        dates = read_dataset(path).time.test_dates
        found += [asdict(market_shapes(orders, ties, as_of=date)) for date in dates]
    return pd.DataFrame(found).mean().to_dict()


@pytest.mark.parametrize("shape", SHAPES)
def test_simulated_shape_lies_within_the_range_of_real_sets(simulated: dict[str, float], shape: str) -> None:
    low, high = published_range(shape)
    assert low <= simulated[shape] <= high


def test_a_market_without_influence_is_told_apart(tmp_path: Path) -> None:
    """What is left of follow-ups without any influence is what alike tastes and popular items make."""
    settings = MarketSettings(users=5_000, follow_ups_per_order=0, society=None)
    path = simulate_market(settings, tmp_path)
    orders, ties = pd.read_parquet(tmp_path / "orders.parquet"), pd.read_parquet(tmp_path / "ties.parquet")
    shapes = market_shapes(orders, ties, as_of=read_dataset(path).time.test_dates[-1])
    assert 0.001 < shapes.follow_up_rate < 0.02
    assert pd.read_parquet(tmp_path / "truth" / "orders.parquet").empty


def real_tables(name: str) -> tuple[pd.DataFrame, pd.DataFrame | None, timedelta]:
    folder = SHARED / name

    def read(file: str, **columns: str) -> pd.DataFrame:
        return pd.read_parquet(folder / f"{file}.parquet").rename(columns={old: new for new, old in columns.items()})

    if name.startswith("foursquare"):
        orders = read("checkins", user_id="user", item_id="venue", ordered_at="checked_in_at")
        pairs = pd.read_parquet(folder / "friendships.parquet")
        one = pairs.rename(columns={"u": "user_id", "v": "influencer_id"})
        other = pairs.rename(columns={"v": "user_id", "u": "influencer_id"})
        return orders, pd.concat([one, other]), timedelta(hours=6)
    if name == "douban-music":
        orders = read("ratings", user_id="user", item_id="item", ordered_at="rated_at")
        dense = (orders.ordered_at >= datetime(2008, 7, 1)) & (orders.ordered_at < datetime(2010, 7, 1))
        return orders[dense], read("follows", user_id="follower", influencer_id="followee"), timedelta(0)
    if name == "ciao":
        orders = read("ratings", user_id="user", item_id="item", ordered_at="rated_at")
        return orders, read("trust", user_id="truster", influencer_id="trusted"), timedelta(0)
    return read("orders", user_id="customer"), None, timedelta(0)


def cases() -> Iterator[object]:
    for name, date in PUBLISHED:
        here = (SHARED / name).is_dir()
        yield pytest.param(
            name, date, marks=pytest.mark.skipif(not here, reason=f"no {SHARED / name}"), id=f"{name}-{date:%Y-%m-%d}"
        )


@pytest.mark.parametrize(("name", "date"), list(cases()))
def test_real_shapes_are_as_written(name: str, date: datetime) -> None:
    orders, ties, gap = real_tables(name)
    measured = asdict(market_shapes(orders, ties, as_of=date, gap=gap))
    written = asdict(PUBLISHED[name, date])
    for shape in SHAPES:
        np.testing.assert_allclose(measured[shape], written[shape], rtol=6e-3, err_msg=shape, equal_nan=True)
