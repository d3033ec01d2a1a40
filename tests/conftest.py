"""A small simulated market, trained on and scored once for all tests of a session."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.engine_spark import Spark
from features.intake.open_tables import open_tables
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.tables import Tables
from serving.batch import score_batch
from serving.store.manifest import Manifest
from serving.store.score_store import ScoreStore
from tests import sparks
from training.pipeline import Trained, train
from training.register import register
from training.settings import TrainSettings
from training.timeline import Timeline
from training.tracking import Tracker

MARKET_TESTS = {
    "tests/serving/jobs/test_work.py",
    "tests/serving/test_batch.py",
    "tests/serving/test_cli_candidates.py",
    "tests/serving/test_cli_models.py",
    "tests/serving/test_cli_score.py",
    "tests/serving/test_live.py",
    "tests/serving/test_scores.py",
    "tests/serving/test_volume_of_scores.py",
    "tests/training/test_bundle.py",
    "tests/training/test_explain.py",
    "tests/training/test_hybrid.py",
    "tests/training/test_pipeline.py",
    "tests/training/test_register.py",
}
"""Files whose tests share the market: one worker makes it for all of them."""

SPARK_TESTS = {
    "tests/features/test_engine.py",
    "tests/features/test_engine_spark.py",
    "tests/features/test_spark_parity.py",
    "tests/serving/test_cli_engines.py",
}
"""Files whose tests share a session of Spark, which takes long to start."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        file = item.nodeid.partition("::")[0]
        for fixture, files in (("market_file", MARKET_TESTS), ("spark", SPARK_TESTS)):
            if fixture in getattr(item, "fixturenames", ()) and file not in files:
                raise pytest.UsageError(f"{file} uses the fixture {fixture}; add it to its files in tests/conftest.py")
        if item.get_closest_marker("spark") and sparks.LACKS:
            item.add_marker(pytest.mark.skip(reason=sparks.LACKS))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Files go to workers as a whole, those of the market and of Spark to one each; pytest 9.2 ignores ``xdist_group``."""
    from xdist.scheduler import LoadScopeScheduling

    class Shared(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return "market" if file in MARKET_TESTS else "spark" if file in SPARK_TESTS else file

    return Shared(config, log)


SMALL = TrainSettings(dates=2, groups=2, rounds=30, width=8, epochs=3, threads=1, resamples=200)


@dataclass(frozen=True)
class Scored:
    """Where the session's model is registered as version 1 and its batch of scores lies."""

    home: Path
    manifest: Manifest

    @property
    def tracker(self) -> Tracker:
        return Tracker(None, self.home)

    @property
    def store(self) -> ScoreStore:
        return ScoreStore(self.home / "scores")


@pytest.fixture(scope="session")
def spark() -> Spark:
    return sparks.start()


@pytest.fixture(scope="session")
def market_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``dataset.toml`` of 1,000 users and 200 days, with one test date that leaves two training dates."""
    return simulate_market(MarketSettings(users=1_000, days=200, seed=1), tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def market(market_file: Path) -> Tables:
    dataset = read_dataset(market_file)
    dataset = read_dataset(market_file, test_dates=dataset.time.test_dates[-1:])
    return open_tables(dataset, DuckDB(threads=1), blocks=ALL_BLOCKS)[0]


@pytest.fixture(scope="session")
def timeline(market: Tables) -> Timeline:
    return Timeline(market)


@contextmanager
def sharing(timeline: Timeline) -> Iterator[None]:
    """Inside, training and scoring read the features that ``timeline`` has computed already, which take longest, and fit
    every kind of extra model, though so small a market has little for them to learn from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.extras.chain_value.LEAST_PEOPLE", 2)
        patch.setattr("training.extras.group_fill.LEAST_GROUPS", 10)
        for module in ("training.pipeline", "serving.batch"):
            patch.setattr(f"{module}.Timeline", lambda tables, progress: replace(timeline, tables=tables, progress=progress))
        yield


@pytest.fixture(scope="session")
def trained(timeline: Timeline) -> Trained:
    with sharing(timeline):
        return train(timeline.tables, SMALL)


@pytest.fixture(scope="session")
def scored(timeline: Timeline, trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Scored:
    home = tmp_path_factory.mktemp("home")
    tracker = Tracker(None, home)
    register(trained, tracker)
    with sharing(timeline):
        return Scored(home, score_batch(timeline.tables, tracker, ScoreStore(home / "scores")))
