"""A million users with 10 M orders and 10 M ties, from their files to a batch of scores: under 10 minutes and 8 GB.

Ten times as many in 12 GB, where ``KOC_BENCH_MARKETS=10`` asks for it: two hours, and 80 GB of disk.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from tests.benchmarks.many_markets import many_markets
from tests.paths import REPO

USERS, TAUGHT = 1_000_000, 10_000
MARKET = MarketSettings(users=USERS, follows_per_user=9.2, orders_per_year=17.0, society=None)
"""Enough for 10 M orders and 10 M ties; the model learns on a small market of the same kind."""

MINUTES, MEMORY_GB = 10, 8
MARKETS, MEMORY_OF_ALL_GB = int(os.environ.get("KOC_BENCH_MARKETS", "1")), 12


@pytest.mark.benchmark
def test_a_million_users_from_files_to_scores(tmp_path: Path) -> None:
    folder = Path(os.environ.get("KOC_BENCH_OUT", tmp_path))
    small, large = folder / "taught", folder / "million"
    for market, users in ((small, TAUGHT), (large, USERS)):
        if not (market / "dataset.toml").exists():
            simulate_market(MARKET.model_copy(update={"users": users}), market)
    home = tmp_path / "home"
    koc("train", "--dataset", small / "dataset.toml", "--home", home, "--dates", 3)
    report = scored(large, home, at_least=9_500_000)
    assert report["seconds"] < MINUTES * 60
    assert report["peak_gb"] < MEMORY_GB
    if MARKETS > 1:
        several = folder / f"{MARKETS}-markets"
        if not (several / "dataset.toml").exists():
            many_markets(large, MARKETS, several)
        assert scored(several, home, at_least=MARKETS * 9_500_000)["peak_gb"] < MEMORY_OF_ALL_GB


def scored(market: Path, home: Path, at_least: int) -> dict[str, float]:
    """What `koc score` took of a market of ``at_least`` orders and ties: seconds, cpu_seconds, peak_gb."""
    rows = {name: pq.read_metadata(market / f"{name}.parquet").num_rows for name in ("orders", "ties")}
    print(", ".join(f"{count:,} {name}" for name, count in rows.items()), flush=True)
    assert min(rows.values()) > at_least
    begin = time.monotonic()
    lines = koc("score", "--dataset", market / "dataset.toml", "--home", home, "--model", 1, "--memory", "3GB")
    report = {"seconds": time.monotonic() - begin, **json.loads(lines[-1])}
    print(json.dumps(report))
    return report


def koc(*arguments: object) -> list[str]:
    """Lines that the command printed, in a process of its own, the last with its CPU seconds and peak memory."""
    command = [sys.executable, "-m", "tests.benchmarks.test_bench_million", *map(str, arguments)]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as run:
        assert run.stdout
        begin, lines = time.monotonic(), []
        for line in run.stdout:
            print(f"{time.monotonic() - begin:7.1f} s  {line}", end="", flush=True)
            lines.append(line)
    assert run.returncode == 0
    return lines


def main(arguments: list[str]) -> None:
    """Run the command line and tell what it took."""
    from serving.cli.main import app

    app(arguments, standalone_mode=False)
    status = Path("/proc/self/status").read_text().splitlines()
    peak = int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / 1024**2
    print(json.dumps({"cpu_seconds": time.process_time(), "peak_gb": peak}))


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main(sys.argv[1:])
