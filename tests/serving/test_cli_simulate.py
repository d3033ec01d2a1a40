from pathlib import Path

import pytest

from features.dataset import read_dataset
from tests.command import koc


def test_a_market_is_written_and_the_next_command_shown(tmp_path: Path) -> None:
    out = tmp_path / "a market"
    ran = koc("simulate", "--users", 200, "--days", 60, "--seed", 3, "--out", out, columns=30)
    assert ran.status == 0
    assert ran.out == f"Tables in {out}; next: koc validate --dataset {out / 'dataset.toml'}\n"
    assert ran.err == "simulating 200 users\n"
    assert "orders" in read_dataset(out / "dataset.toml").tables
    assert (out / "truth" / "users.parquet").is_file()


@pytest.mark.parametrize(("option", "value"), [("--users", 5), ("--days", 5), ("--days", 5000), ("--seed", -1)])
def test_sizes_without_a_market_are_usage_errors(tmp_path: Path, option: str, value: int) -> None:
    ran = koc("simulate", "--out", tmp_path, option, value)
    assert ran.status == 2
    assert f"Invalid value for '{option}'" in ran.err
