"""The whole backtest of one Foursquare city: under 90 s on two cores."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.paths import REPO, SHARED

pytestmark = pytest.mark.benchmark


def test_jakarta_backtest(tmp_path: Path) -> None:
    folder = SHARED / "foursquare-jakarta"
    if not folder.is_dir():
        pytest.skip(f"no research data at {SHARED}")
    koc = Path(sys.executable).with_name("koc")
    dataset = REPO / "features" / "datasets" / "foursquare.toml"
    command = [koc, "backtest", "--dataset", dataset, "--root", folder, "--json", tmp_path / "out.json"]
    begin = time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.monotonic() - begin
    print(f"koc backtest on foursquare-jakarta, four dates: {seconds:.0f} s")
    assert seconds < 90
