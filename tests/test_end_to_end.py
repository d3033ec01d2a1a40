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
from serving.store.score_store import ScoreStore
from tests.busy import busy_rows
from tests.command import koc
from tests.paths import REPO, SHARED
from training.folds import Panel, training_folds
from training.hybrid import fit_hybrid
from training.settings import TrainSettings
from training.timeline import Timeline

JAKARTA = SHARED / "foursquare-jakarta"

SMALL = "[settings]\ndates = 1\ngroups = 2\nrounds = 20\nwidth = 8\nepochs = 2\nresamples = 200\n"


def test_from_nothing_to_a_list(tmp_path: Path) -> None:
    market, home, settings = tmp_path / "market", tmp_path / "home", tmp_path / "small.toml"
    settings.write_text(SMALL)
    dataset = market / "dataset.toml"
    steps = [
        ("simulate", "--users", 800, "--days", 150, "--out", market),
        ("validate", "--dataset", dataset),
        ("train", "--dataset", dataset, "--home", home, "--settings", settings),
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


SHOP = """
name = "shop"
[time]
horizon = "10d"
window = "5d"
until = 2024-03-21
test_dates = [2024-02-20]
[tables.{table}]
source = "{table}.csv"
columns = {{ {columns} }}
"""


def shop_of(folder: Path, table: str, *columns: str) -> tuple[object, ...]:
    """Options that train on some columns of one table, quickly, below ``folder``."""
    rows = [",".join(str(row[column]) for column in columns) for row in busy_rows()[table]]
    (folder / f"{table}.csv").write_text("\n".join([",".join(columns), *rows]))
    named = ", ".join(f'{column} = "{column}"' for column in columns)
    (folder / "shop.toml").write_text(SHOP.format(table=table, columns=named))
    (folder / "small.toml").write_text(SMALL)
    return "--dataset", folder / "shop.toml", "--home", folder / "home", "--settings", folder / "small.toml"


def test_a_shop_of_orders_alone_gets_churn_and_no_list(tmp_path: Path) -> None:
    options = shop_of(tmp_path, "orders", "user_id", "ordered_at")
    for ran in (koc("train", *options), koc("score", *options[:4])):
        assert ran.status == 0, ran.err
    users = ScoreStore(tmp_path / "home" / "scores").open().table()
    assert {"user_id", "churn_probability", "stage"} <= {*users.column_names}
    assert not {"koc_score", "koc_percentile", "reason"} & {*users.column_names}
    likely = users["churn_probability"].drop_null().to_pylist()
    assert len(likely) > 20
    assert likely == sorted(likely, reverse=True)
    ran = koc("candidates", *options[2:4])
    assert ran.status == 1
    assert ran.err.startswith("error the current scores rate churn only")


def test_a_shop_of_share_responses_alone_gets_a_list_and_no_churn(tmp_path: Path) -> None:
    options = shop_of(tmp_path, "share_responses", "sharer_id", "responder_id", "item_id", "action", "responded_at")
    for ran in (koc("train", *options), koc("score", *options[:4])):
        assert ran.status == 0, ran.err
    assert "churn_probability" not in ScoreStore(tmp_path / "home" / "scores").open().table().column_names
    ran = koc("candidates", *options[2:4], "--limit", 5, "--format", "json", "--evidence")
    assert ran.status == 0, ran.err
    rows = json.loads(ran.out)
    assert len(rows) == 5
    assert all(row["koc_score"] > 0 and row["reason"] for row in rows)
    assert any(row["follow_ups"] for row in rows)
    assert koc("candidates", *options[2:4], "--max-churn", 0.5).err.startswith(
        "error the current scores have no churn probability"
    )


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
    assert value["koc", "hybrid", "average_precision"] >= 0.45
    assert value["koc", "hybrid", "ndcg_at_100"] >= 0.59
    assert value["koc", "hybrid", "ndcg_at_1000"] >= 0.68
    assert value["koc", "hybrid", "captured_at_5pct"] >= 0.49
    assert value["churn", "hybrid", "auroc"] >= 0.861
    assert value["churn", "hybrid", "ece"] <= 0.035


def captured(folder: Path, users: int, seed: int, settings: TrainSettings) -> np.ndarray:
    """Influence within the horizon of the top 1 % by score, and of the top 1 % by degree, over the market's test dates."""
    simulate_market(MarketSettings(users=users, days=200, seed=seed), folder)
    dataset = read_dataset(folder / "dataset.toml")
    timeline = Timeline(open_tables(dataset, DuckDB(threads=2), blocks=ALL_BLOCKS)[0])
    found = np.zeros(2)
    for as_of in dataset.time.test_dates[-1:]:
        frame, future = timeline.frame(as_of), timeline.labels(as_of).influence
        panel = Panel.of(training_folds(timeline, as_of, settings), settings)
        score = fit_hybrid(panel, settings, influence=True, churn=False).said(frame).margin
        assert score is not None
        most = -(-len(frame.users) // 100)
        for place, ranked in enumerate((score, frame.matrix.column("followers"))):
            found[place] += future[np.argsort(-ranked, kind="stable")[:most]].sum()
    return found


def test_the_best_by_score_influence_more_than_the_best_connected(tmp_path: Path) -> None:
    settings = TrainSettings(dates=1, groups=2, rounds=60, width=8, epochs=4)
    score, degree = sum(captured(tmp_path / str(seed), 3_000, seed, settings) for seed in (0, 1))
    assert score > 1.5 * degree > 0
