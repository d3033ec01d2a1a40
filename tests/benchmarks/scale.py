"""What each step of the product takes at one size, as a program that prints its costs: a line of JSON each.

``data FOLDER USERS MEMORY`` takes the simulated market in FOLDER from its sources to trained trees, and ``serving FOLDER
USERS MEMORY`` asks a service over a random batch. Peaks are those of the process, with what earlier steps hold.
"""

import json
import os
import sys
import time
from collections import deque
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from itertools import islice
from pathlib import Path

import httpx
import lightgbm
import numpy as np
import numpy.typing as npt
import torch
import uvloop

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from features.prepare import with_chains, with_ledger
from features.snapshot import Snapshot, take_snapshot
from features.user_table import build_user_table
from serving.access.keys import Keys
from serving.settings import ServiceSettings
from serving.state.database import Database
from tests.benchmarks.clock import Clock
from tests.benchmarks.floors import blocks_of, scan, scan_of_each, with_tie_table
from tests.benchmarks.growth import Cost
from tests.benchmarks.load import measure
from tests.benchmarks.test_bench_api import bearer, cpu_seconds, request, served
from tests.benchmarks.test_bench_gnn import memory_bandwidth, touched
from tests.benchmarks.wide_store import criteria, write_wide
from training.frame import Frame, build_frame
from training.gnn import carried_columns
from training.gnn_fit import fit_gnn
from training.graph import build_graph
from training.propagate import propagate
from training.ranker import TWEEDIE, fit_ranker
from training.settings import TrainSettings
from training.timeline import Labels, Timeline

SETTINGS = TrainSettings()
SCAN = "scan and group-by of the same Parquet"
READ = "scan and group-by of what each reads"
CONNECTIONS, SECONDS = 4, 3.0
LIST = {
    "size": 1_000,
    "quotas": {"attribute_region": {"region-1": 400, "region-2": 300, "*": 500}},
    "diversity": {"most_each": {"community": 20}},
    "holdout": 0.1,
}
"""As that of the benchmark of the API, but short enough to be the same for all sizes."""

LISTS = 10
"""Lists made one after the other, since the clock of another process counts in hundredths of a second."""


def data(folder: Path, users: int, memory: str) -> Iterator[Cost]:
    """From sources to trees on the last closed date."""
    frame, labels = yield from tables_to_frame(folder, users, memory)
    yield from graph_and_network(frame, labels, users)
    yield from trees(frame, labels, users)


def tables_to_frame(folder: Path, users: int, memory: str) -> Generator[Cost, None, tuple[Frame, Labels]]:
    dataset = read_dataset(folder / "dataset.toml")
    engine = DuckDB(memory_limit=memory, threads=SETTINGS.threads)
    clock = Clock()
    scan(folder, DuckDB(memory_limit=memory, threads=SETTINGS.threads))
    floor = clock.taken()["cpu_seconds"]

    clock = Clock()
    tables, _ = open_tables(dataset, engine, blocks=ALL_BLOCKS)
    yield clock.cost("validate", users, SCAN, floor)
    as_of = tables.observed_until - dataset.time.horizon
    clock = Clock()
    snapshot = with_ledger(take_snapshot(tables, as_of))
    yield clock.cost("ledger", users, SCAN, floor)
    clock = Clock()
    table = build_user_table(with_chains(snapshot))
    frame = build_frame(table, snapshot)
    yield clock.cost("features into a frame", users, SCAN, floor)
    engine.release(table.users)
    yield blocks_alone(with_tie_table(with_chains(snapshot)), engine, users)
    return frame, Timeline(tables, _frames={as_of: frame}).labels(as_of)


def blocks_alone(snapshot: Snapshot, engine: DuckDB, users: int) -> Cost:
    """Each block beside what it reads; the whole of features reads most tables once a block."""
    clock = Clock()
    scan_of_each(snapshot, engine)
    floor = clock.taken()["cpu_seconds"]
    clock = Clock()
    for block in blocks_of(snapshot):
        engine.release(engine.materialise(block.build(snapshot)))
    return clock.cost("blocks of features", users, READ, floor)


