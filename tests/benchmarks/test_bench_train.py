"""Whole training of 200,000 users with 4 M ties and 4 M orders, on five dates: under 15 minutes and 8 GB on two cores."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.paths import REPO
from training.pipeline import train
from training.register import register
from training.settings import TrainSettings
from training.tracking import Tracker

MARKET = MarketSettings(users=200_000, follows_per_user=16.0, community_size=300.0, orders_per_year=33.0)
"""More ties and orders than the real sets have, as many as a shop of this size may bring."""

DATES = 5
MEMORY = "3GB"
"""Of the engine, as `koc train --memory` gives it; the frames of all dates lie beside it."""


@pytest.mark.benchmark
def test_five_dates(tmp_path: Path) -> None:
    dataset = simulate_market(MARKET, tmp_path / "market")
    rows = {name: pq.read_metadata(tmp_path / "market" / f"{name}.parquet").num_rows for name in ("orders", "ties")}
    assert min(rows.values()) > 3_800_000
    command = [sys.executable, "-m", "tests.benchmarks.test_bench_train", str(dataset), str(tmp_path / "home")]
    # A process of its own, so that its peak memory is not that of the simulation.
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    print(run.stdout)
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["seconds"] < 15 * 60
    assert report["peak_gb"] < 8


def main(dataset_file: Path, home: Path) -> None:
    """Train as `koc train` does, judged on the last closed date, and print the seconds of each step."""
    begin = last = time.monotonic()
    doing, seconds = "imports", Counter[str]()

    def tell(step: str) -> None:
        nonlocal doing, last
        now = time.monotonic()
        seconds[re.sub(r"^\d{4}-\d\d-\d\d: ", "", doing)] += now - last
        taken = f"{now - begin:7.1f} s {time.process_time():7.1f} s CPU"
        print(f"{taken}  {step}  ({_peak_gb():.1f} GB, load {os.getloadavg()[0]:.1f})", flush=True)
        doing, last = step, now

    dataset = read_dataset(dataset_file)
    dataset = read_dataset(dataset_file, test_dates=dataset.time.test_dates[-1:])
    tell("sources")
    tables, _ = open_tables(dataset, DuckDB(memory_limit=MEMORY, threads=2), blocks=ALL_BLOCKS)
    trained = train(tables, TrainSettings(dates=DATES), tell)
    tell("registering in MLflow")
    register(trained, Tracker(None, home))
    tell("done")
    for step, taken in seconds.most_common():
        print(f"{taken:7.1f} s in all  {step}")
    report = {"seconds": time.monotonic() - begin, "cpu_seconds": time.process_time(), "peak_gb": _peak_gb()}
    print(json.dumps(report | {"folds": len(trained.folds)}))


def _peak_gb() -> float:
    """Of this process; ``ru_maxrss`` would start with the peak of the parent."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
