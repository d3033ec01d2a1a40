import re
from pathlib import Path

import pytest

from tests.busy import DAYS, busy_rows
from tests.command import koc
from tests.worlds import day
from training.tracking import Tracker

DATASET = """
name = "shop"
[time]
horizon = "20d"
until = {until:%Y-%m-%d}
test_dates = [2024-02-29]
[tables.orders]
source = "orders.csv"
columns = {{ user_id = "user_id", ordered_at = "ordered_at" }}
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rows = [f"{row['user_id']},{row['ordered_at']}" for row in busy_rows()["orders"]]
    (folder / "orders.csv").write_text("\n".join(["user_id,ordered_at", *rows]))
    (folder / "dataset.toml").write_text(DATASET.format(until=day(DAYS)))
    (folder / "small.toml").write_text("[settings]\ngroups = 2\nrounds = 10\nwidth = 8\nepochs = 1\nresamples = 200\n")
    return folder


def test_the_first_model_serves_and_the_next_challenges(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # On a busy machine too, no step takes so long that it is told.
    monkeypatch.setattr("serving.cli.options.SILENCE", float("inf"))
    home = tmp_path / "home"
    arguments = ("--dataset", shop / "dataset.toml", "--home", home, "--settings", shop / "small.toml")
    ran = koc("train", *arguments, columns=30)
    assert ran.status == 0, ran.err
    assert "hybrid" in ran.out
    assert ran.out.splitlines()[-1] == (
        "Registered koc version 1 as challenger and champion; "
        f"next: koc score --dataset {shop / 'dataset.toml'} --home {home}"
    )
    lines = ran.err.splitlines()
    # What is done, then one line for each date, one for what all rows tell, and one for models beside the ranking.
    assert lines[:2] == ["reading shop", "training"]
    assert all(re.fullmatch(r"  (\d{4}-\d\d-\d\d|the truth|extra model)", line) for line in lines[2:]), lines
    assert len(lines) > 3
    ran = koc("train", *arguments, "--seed", 1, "--dates", 1)
    # The champion stays: a bare `koc score` would not show the new model.
    assert ran.out.splitlines()[-1] == f"Registered koc version 2 as challenger; next: koc promote --home {home}"
    tracker = Tracker(None, home)
    dates = [tracker._client.get_run(tracker.find(version).run_id).data.params["training_dates"] for version in (1, 2)]
    assert [len(each.split(", ")) for each in dates] == [3, 1]
    assert (tracker.find("champion").version, tracker.find("challenger").version) == (1, 2)


def test_a_run_is_trained_again_to_the_same_checksum_or_says_what_differs(shop: Path, tmp_path: Path) -> None:
    orders, home = tmp_path / "orders.csv", tmp_path / "home"
    orders.write_text((shop / "orders.csv").read_text())
    (tmp_path / "dataset.toml").write_text((shop / "dataset.toml").read_text())
    options = ("--dataset", tmp_path / "dataset.toml", "--home", home, "--settings", shop / "small.toml")
    assert koc("train", *options, "--seed", 3, "--dates", 1).status == 0
    ran = koc("train", "--like", 1, "--home", home)
    assert ran.status == 0, ran.err
    tracker = Tracker(None, home)
    runs = [tracker._client.get_run(tracker.find(version).run_id).data.tags for version in (1, 2)]
    assert [tags["version"] for tags in runs] == ["1", "2"]
    assert runs[0]["bundle"] == runs[1]["bundle"]
    assert f"koc/2 has the same checksum as 1: {runs[0]['bundle']}; aliases are as they were" in ran.out
    # Who repeats a version challenges nobody.
    assert tracker.find("challenger").version == tracker.find(tracker.find(1).run_id).version == 1
    for option, value in (("--dates", 2), ("--seed", 0), ("--dataset", tmp_path / "dataset.toml")):
        assert koc("train", "--like", 1, option, value, "--home", home).status == 2
    orders.write_text(orders.read_text() + f"\nu0,{day(1)}")
    ran = koc("train", "--like", 1, "--home", home)
    assert ran.status == 1
    assert "rows were added, changed or removed since; bring back the tables of that day" in ran.err
    # The tables of that day lie elsewhere by now.
    ran = koc("train", "--like", tracker.find(1).run_id, "--root", shop, "--home", home)
    assert ran.status == 0, ran.err
    assert f"koc/3 has the same checksum as {tracker.find(1).run_id}" in ran.out


def test_a_history_too_short_is_an_error_in_one_line(shop: Path, tmp_path: Path) -> None:
    short = tmp_path / "dataset.toml"
    short.write_text((shop / "dataset.toml").read_text().replace('"20d"', '"60d"'))
    ran = koc("train", "--dataset", short, "--root", shop, "--home", tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith("error the label window of 2024-02-29 00:00 ends 2024-04-29 00:00")
    short.write_text(short.read_text().replace("test_dates = [2024-02-29]\n", ""))
    ran = koc("train", "--dataset", short, "--root", shop, "--home", tmp_path)
    assert ran.err.splitlines()[-1].startswith("error the history of dataset 'shop' is too short to judge a model")