def graph_and_network(frame: Frame, labels: Labels, users: int) -> Iterator[Cost]:
    clock = Clock()
    graph = build_graph(frame)
    yield clock.cost("graph", users)
    columns = carried_columns(frame.matrix.columns, frame.windows)
    state = torch.from_numpy(frame.matrix.select(columns))
    torch.set_num_threads(SETTINGS.threads)
    moving = touched(graph, SETTINGS.hops, len(columns)) / memory_bandwidth(time.process_time)
    clock = Clock()
    deque(propagate(graph, state, SETTINGS.hops), maxlen=0)
    yield clock.cost("propagation", users, "its bytes at the bandwidth of the memory", moving)
    del graph, state
    clock = Clock()
    epoch, known = replace(SETTINGS, epochs=1), frame.churn_population
    fit_gnn([frame], labels.influence, labels.churned, known, groups_of(frame), frame.matrix.columns, epoch)
    yield clock.cost("GNN, graph to one epoch", users)


def trees(frame: Frame, labels: Labels, users: int) -> Iterator[Cost]:
    x, groups = frame.matrix.select(frame.matrix.columns), groups_of(frame)
    clock = Clock()
    for group in range(SETTINGS.groups):
        learned = groups != group
        made = lightgbm.Dataset(x[learned], labels.influence[learned])
        lightgbm.train(SETTINGS.lightgbm(group, **TWEEDIE), made, SETTINGS.rounds)
    bare = clock.taken()["cpu_seconds"]
    clock = Clock()
    fit_ranker(x, labels.influence, groups, frame.matrix.columns, SETTINGS)
    yield clock.cost("LightGBM training", users, "lightgbm.train alone", bare)


def groups_of(frame: Frame) -> npt.NDArray[np.int64]:
    return np.arange(len(frame.users)) % SETTINGS.groups


def serving(folder: Path, users: int, _: str) -> Iterator[Cost]:
    """Top lists against bytes from memory, and lists of 1,000 people; of the process that serves."""
    settings = ServiceSettings(home=folder / "home", requests_per_minute=10**9)
    write_wide(settings.scores, users)
    database = Database(settings.operations_url)
    key, _ = Keys(database).create("bench", ["operate"])
    database.close()
    asked = [request("/v1/candidates", key, {"filters": f, "size": 100}) for f in islice(criteria(0.01), 2_000)]
    with served(settings.home, folder / "log") as (port, _, pid):

        def took(requests: list[bytes]) -> tuple[float, float, int]:
            spent = cpu_seconds(pid)
            found = uvloop.run(measure(port, requests, SECONDS, CONNECTIONS))
            assert not found["others"]
            return 1 / found["per_second"], (cpu_seconds(pid) - spent) / found["answers"], int(found["bytes"])

        took(asked)
        seconds, cpu, size = took(asked)
        floor = took([request("/v1/floor", key, size)])[1]
        yield Cost("top 100, a request", users, seconds, cpu, _resident_gb(pid), "bytes from memory", floor)
        begin, spent = time.perf_counter(), cpu_seconds(pid)
        for _ in range(LISTS):
            body = {"criteria": LIST}
            made = httpx.post(f"http://127.0.0.1:{port}/v1/candidate-lists", json=body, headers=bearer(key), timeout=600)
            assert made.status_code == 201, made.text
        cpu = (cpu_seconds(pid) - spent) / LISTS
        yield Cost("list of 1,000", users, (time.perf_counter() - begin) / LISTS, cpu, _resident_gb(pid))


def _resident_gb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**30


if __name__ == "__main__":
    part, place, size, limit = sys.argv[1:5]
    for cost in {"data": data, "serving": serving}[part](Path(place), int(size), limit):
        print(json.dumps(asdict(cost)), flush=True)
