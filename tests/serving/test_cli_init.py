"""`koc init` as a person runs it: the table of guesses, questions, refusals and the next command."""

from pathlib import Path

import pandas as pd
import pytest
import typer
from typer.testing import CliRunner, Result

from features.dataset import read_dataset
from features.errors import DatasetError
from serving.cli.init import init
from tests.paths import REPO

EXAMPLE = REPO / "docs" / "example"
FILES = [str(EXAMPLE / "orders.csv"), str(EXAMPLE / "customers.xlsx")]


def run(*arguments: str, typed: str = "", columns: int = 200) -> Result:
    app = typer.Typer()
    app.command("init")(init)
    return CliRunner().invoke(app, list(arguments), input=typed, env={"COLUMNS": str(columns), "TERM": "dumb"})


@pytest.fixture
def pairs(tmp_path: Path) -> list[str]:
    days = pd.date_range("2024-01-01", periods=100)
    people = [f"p{n % 10}" for n in range(100)]
    pd.DataFrame({"user_id": people, "sku": 1, "paid_at": days}).to_csv(tmp_path / "orders.csv", index=False)
    pd.DataFrame({"a": people[:9], "b": people[1:10]}).to_csv(tmp_path / "pairs.csv", index=False)
    return [str(tmp_path / "orders.csv"), str(tmp_path / "pairs.csv")]


def test_the_example_needs_no_question(tmp_path: Path) -> None:
    out = tmp_path / "new" / "dataset.toml"
    result = run(*FILES, "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "header 付款时间 is a known name for ordered_at" in " ".join(result.output.split())
    assert "Not used: orders.csv: 手机号, personal data (a phone number)" in result.output
    assert f"Next: koc validate --dataset {out}" in result.output
    assert set(read_dataset(out).tables) == {"orders", "items", "users", "attributes", "identities", "memberships"}
    assert [path.name for path in out.parent.iterdir()] == ["dataset.toml"]


def test_questions_take_numbers_names_and_defaults(tmp_path: Path, pairs: list[str]) -> None:
    out = tmp_path / "dataset.toml"
    result = run(*pairs, "--out", str(out), typed="1\n9\na follows b\nAsia/Tokyo\n")
    assert result.exit_code == 0, result.output
    assert "9 is none of the choices; give a number from 1 to 3" in result.output
    dataset = read_dataset(out)
    assert dataset.zone == "Asia/Tokyo"
    assert (dataset.tables["ties"].columns, dataset.tables["ties"].undirected) == (
        {"user_id": "a", "influencer_id": "b"},
        False,
    )
    assert "check:" not in out.read_text().split("\n\n", 1)[1]


def test_yes_asks_nothing_and_marks_what_is_unsure(tmp_path: Path, pairs: list[str]) -> None:
    out = tmp_path / "dataset.toml"
    result = run(*pairs, "--yes", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert 'influencer_id = "b"' in out.read_text()
    assert out.read_text().count("  # check: ") == 5  # ties, its two columns, its direction; the zone
    assert "5 guesses are marked `# check:`" in result.output


def test_an_existing_file_is_kept_without_force(tmp_path: Path, pairs: list[str]) -> None:
    out = tmp_path / "dataset.toml"
    out.write_text("mine")
    result = run(*pairs, "--yes", "--out", str(out))
    assert isinstance(result.exception, DatasetError)
    assert "exists already; give another --out, or --force" in str(result.exception)
    assert out.read_text() == "mine"
    assert run(*pairs, "--yes", "--force", "--out", str(out)).exit_code == 0
    assert "tables.orders" in out.read_text()


def test_an_answer_that_spoils_the_file_leaves_nothing_behind(tmp_path: Path, pairs: list[str]) -> None:
    out = tmp_path / "dataset.toml"
    result = run(*pairs, "--out", str(out), typed="\n\nPeking\n")
    assert isinstance(result.exception, DatasetError)
    assert "unknown zone 'Peking'" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders.csv", "pairs.csv"]


def test_help_has_an_example() -> None:
    assert "koc init orders.csv customers.xlsx" in run("--help").output


def test_the_worked_example_shows_what_init_prints_and_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (REPO / "docs" / "worked-example.md").read_text(encoding="utf-8")
    command = next(line.split()[2:] for line in page.splitlines() if line.startswith("    koc init"))
    (tmp_path / "docs").symlink_to(REPO / "docs")
    monkeypatch.chdir(tmp_path)
    result = run(*command, columns=118)
    assert result.exit_code == 0, result.output
    shown = page.split("```text\n")[1].split("\n```")[0]
    assert [line.rstrip() for line in result.stdout.rstrip().splitlines()] == shown.splitlines()
    written = Path(command[-1]).read_text(encoding="utf-8").splitlines()
    assert [line for line in written if not line.startswith("root")] == [
        line for line in page.split("```toml\n")[1].split("\n```")[0].splitlines() if not line.startswith("root")
    ]
