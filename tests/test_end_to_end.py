"""The whole line as people run it: on a simulated market, and on a public set whose numbers are known."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.command import koc
from tests.paths import REPO, SHARED
from training.backtest import SERVED, fit_koc, training_folds
from training.settings import TrainSettings
from training.timeline import Timeline

JAKARTA = SHARED / "foursquare-jakarta"


def test_from_nothing_to_a_list(tmp_path: Path) -> None:
    market, home = tmp_path / "market", tmp_path / "home"
    dataset = market / "dataset.toml"
    steps = [
        ("simulate", "--users", 800, "--days", 150, "--out", market),
        ("validate", "--dataset", dataset),
        ("train", "--dataset", dataset, "--home", home),
        ("score", "--dataset", dataset, "--home", home),
        ("candidates", "--home", home, "--limit", 20, "--format", "csv"),
    ]
    ran = {}
    for name, *arguments in steps:
        ran[name] = koc(name, *arguments)
        assert ran[name].status == 0, ran[name].err
    # Each step names the next one as it is to be typed.
    assert f"koc validate --dataset {dataset}" in ran["simulate"].out
    assert f"koc score --dataset {dataset} --home {home}" in ran["train"].out
    assert f"koc candidates --home {home}" in ran["score"].out
    listed = list(csv.DictReader(io.StringIO(ran["candidates"].out)))
    assert [row["rank"] for row in listed] == [str(rank) for rank in range(1, 21)]
    assert all(row["reason"] for row in listed)
    scores = [float(row["koc_score"]) for row in listed]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0


@pytest.mark.skipif(not JAKARTA.is_dir(), reason=f"needs the public set in {JAKARTA}")
def test_known_numbers_of_a_public_set(tmp_path: Path) -> None:
    file = tmp_path / "records.json"
    dataset = REPO / "features" / "datasets" / "foursquare.toml"
    ran = koc("backtest", "--dataset", dataset, "--root", JAKARTA, "--test-date", "2012-12-10", "--json", file)
    assert ran.status == 0, ran.err
    records = [r for r in json.loads(file.read_text()) if r["as_of"] == "2012-12-10" and "minus" not in r]
    value = {(r["task"], r["model"], r["metric"]): r["value"] for r in records}
    assert {r["users"] for r in records if r["task"] == "koc"} == {5321}
    assert value["koc", "past_influence", "average_precision"] == pytest.approx(0.279, abs=0.01)
    assert value["koc", "past_influence", "ndcg_at_100"] == pytest.approx(0.451, abs=0.01)
    assert value["koc", "lightgbm", "average_precision"] >= 0.42
    assert value["churn", "lightgbm", "auroc"] >= 0.85


def captured(folder: Path, users: int, seed: int, settings: TrainSettings) -> np.ndarray:
    """Influence within the horizon of the top 1 % by score, and of the top 1 % by degree, over the market's test dates."""
    simulate_market(MarketSettings(users=users, days=200, seed=seed), folder)
    dataset = read_dataset(folder / "dataset.toml")
    timeline = Timeline(open_tables(dataset, DuckDB(threads=2), blocks=ALL_BLOCKS)[0])
    found = np.zeros(2)
    for as_of in dataset.time.test_dates[-1:]:
        matrix, future = timeline.matrix(as_of), timeline.labels(as_of).influence
        ranker = fit_koc(training_folds(timeline, as_of, settings), SERVED, settings)
        most = -(-len(matrix.users) // 100)
        for place, score in enumerate((ranker.margin(matrix.select(ranker.columns)), matrix.column("followers"))):
            found[place] += future[np.argsort(-score, kind="stable")[:most]].sum()
    return found


def test_the_best_by_score_influence_more_than_the_best_connected(tmp_path: Path) -> None:
    settings = TrainSettings(dates=1, seeds=1, rounds=60)
    score, degree = sum(captured(tmp_path / str(seed), 3_000, seed, settings) for seed in (0, 1))
    assert score > 1.5 * degree > 0
