"""One planted market for all tests of what people do in it."""

from pathlib import Path

import pandas as pd
import pytest

from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.features.simulate.planted import Planted, read_market


@pytest.fixture(scope="package")
def planted_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_market(MarketSettings(users=12_000, seed=7), tmp_path_factory.mktemp("planted"))


@pytest.fixture(scope="package")
def planted(planted_file: Path) -> Planted:
    return read_market(planted_file.parent)


@pytest.fixture(scope="package")
def role(planted: Planted) -> pd.Series:
    """Role of each user id."""
    return planted["truth/users"].set_index("user_id").role
