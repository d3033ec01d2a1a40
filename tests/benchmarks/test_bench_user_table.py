"""A million users with ten million orders into a user table: under three minutes and 8 GB on two cores."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest

from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.paths import REPO, SHARED

_BUILD = """
import sys, time
from pathlib import Path
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.prepare import prepare
from features.snapshot import take_snapshot
from features.user_table import build_user_table
from training.matrix import places_of, to_matrix

begin = time.monotonic()
def tell(step):
    print(f"{time.monotonic() - begin:6.1f} s  {step}", flush=True)

dataset = read_dataset(Path(sys.argv[1]), root=Path(sys.argv[2]))
tables, _ = open_tables(dataset, DuckDB(memory_limit="5GB", threads=2), progress=tell)
tell("snapshot")
opened = time.monotonic()
table = build_user_table(prepare(take_snapshot(tables, dataset.time.test_dates[-1])), tell)
built = time.monotonic()
tell("matrix in memory")
matrix = to_matrix(table, tables.engine, *places_of(table, tables.engine))
tell(f"{matrix.x.shape[0]:,} users x {matrix.x.shape[1]} features")
print(built - opened, time.monotonic() - begin)
"""


def _build(dataset: Path, root: Path) -> tuple[float, float, float]:
    """Seconds of snapshot and user table, seconds in all from the sources on, and peak memory in GB of a process."""
    run = subprocess.run(
        [sys.executable, "-c", _BUILD, str(dataset), str(root)], cwd=REPO, capture_output=True, text=True, check=True
    )
    built, total = (float(part) for part in run.stdout.splitlines()[-1].split())
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"{run.stdout}snapshot and user table {built:.1f} s, all from the sources on {total:.1f} s, peak {peak:.1f} GB")
    return built, total, peak


def test_jakarta() -> None:
    if not (SHARED / "foursquare-jakarta").is_dir():
        pytest.skip(f"no research data at {SHARED}")
    built, _, _ = _build(REPO / "features" / "datasets" / "foursquare.toml", SHARED / "foursquare-jakarta")
    assert built < 3


def test_one_million_users(tmp_path: Path) -> None:
    dataset = simulate_market(MarketSettings(users=1_000_000), tmp_path / "market")
    _, total, peak = _build(dataset, dataset.parent)
    assert total < 180
    assert peak < 8


pytestmark = pytest.mark.benchmark
