import subprocess
import sys
from pathlib import Path

import pytest

from serving.cli.main import app
from tests.command import koc

COMMANDS = [command.name for command in app.registered_commands]


def test_every_command_is_listed() -> None:
    ran = koc("--help")
    assert ran.status == 0
    assert COMMANDS == [
        "init", "validate", "simulate", "backtest", "train", "models", "score", "candidates", "dictionary", "demo"
    ]  # fmt: skip
    for name in COMMANDS:
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


def test_the_help_loads_no_library_of_models() -> None:
    code = (
        "import sys, serving.cli.main\n"
        "heavy = {'mlflow', 'lightgbm', 'ibis', 'duckdb', 'pandas', 'sklearn', 'matplotlib', 'igraph'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
