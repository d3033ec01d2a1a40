"""One million users, about ten million orders and several million ties: under two minutes and 8 GB on two cores."""

import resource
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.paths import REPO

_RUN = """
import sys, time
from pathlib import Path
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
begin = time.monotonic()
simulate_market(MarketSettings(users=1_000_000), Path(sys.argv[1]),
                progress=lambda line: print(f"{time.monotonic() - begin:6.1f} s  {line}", flush=True))
print(time.monotonic() - begin)
"""


@pytest.mark.benchmark
def test_one_million_users(tmp_path: Path) -> None:
    # A process of its own, so that its peak memory is not that of the tests before it.
    run = subprocess.run([sys.executable, "-c", _RUN, str(tmp_path)], cwd=REPO, capture_output=True, text=True, check=True)
    seconds = float(run.stdout.splitlines()[-1])
    peak_gb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    rows = {name: pq.read_metadata(tmp_path / f"{name}.parquet").num_rows for name in ("orders", "ties", "shares")}
    print(f"{run.stdout}wall {seconds:.0f} s, peak {peak_gb:.1f} GB, {rows}")
    assert rows["orders"] > 9_000_000
    assert rows["ties"] > 3_000_000
    assert seconds < 120
    assert peak_gb < 8
