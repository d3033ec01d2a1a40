"""Chain value and group fill on simulated markets of five seeds: against simple scores, on later months."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import spearmanr

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.labels import chain_labels
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.simulate.society import SocietySettings
from training.extras.chain_value import COLUMN, ChainValue, fit_chain_value
from training.extras.group_fill import GroupFill, fit_group_fill, judge, labelled
from training.folds import Fold, training_folds
from training.matrix import values_of
from training.settings import TrainSettings
from training.timeline import Timeline

INVITING = SocietySettings(campaigns=104, seeds=0.05, group_buys=0.5)
"""Two campaigns a week from a twentieth of the users: a shop that lives by invitations."""

USERS, BUY_RATE = 4_000, 1.0
HORIZON = timedelta(days=84)
SEEDS = range(5)


@pytest.mark.benchmark
def test_five_seeds(tmp_path: Path) -> None:
    found = [measured(seed, tmp_path / str(seed)) for seed in SEEDS]
    for name in found[0]:
        values = np.array([each[name] for each in found])
        print(f"{name:40} mean {values.mean():.3f}  from {values.min():.3f} to {values.max():.3f}")
    for population, least in (("with a chain in the window", 0.54), ("with a chain before", 0.6)):
        means = {score: mean(found, f"{population}: {score}") for score in SCORES}
        assert means["model"] > least
        assert means["model"] == max(means.values())
    assert mean(found, "brier") < mean(found, "brier of the past rate") - 0.03


SCORES = ("model", "degree", "pagerank", "past size", "past money")


def mean(found: Sequence[dict[str, float]], name: str) -> float:
    return float(np.mean([each[name] for each in found]))


def measured(seed: int, folder: Path) -> dict[str, float]:
    """Spearman's correlations with the realised chain value of the last horizon, and Brier scores of its group buys."""
    market = MarketSettings(users=USERS, seed=seed, buy_rate=BUY_RATE, society=INVITING)
    dataset = read_dataset(simulate_market(market, folder), test_dates=())
    time = dataset.time.model_copy(update={"horizon": HORIZON})
    tables, _ = open_tables(dataset.model_copy(update={"time": time}), DuckDB(threads=2), blocks=ALL_BLOCKS)
    timeline, settings = Timeline(tables), TrainSettings()
    date, end = tables.observed_until - HORIZON, tables.observed_until
    folds = training_folds(timeline, date, settings)
    chain, fill = (fit(timeline, folds, date, settings) for fit in (fit_chain_value, fit_group_fill))
    assert isinstance(chain, ChainValue)
    assert isinstance(fill, GroupFill)
    frame, snapshot = timeline.frame(date), timeline.snapshot(date)
    column = frame.matrix.column
    scores = {
        "model": chain.score(snapshot, frame)[COLUMN],
        "degree": column("followers"),
        "pagerank": np.nan_to_num(column("pagerank_log"), nan=-99.0),
        "past size": column("chain_size_all"),
        "past money": column("chain_money_all"),
    }
    label = values_of(
        chain_labels(timeline.view(date, end), date), tables.engine, frame.users, ("chain_value", "chain_size")
    )
    populations: dict[str, npt.NDArray[np.bool_]] = {
        "with a chain in the window": label["chain_size"] > 0,
        "with a chain before": column("chain_size_all") > 0,
        "everybody": np.ones(len(frame.users), bool),
    }
    found = {
        f"{population}: {name}": float(spearmanr(score[of], label["chain_value"][of]).statistic)
        for population, of in populations.items()
        for name, score in scores.items()
    }
    found["realised size itself"] = float(
        spearmanr(*(label[name][populations["with a chain in the window"]] for name in label)).statistic
    )
    fold = Fold(date, frame, timeline.labels(date), timeline.people(frame.users, end))
    rows = labelled(timeline, fold, end, fill.columns)
    report = judge(fill.probability(rows.x), rows)
    return {**found, "brier": report["brier"], "brier of the past rate": report["brier_past_rate"]}
