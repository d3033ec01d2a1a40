"""Three million orders: features and scores at a date are the same to the bit when built twice, and from a later,
shuffled export of the same market."""

import hashlib
import json
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.dataset import Dataset, read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.labels import influence_labels
from features.prepare import prepare
from features.schema import RECORDED_AT, TABLES, Column, Kind, TableSpec
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.snapshot import take_snapshot
from features.user_table import build_user_table
from tests.paths import REPO
from training.crossfit import people_in_groups
from training.frame import build_frame
from training.matrix import Floats, values_of
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings

pytestmark = pytest.mark.benchmark


def test_three_million_orders(tmp_path: Path) -> None:
    dataset_file = simulate_market(MarketSettings(users=320_000), tmp_path / "market")
    dataset = read_dataset(dataset_file)
    assert pq.read_metadata(tmp_path / "market" / "orders.parquet").num_rows > 3_000_000
    tell_again(tmp_path / "market", tmp_path / "later", dataset)
    model = tmp_path / "model.txt"
    first, again, later = (
        built(dataset_file, root, model) for root in (tmp_path / "market", tmp_path / "market", tmp_path / "later")
    )
    assert first["columns"] == again["columns"], "two runs on the same files differ"
    assert first["columns"] == later["columns"], "later rows, or the order of rows, changed something"


def built(dataset_file: Path, root: Path, model: Path) -> dict[str, Any]:
    """What `main` reports of a process of its own, so that peaks of memory are its own."""
    run = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.test_bench_leakage", str(dataset_file), str(root), str(model)],
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    report: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    print(f"{root.name}: {report['users']:,} users x {len(report['columns']) - 2} features")
    print(f"  frame {report['frame_seconds']:.0f} s, with intake and scores {report['seconds']:.0f} s", end="")
    print(f", peak {report['peak_gb']:.1f} GB")
    return report


def main(dataset_file: Path, root: Path, model: Path) -> None:
    """Print a digest of every feature and of the scores; the first run fits the model, later ones read it."""
    begin = time.monotonic()
    tables, _ = open_tables(read_dataset(dataset_file, root=root), DuckDB(memory_limit="5GB"))
    as_of, engine = tables.dataset.time.test_dates[-2], tables.engine
    opened = time.monotonic()
    snapshot = prepare(take_snapshot(tables, as_of))
    frame = build_frame(build_user_table(snapshot), snapshot)
    frame_seconds, matrix = time.monotonic() - opened, frame.matrix
    digests = {name: digest(matrix.column(name)) for name in matrix.columns}
    if not model.exists():
        labels = influence_labels(snapshot, as_of - tables.dataset.time.horizon)
        influence = values_of(labels, engine, matrix.users, ["influence"])["influence"]
        groups = people_in_groups(matrix.users, influence > 0, 2)
        fitted, _ = fit_ranker(matrix.x, influence, groups, matrix.columns, TrainSettings(groups=2, rounds=20, leaves=7))
        fitted.boosters[0].save_model(model)
    booster = lightgbm.Booster(model_file=model)
    scores = Ranker(matrix.columns, [booster]).margin(frame)
    report = {
        "columns": {"user_id": digest("\n".join(matrix.users)), **digests, "score": digest(scores)},
        "users": len(matrix.users),
        "seconds": time.monotonic() - begin,
        "frame_seconds": frame_seconds,
        "peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2,
    }
    assert np.unique(scores).size > 20, "a model that tells nobody apart shows nothing"
    print(json.dumps(report))


def digest(of: str | Floats) -> str:
    """Of text, or of the bits of numbers."""
    return hashlib.sha256(of.encode() if isinstance(of, str) else of.tobytes()).hexdigest()


def tell_again(market: Path, later: Path, dataset: Dataset) -> None:
    """Write the tables as a later export might give them: every row that was not known at the date is deleted, altered
    or joined by others, what is known late of the rest has changed, and rows come in another order."""
    rng = np.random.default_rng(0)
    as_of = dataset.time.test_dates[-2]
    until = dataset.time.until
    assert until is not None
    later.mkdir()
    for name in dataset.tables:
        rows = pq.read_table(market / f"{name}.parquet")
        rows = rows if TABLES[name].event_time is None else changed(name, rows, as_of, until - as_of, rng)
        pq.write_table(rows.take(rng.permutation(len(rows))), later / f"{name}.parquet")


