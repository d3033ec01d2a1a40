"""What all notebooks start from: one simulated market, made once on a machine, and settings that train within seconds."""

import hashlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

# Before anything loads OpenMP: threads that spin while they wait take the processor from those that work.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import features.simulate
from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.simulate.society import SocietySettings
from features.tables import Tables
from training.settings import TrainSettings

# Of libraries that would like widgets to draw progress bars with; nothing here draws any.
warnings.filterwarnings("ignore", message="IProgress not found")

MARKET = MarketSettings(users=2_500, days=240, seed=7, society=SocietySettings(contacts=1.5, holdout=0.4, uplift=0.7))
"""2,500 people, eight months. Contact does more than is usual, and more people are held out, so that 05 has what to read."""

QUICK = TrainSettings(dates=1, groups=2, rounds=50, leaves=8, width=8, epochs=4, threads=1, resamples=300)
"""Small models: they show how to work with the project, not what it can do; leave them away and the defaults are used."""


def market_file() -> Path:
    """``dataset.toml`` of the market, simulated on the first call into a temporary folder and found there afterwards."""
    code = sorted(Path(features.simulate.__path__[0]).glob("*.py"))
    content = MARKET.model_dump_json().encode() + b"".join(path.read_bytes() for path in code)
    folder = Path(tempfile.gettempdir()) / f"kocscout-market-{os.getuid()}-{hashlib.sha256(content).hexdigest()[:12]}"
    if not folder.exists():
        # Simulated beside it and then moved, so that a folder of this name is always whole.
        made = Path(tempfile.mkdtemp(prefix="kocscout-market-"))
        simulate_market(MARKET, made)
        try:
            made.rename(folder)
        except OSError:
            shutil.rmtree(made)
    return folder / "dataset.toml"


def open_market(wanted: Sequence[str] = ()) -> Tables:
    """The validated tables of the market; ``wanted``: only these, where a notebook needs no others."""
    dataset = read_dataset(market_file())
    if wanted:
        dataset = dataset.model_copy(update={"tables": {name: dataset.tables[name] for name in wanted}})
    return open_tables(dataset, DuckDB(threads=QUICK.threads), blocks=ALL_BLOCKS)[0]
