import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.busy import busy_rows
from tests.command import koc
from training.settings import TrainSettings

DATASET = """
name = "shop"
[time]
horizon = "10d"
window = "5d"
test_dates = [2024-02-10]
[tables.orders]
source = "orders.csv"
columns = { user_id = "user_id", ordered_at = "ordered_at" }
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shop")
    rows = [f"{row['user_id']},{row['ordered_at']}" for row in busy_rows()["orders"]]
    (folder / "orders.csv").write_text("\n".join(["user_id,ordered_at", *rows]))
    (folder / "dataset.toml").write_text(DATASET)
    return folder / "dataset.toml"


def test_settings_are_searched_written_and_read_again(shop: Path, tmp_path: Path) -> None:
    out, file = tmp_path / "new" / "tuned.toml", tmp_path / "records.json"
    ran = koc("tune", "--dataset", shop, "--validation-dates", 1, "--trials", 2, "--seed", 3, "--out", out)
    assert ran.status == 0, ran.err
    assert "Churn: no order within the horizon | shop | pooled" in " ".join(ran.out.replace("all dates", "pooled").split())
    assert re.fullmatch(r"The .*of 2 trials.*; 0 more were stopped early", ran.out.splitlines()[-2])
    assert ran.out.splitlines()[-1] == f"Wrote {out}; next: koc backtest --dataset {shop} --settings {out}"
    assert ran.err.splitlines()[:2] == ["reading shop", "tuning"]
    written = tomllib.loads(out.read_text())
    assert written["tuned"]["validated_on"] == ["shop 2024-01-31T00:00:00"]
    assert written["tuned"]["first_test_dates"] == ["shop 2024-02-10T00:00:00"]
    assert (written["tuned"]["trials"], written["tuned"]["seed"], written["tuned"]["metric"]) == (2, 3, "auroc")
    assert [path.name for path in out.parent.iterdir()] == ["tuned.toml"]
    ran = koc("backtest", "--dataset", shop, "--settings", out, "--json", file)
    assert ran.status == 0, ran.err
    assert {record["as_of"] for record in json.loads(file.read_text())} == {"2024-02-10", "pooled"}


@pytest.mark.parametrize("command", ["backtest", "train", "replay"])
def test_a_settings_file_reaches_the_models_and_options_go_before_it(
    command: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[TrainSettings] = []

    class Reached(BaseException):
        pass

    def taken(*arguments: object, **_: object) -> None:
        reached.extend(each for each in arguments if isinstance(each, TrainSettings))
        raise Reached

    run = {"backtest": "backtest.backtest", "train": "pipeline.train", "replay": "replay.replay"}[command]
    monkeypatch.setattr(f"training.{run}", taken)
    monkeypatch.setattr("training.replay.replay_date", lambda timeline, _: timeline.tables.dataset.time.test_dates[0])
    settings, people = tmp_path / "tuned.toml", tmp_path / "list.csv"
    settings.write_text("[settings]\nleaves = 7\ndates = 2\n")
    people.write_text("user_id\nu01\n")
    more = ["--list", people] if command == "replay" else ["--dates", 3]
    with pytest.raises(Reached):
        koc(command, "--dataset", shop, "--settings", settings, "--seed", 4, "--threads", 1, *more)
    dates = 2 if command == "replay" else 3
    assert reached == [TrainSettings(leaves=7, dates=dates, seed=4, threads=1)]


def test_a_wrong_settings_file_is_refused_before_anything_is_read(shop: Path, tmp_path: Path) -> None:
    settings = tmp_path / "tuned.toml"
    settings.write_text("[settings]\nleafs = 7\n")
    ran = koc("backtest", "--dataset", shop, "--settings", settings)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith(f"error {settings}: unknown setting 'leafs'; choose from dates, ")
    assert "reading" not in ran.err


def test_a_place_that_cannot_be_written_to_is_refused_before_the_search(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.tune.tune", lambda *_, **__: pytest.fail("searched before the check"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path, tmp_path / "file" / "tuned.toml"):
        ran = koc("tune", "--dataset", shop, "--out", out)
        assert ran.status == 1
        assert ran.err.startswith("error cannot write ")


def test_a_history_too_short_is_refused_and_no_file_is_left(shop: Path, tmp_path: Path) -> None:
    ran = koc("tune", "--dataset", shop, "--test-date", "2024-01-20", "--out", tmp_path / "tuned.toml")
    assert ran.status == 1
    assert ran.err.splitlines()[-1].startswith(
        "error the history of dataset 'shop' is too short to tune before the first test date 2024-01-20"
    )
    assert list(tmp_path.iterdir()) == []