def changed(name: str, rows: pa.Table, as_of: Any, left: timedelta, rng: np.random.Generator) -> pa.Table:
    spec = TABLES[name]
    clocks = [clock for clock in (spec.event_time, RECORDED_AT) if clock in rows.column_names]
    unknown = np.zeros(len(rows), bool)
    for clock in clocks:
        unknown |= ~before(rows[clock], as_of, null=True)
    past, future = rows.filter(pa.array(~unknown)), rows.filter(pa.array(unknown))
    told = past
    for column in spec.columns:
        if column.revealed_by and column.name in past.column_names:
            told = replaced(told, column.name, retold(past, spec, column, as_of, left, rng))
    kept = future.filter(pa.array(rng.random(len(future)) < 0.5))
    # Copies of rows of the past under new keys and later clocks: half of them learned of late, where the table tells.
    copies = told.take(rng.integers(0, len(past), max(len(future) // 2, 1000)))
    when = moments_from(as_of, left, len(copies), rng)
    late = pa.array(rng.random(len(copies)) < 0.5) if RECORDED_AT in clocks else pa.array(np.zeros(len(copies), bool))
    event = spec.event_time or ""
    copies = replaced(copies, event, pc.if_else(late, copies[event], when))
    if RECORDED_AT in clocks:
        copies = replaced(copies, RECORDED_AT, when)
    key = [column for column in spec.key if spec[column].kind in (Kind.ID, Kind.USER)]
    if len(key) == 1 and key[0] in copies.column_names:
        copies = replaced(copies, key[0], pa.array([f"later-{number}" for number in range(len(copies))]))
    return pa.concat_tables([told, kept, copies])


def retold(
    rows: pa.Table, spec: TableSpec, column: Column, as_of: Any, left: timedelta, rng: np.random.Generator
) -> pa.ChunkedArray:
    """A column that is known later than its row, with other values where the date could not see them."""
    values = rows[column.name]
    revealers = [name for name in column.revealed_by if name in rows.column_names]
    hidden = ~before(pc.coalesce(*(rows[name] for name in revealers)), as_of, null=False)
    if column.kind == Kind.TIME:
        # A clock that was null must not hide what another column reveals.
        others = {name for other in spec.columns if column.name in other.revealed_by for name in other.revealed_by}
        for other in (others - {column.name}) & set(rows.column_names):
            hidden &= ~(pc.is_null(values).to_numpy() & before(rows[other], as_of, null=False))
        return pc.if_else(pa.array(hidden), moments_from(as_of, left, len(rows), rng), values)
    drawn = {
        Kind.FLAG: lambda: pa.array(rng.random(len(rows)) < 0.5),
        Kind.TEXT: lambda: pa.array(rng.choice(["one", "two"], len(rows))),
    }.get(column.kind, lambda: pa.array(rng.integers(1, 10_000, len(rows))))
    return pc.if_else(pa.array(hidden), drawn().cast(values.type), values)


def before(clock: pa.ChunkedArray, as_of: Any, *, null: bool) -> npt.NDArray[np.bool_]:
    """Whether each moment lies before the date; ``null`` where there is none."""
    known: npt.NDArray[np.bool_] = pc.fill_null(pc.less(clock, pa.scalar(as_of, pa.timestamp("us"))), null).to_numpy()
    return known


def replaced(rows: pa.Table, column: str, values: Any) -> pa.Table:
    index = rows.column_names.index(column)
    return rows.set_column(index, column, values.cast(rows.schema.field(column).type))


def moments_from(as_of: Any, left: timedelta, size: int, rng: np.random.Generator) -> pa.Array:
    """From the date itself until the data ends."""
    seconds: npt.NDArray[np.int64] = rng.integers(0, int(left.total_seconds()), size)
    seconds[: size // 100] = 0
    return pa.array(np.datetime64(as_of, "us") + seconds.astype("timedelta64[s]"), pa.timestamp("us"))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
