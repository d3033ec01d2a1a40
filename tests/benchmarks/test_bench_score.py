"""Batch scoring of 1 M users, features excluded: at most 1.3 times `Booster.predict` of all their trees, in 6 GB."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from datetime import datetime, timedelta
from pathlib import Path

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import torch

from features.blocks.all import ALL_BLOCKS
from features.blocks.neighbours import neighbour_features
from features.engine import DuckDB
from features.snapshot import Snapshot
from serving.scores import score_users, tie_scores, user_facts
from serving.store.score_store import ScoreStore
from tests.paths import REPO
from tests.worlds import world
from training.calibrate import Calibration
from training.churn import ChurnModel, ChurnTrees, standings
from training.frame import Frame, Purchases, Ties
from training.gnn import Gnn, Network, Scaling, carried_columns
from training.graph import build_graph, paths
from training.hybrid import Hybrid
from training.matrix import CELLS_AT_ONCE, Matrix
from training.ranker import TWEEDIE, Ranker
from training.roomy import let_go, roomy
from training.settings import TrainSettings
from training.stack import Stack
from training.tie_model import END_BLOCKS, TieModel

USERS = 1_000_000
EACH = 4
"""Ties and purchases of each user."""

WINDOWS = ("14d", "42d", "84d")
OWN = tuple(column for block in ALL_BLOCKS for column in block.columns(WINDOWS))
AROUND = tuple(
    column
    for feature in neighbour_features([feature for block in ALL_BLOCKS for feature in block.features])
    for column in feature.columns(WINDOWS)
)
COLUMNS = (*OWN, *AROUND)
ENDS = tuple(column for block in END_BLOCKS for column in block.columns(WINDOWS))
TIE_COLUMNS = ("strength", "kind_friend", *(f"tie_{number}" for number in range(18)))
SETTINGS = TrainSettings()
TAUGHT = 20_000
"""Rows that the trees are grown on: enough for trees of full size."""

AS_OF = datetime(2024, 6, 1)
TIMES, MEMORY_GB = 1.3, 6.0


@pytest.mark.benchmark
def test_a_million_users() -> None:
    command = [sys.executable, "-m", "tests.benchmarks.test_bench_score", str(USERS)]
    # A process of its own, so that its peak memory is not that of other tests.
    run = subprocess.run(command, cwd=REPO, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    print(run.stdout)
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["times"] < TIMES
    assert report["peak_gb"] < MEMORY_GB


def main(users: int) -> None:
    """Score ``users`` random users as `koc score` does after their features are there, between two rounds of bare trees."""
    rng = np.random.default_rng(0)
    frame = random_frame(rng, users)
    hybrid = random_hybrid(rng, frame)
    snapshot = random_snapshot(rng, frame)
    print(
        f"{users:,} users, {len(COLUMNS)} features, {len(frame.ties):,} ties, {_peak_gb():.1f} GB before scoring", flush=True
    )
    seconds: dict[str, float] = defaultdict(float)
    bare = [trees_alone(hybrid, frame)]
    begin = last = time.monotonic()
    cpu = time.process_time()

    def tell(step: str) -> None:
        nonlocal last
        now = time.monotonic()
        seconds[step] += now - last
        last = now

    said = hybrid.said(frame)
    tell("what the models say")
    scored = score_users(hybrid, frame, said, user_facts(frame, snapshot))
    tell("columns and reasons")
    ties = tie_scores(frame, said)
    tell("ties")
    with tempfile.TemporaryDirectory() as folder:
        categories = pa.table({"user_id": ["u"], "category": ["tea"], "influence": [1.0]})
        ScoreStore(Path(folder)).write(scored, categories, None, ties, dataset="random", model="koc/1", as_of=AS_OF)
    tell("writing")
    took, cpu = time.monotonic() - begin, time.process_time() - cpu
    grown = time.process_time()
    bare.append(trees_alone(hybrid, frame))
    trees_cpu = time.process_time() - grown
    for step, taken in seconds.items():
        print(f"{taken:7.1f} s  {step}")
    for trees in bare:
        print(f"{sum(trees.values()):7.1f} s  trees alone: {', '.join(f'{name} {s:.1f}' for name, s in trees.items())}")
    alone = float(np.mean([sum(trees.values()) for trees in bare]))
    report = {"seconds": took, "trees": alone, "times": took / alone, "peak_gb": _peak_gb()}
    print(json.dumps(report | {"cpu_seconds": cpu, "trees_cpu": trees_cpu}))


def trees_alone(hybrid: Hybrid, frame: Frame) -> dict[str, float]:
    """Seconds of `Booster.predict` with each ensemble, on inputs that are made already."""
    seconds: dict[str, float] = defaultdict(float)

    def predict(name: str, boosters: object, x: npt.NDArray[np.float32]) -> None:
        begin = time.monotonic()
        for booster in boosters:  # type: ignore[attr-defined]
            booster.predict(x, raw_score=True)
        seconds[name] += time.monotonic() - begin

    assert hybrid.ranker
    assert hybrid.ties
    assert hybrid.churn
    predict("users", hybrid.ranker.boosters, frame.matrix.select(hybrid.ranker.columns))
    for trees in hybrid.churn.trees:
        x = standings(frame, trees.columns) if trees.standing else frame.matrix.select(trees.columns)
        predict("churn", trees.boosters, np.ascontiguousarray(x))
    ends = frame.matrix.select(hybrid.ties.end_columns)
    step = CELLS_AT_ONCE // (len(TIE_COLUMNS) + 2 * len(ENDS))
    for start in range(0, len(frame.ties), step):
        some = slice(start, start + step)
        of = ends[frame.ties.followers[some]], ends[frame.ties.influencers[some]]
        predict("ties", hybrid.ties.boosters, np.concatenate([frame.ties.x[some], *of], axis=1))
    return dict(seconds)


def random_frame(rng: np.random.Generator, users: int) -> Frame:
    """Users with counts for features, ``EACH`` ties and purchases each, of a tenth as many subjects."""
    ids = np.array([f"u{number:07}" for number in range(users)], object)
    x = roomy((len(COLUMNS), users)).T
    for column, name in enumerate(COLUMNS):
        x[:, column] = rng.poisson(rng.exponential(2.0, users)) if name != "stage" else rng.integers(0, 5, users)
    # Everybody leads somebody, in the order of a frame.
    influencers = np.repeat(np.arange(users, dtype=np.int32), EACH)
    followers = rng.integers(0, users, len(influencers), np.int32)
    order = np.lexsort((followers, influencers))
    influencers, followers = influencers[order], followers[order]
    of_ties = roomy((len(influencers), len(TIE_COLUMNS)))
    for column in range(len(TIE_COLUMNS)):
        of_ties[:, column] = rng.exponential(1.0, len(influencers))
    let_go(x)
    let_go(of_ties)
    ties = Ties(followers, pa.array([], pa.string()), influencers, of_ties, TIE_COLUMNS)
    subjects = rng.integers(0, users // 10, users * EACH, np.int32)
    bought = Purchases(np.repeat(np.arange(users, dtype=np.int32), EACH), subjects, rng.exponential(60.0, users * EACH))
    matrix = Matrix(ids, x, COLUMNS, {"own": OWN, "graph": AROUND})
    return Frame(matrix, ties, bought, rng.random(users) < 0.6, WINDOWS, 42.0)


def random_hybrid(rng: np.random.Generator, frame: Frame) -> Hybrid:
    """Models of the default sizes, grown on random answers."""
    some = np.sort(rng.choice(len(frame.users), min(TAUGHT, len(frame.users)), replace=False))
    x = frame.matrix.x[some]
    moved, left = rng.exponential(0.2 * (1 + x[:, 0])) * (rng.random(len(x)) < 0.3), rng.random(len(x)) < 0.4
    ends, ties = frame.matrix.select(ENDS), frame.ties
    of = np.concatenate([ties.x[some], ends[ties.followers[some]], ends[ties.influencers[some]]], axis=1)

    def grown(x: npt.NDArray[np.float32], y: npt.NDArray[np.generic], **objective: object) -> list[lightgbm.Booster]:
        # Through text, as a bundle keeps them.
        made = [
            lightgbm.train(SETTINGS.lightgbm(seed, **objective), lightgbm.Dataset(x, y.astype(float)), SETTINGS.rounds)
            for seed in range(SETTINGS.groups)
        ]
        return [lightgbm.Booster(model_str=booster.model_to_string()) for booster in made]

    ranker = Ranker(COLUMNS, grown(x, moved, **TWEEDIE))
    tie_model = TieModel(TIE_COLUMNS, ENDS, grown(of, moved, **TWEEDIE))
    trees = tuple(ChurnTrees(COLUMNS, grown(x, left, objective="binary"), standing) for standing in (False, True))
    torch.manual_seed(0)
    carried = carried_columns(COLUMNS, WINDOWS)
    known = tuple(name for name, _ in paths(build_graph(frame), SETTINGS.hops))
    scaling = Scaling(np.ones(len(COLUMNS)), np.ones(len(COLUMNS)))
    network = Network(SETTINGS.groups, len(COLUMNS), len(known), len(carried), SETTINGS.width, SETTINGS.dropout)
    gnn = Gnn(COLUMNS, carried, known, (), SETTINGS.hops, scaling, np.full(SETTINGS.groups, 0.1), network)
    stack = Stack(("lightgbm", "ties", "gnn"), (0.4, 0.3, 0.3), (0.0, 0.0, 0.0), 0.0)
    return Hybrid(ranker, tie_model, gnn, stack, ChurnModel(trees, Calibration((-1.0, 1.0), (-1.0, 1.0))))


def random_snapshot(rng: np.random.Generator, frame: Frame) -> Snapshot:
    """A ledger and three attributes of the users."""
    tables = world(orders=[{"user_id": "u", "ordered_at": AS_OF}], engine=DuckDB(threads=2))
    led = rng.choice(frame.users, len(frame.users) // 2)
    seconds = rng.integers(1, 200 * 86_400, len(led))
    ledger = pa.table(
        {"influencer_id": led, "weight": np.full(len(led), 1_000_000), "category": rng.choice(["tea", "toys"], len(led)),
         "happened_at": pa.array([AS_OF - timedelta(seconds=int(s)) for s in seconds], pa.timestamp("us"))}
    )  # fmt: skip
    names = np.array(["region", "tier", "owner"], object)
    attributes = pa.table(
        {"user_id": np.tile(frame.users, 3), "name": np.repeat(names, len(frame.users)),
         "value": rng.choice(["a", "b", "c", "d"], 3 * len(frame.users)),
         "valid_from": pa.array([AS_OF] * (3 * len(frame.users)), pa.timestamp("us"))}
    )  # fmt: skip
    known = {"ledger": tables.engine.from_arrow(ledger), "attributes": tables.engine.from_arrow(attributes)}
    return Snapshot(AS_OF, tables, known)


def _peak_gb() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024**2


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main(int(sys.argv[1]))
