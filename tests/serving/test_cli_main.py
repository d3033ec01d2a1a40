import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from serving.cli.main import app
from serving.store.score_store import ScoreStore
from tests.command import koc

COMMANDS = [command.name for command in app.registered_commands]


def test_every_command_is_listed() -> None:
    ran = koc("--help")
    assert ran.status == 0
    assert COMMANDS == [
        "init", "validate", "simulate", "backtest", "replay", "tune", "train", "promote", "rollback", "score", "candidates",
        "card", "communities", "slices", "monitor", "dictionary", "demo", "serve", "worker", "audit", "backup", "restore",
    ]  # fmt: skip
    for name in (*COMMANDS, "models", "batches", "keys", "jobs"):
        assert f" {name} " in ran.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_an_example(name: str) -> None:
    ran = koc(name, "--help")
    assert ran.status == 0
    assert f"Example: koc {name}" in ran.out


def test_an_error_that_a_person_can_mend_is_one_line_and_status_1(tmp_path: Path) -> None:
    ran = koc("validate", "--dataset", tmp_path / "none.toml", columns=40)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == f"error no dataset file at {tmp_path / 'none.toml'}; draft one with `koc init FILES...`\n"


def test_brackets_in_an_error_are_kept(tmp_path: Path) -> None:
    ran = koc("validate", "--dataset", tmp_path / "[bold]x.toml")
    assert "[bold]x.toml" in ran.err


def test_a_wrong_option_is_a_usage_error() -> None:
    ran = koc("train", "--nonsense")
    assert ran.status == 2
    assert "No such option" in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("name", ["validate", "backtest", "train", "score"])
def test_an_amount_of_memory_that_is_none_is_a_usage_error(name: str) -> None:
    ran = koc(name, "--memory", "lots")
    assert ran.status == 2
    assert "'lots' is not an amount of memory; write it as 6GB" in ran.err


def test_without_arguments_the_help_is_shown() -> None:
    ran = koc()
    assert "Find the customers whose sharing makes their friends buy" in ran.out + ran.err


def loaded_by(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter holds after ``code``."""
    code = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}}, file=sys.stderr)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return set(ran.stderr.splitlines()[-1].split())


def test_the_help_loads_no_library_of_models() -> None:
    heavy = {"mlflow", "lightgbm", "ibis", "duckdb", "pandas", "sklearn", "matplotlib", "igraph", "torch"}
    assert not loaded_by("import serving.cli.main") & heavy


@pytest.mark.parametrize(
    "command",
    [
        ("dictionary",),
        ("models", "list", "--home", "HOME"),
        ("candidates", "--scores", "SCORES", "--evidence"),
        ("validate", "--dataset", "SHOP"),
        ("init", "ORDERS", "--yes", "--out", "OUT"),
        ("simulate", "--users", "100", "--days", "28", "--out", "MARKET"),
    ],
)
def test_commands_that_fit_nothing_load_neither_networks_nor_trees(command: tuple[str, ...], tmp_path: Path) -> None:
    dataset, orders = shop(tmp_path)
    empty = pa.table({"user_id": pa.array([], pa.string()), "category": pa.array([], pa.string()), "influence": [0.0][:0]})
    users = pa.table({"user_id": ["a"], "koc_score": [1.0], "stage": ["active"], "reason": ["why"]})
    ScoreStore(tmp_path / "scores").write(users, empty, dataset="shop", model="koc/1", as_of=datetime(2024, 6, 1))
    places = {"SHOP": dataset, "ORDERS": orders, "SCORES": tmp_path / "scores", "HOME": tmp_path / "home",
              "OUT": tmp_path / "new.toml", "MARKET": tmp_path / "market"}  # fmt: skip
    argv = ["koc", *(str(places.get(word, word)) for word in command)]
    code = (
        f"sys.argv = {argv}\nfrom serving.cli.main import main\ntry:\n    main()\n"
        f"except SystemExit as left:\n    assert not left.code"
    )
    assert not loaded_by(code) & {"torch", "torch_geometric", "lightgbm"}


def shop(folder: Path) -> tuple[Path, Path]:
    """A dataset file and its orders."""
    orders, dataset = folder / "orders.csv", folder / "shop.toml"
    rows = [f"u{number % 3},i{number % 4},2024-01-{number + 1:02}" for number in range(28)]
    orders.write_text("\n".join(["user_id,item_id,ordered_at", *rows]))
    dataset.write_text('[tables.orders]\nsource = "orders.csv"')
    return dataset, orders
