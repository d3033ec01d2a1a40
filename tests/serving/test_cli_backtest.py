import json
import re
from pathlib import Path

import pytest

from tests.busy import busy_rows
from tests.command import koc
from training.tracking import Tracker

DATASET = """
name = "{name}"
[time]
horizon = "10d"
window = "5d"
test_dates = [2024-02-20]
[tables.orders]
source = "orders.csv"
columns = {{ user_id = "user_id", ordered_at = "ordered_at" }}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rows = [f"{row['user_id']},{row['ordered_at']}" for row in busy_rows()["orders"]]
    (folder / "orders.csv").write_text("\n".join(["user_id,ordered_at", *rows]))
    (folder / "dataset.toml").write_text(DATASET.format(name="shop"))
    (folder / "twin.toml").write_text(DATASET.format(name="shop"))
    (folder / "small.toml").write_text("[settings]\ngroups = 2\nrounds = 10\nwidth = 8\nepochs = 1\nresamples = 200\n")
    return folder


def test_records_are_printed_written_and_drawn(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine too, no step takes so long that it is told.
    monkeypatch.setattr("serving.cli.options.SILENCE", float("inf"))
    file = tmp_path / "new" / "records.json"
    ran = koc("backtest", "--dataset", shop / "dataset.toml", "--test-date", "2024-03-01", "--json", file, "--seed", 3)
    assert ran.status == 0, ran.err
    assert "Churn: no order within the horizon | shop | 2024-03-01" in " ".join(ran.out.split())
    assert "reading" not in ran.out
    lines = ran.err.splitlines()
    # What is done, then one line for each date, and one for what all rows tell.
    assert lines[:2] == ["reading shop", "backtest"]
    assert all(re.fullmatch(r"  (\d{4}-\d\d-\d\d|the truth)", line) for line in lines[2:]), lines
    assert len(lines) > 3
    records = json.loads(file.read_text())
    assert {record["as_of"] for record in records} == {"2024-03-01", "pooled"}
    assert {record["task"] for record in records} == {"churn"}
    assert {record["seed"] for record in records} == {3}
    assert {record["model"] for record in records} == {"recency", "activity", "lightgbm_own", "lightgbm", "gnn", "hybrid"}


@pytest.fixture(scope="module")
def friends(shop: Path) -> Path:
    """The same shop with ties, so that there is influence to judge."""
    rows = [f"{row['user_id']},{row['item_id']},{row['ordered_at']}" for row in busy_rows()["orders"]]
    (shop / "items.csv").write_text("\n".join(["user_id,item_id,ordered_at", *rows]))
    ties = [f"{row['user_id']},{row['influencer_id']}" for row in busy_rows()["ties"]]
    (shop / "ties.csv").write_text("\n".join(["user_id,influencer_id", *ties]))
    path = shop / "friends.toml"
    orders = DATASET.format(name="friends").partition("[tables.orders]")[0]
    path.write_text(f'{orders}[tables.orders]\nsource = "items.csv"\n[tables.ties]\nsource = "ties.csv"\n')
    return path


def test_parts_are_judged_counted_drawn_and_tracked_in_one_call(friends: Path, tmp_path: Path) -> None:
    home, file, plot = tmp_path / "home", tmp_path / "records.json", tmp_path / "plots" / "backtest.png"
    small = ("--settings", friends.parent / "small.toml", "--dates", 2)
    arguments = (*small, "--ablations", "--at-least", 2, "--json", file, "--plot", plot, "--track", "--home", home)
    ran = koc("backtest", "--dataset", friends, *arguments)
    assert ran.status == 0, ran.err
    assert ran.out.startswith("Influence counts only of those who moved at least 2 different people.\n")
    assert ran.out.endswith("Logged to MLflow as 'backtest of friends'\n")
    assert plot.read_bytes().startswith(b"\x89PNG")
    records = json.loads(file.read_text())
    parts = {f"hybrid-without-{part}" for part in ("gnn", "ties", "strength", "items")}
    compared = {record["minus"] for record in records if "minus" in record and record["model"] == "hybrid"}
    assert parts < compared
    run = Tracker(None, home)._client.search_runs(["1"])[0]
    asked = {"dates": "2", "at_least": "2", "ablations": "True", "horizon_days": "10"}
    assert asked.items() <= run.data.params.items()
    value = next(
        r["value"] for r in records if r["model"] == "hybrid" and r["as_of"] == "pooled" and r["dataset"] == "friends"
    )
    assert value in run.data.metrics.values()
    assert Tracker(None, home).versions() == []
    # Fewer people have moved two others than one.
    ran = koc("backtest", "--dataset", friends, *small, "--json", file)
    assert ran.status == 0, ran.err
    less, more = ({r["positives"] for r in found if r["task"] == "koc"} for found in (records, json.loads(file.read_text())))
    assert max(less) < min(more)


def test_churn_alone_is_drawn_too(shop: Path, tmp_path: Path) -> None:
    small = ("--settings", shop / "small.toml")
    ran = koc("backtest", "--dataset", shop / "dataset.toml", "--plot", tmp_path / "churn.png", *small)
    assert ran.status == 0, ran.err
    assert (tmp_path / "churn.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("date", "message"),
    [
        ("someday", "error --test-date 'someday' is not a date; write it as 2024-05-31"),
        ("2024-03-20", "error the label window of 2024-03-20 00:00 ends 2024-03-30 00:00"),
        ("2024-01-03", "error no training date before 2024-01-03"),
    ],
)
def test_test_dates_that_cannot_be_judged_are_refused(shop: Path, date: str, message: str) -> None:
    ran = koc("backtest", "--dataset", shop / "dataset.toml", "--test-date", date)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith(message)


def test_several_roots_are_told_apart_by_their_folders(shop: Path, tmp_path: Path) -> None:
    town = tmp_path / "town"
    town.mkdir()
    (town / "orders.csv").write_bytes((shop / "orders.csv").read_bytes())
    file = tmp_path / "records.json"
    small = ("--settings", shop / "small.toml", "--json", file)
    ran = koc("backtest", "--dataset", shop / "dataset.toml", "--root", shop, "--root", town, *small)
    assert ran.status == 0, ran.err
    records = json.loads(file.read_text())
    assert {record["dataset"] for record in records} == {shop.name, "town", "pooled"}
    assert "all datasets | all dates" in " ".join(ran.out.split())


def test_roots_and_names_that_do_not_fit_are_usage_errors(shop: Path) -> None:
    datasets = ("--dataset", shop / "dataset.toml", "--dataset", shop / "twin.toml")
    ran = koc("backtest", *datasets, "--root", shop)
    assert ran.status == 2
    assert "2 datasets and 1 roots; give one root for each dataset" in " ".join(ran.err.replace("│", " ").split())
    ran = koc("backtest", *datasets)
    assert ran.status == 2
    assert "several datasets are named shop; set `name` in their files" in " ".join(ran.err.replace("│", " ").split())
