"""Nothing that was known at or after a date reaches its features or scores, and the order of rows reaches nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine import DuckDB
from features.labels import influence_labels
from features.lookback import within_lookback
from features.prepare import prepare
from features.schema import TABLES
from features.snapshot import Snapshot, take_snapshot
from features.structure import structure_of
from features.tables import Tables
from features.tie_table import build_tie_table
from features.user_table import build_user_table
from tests.features.random_world import AS_OF, Rows, as_tables, known, later, random_rows, shuffled
from tests.worlds import user_rows
from training.crossfit import people_in_groups
from training.frame import Frame, build_frame
from training.matrix import values_of
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings

ENGINE = DuckDB(threads=1)
HORIZON = timedelta(days=10)
seeds = st.integers(0, 2**32)


@dataclass(frozen=True)
class Known:
    """All that a model sees at the date."""

    snapshot: Snapshot
    features: ir.Table
    ties: ir.Table
    labels: ir.Table

    @property
    def frame(self) -> Frame:
        return build_frame(build_user_table(self.snapshot), self.snapshot)


def known_at_date(tables: Tables) -> Known:
    snapshot = prepare(take_snapshot(tables, AS_OF))
    built = build_user_table(snapshot)
    features = ENGINE.from_arrow(pa.Table.from_pandas(user_rows(built, ENGINE)))
    return Known(snapshot, features, build_tie_table(within_lookback(snapshot)), influence_labels(snapshot, AS_OF - HORIZON))


def column_bytes(expression: ir.Table) -> Mapping[str, tuple[bytes, bytes]]:
    """column -> (which rows are null, the bits of the others), rows in the order of all their values but floats."""
    rows = ENGINE.to_arrow(expression).combine_chunks()
    keys = [
        (name, "ascending")
        for name, dtype in zip(rows.column_names, rows.schema.types, strict=True)
        if dtype != pa.float64()
    ]
    rows = rows.take(pc.sort_indices(rows, sort_keys=keys))
    return {name: (_bits(pc.is_null(rows[name])), _bits(rows[name])) for name in rows.column_names}


def _bits(column: pa.ChunkedArray) -> bytes:
    if pa.types.is_string(column.type):
        return repr(column.to_pylist()).encode()
    filled = pc.fill_null(column, pa.scalar(0, pa.int64()).cast(column.type))
    bits: bytes = filled.to_numpy().tobytes()
    return bits


def changed(one: ir.Table, other: ir.Table) -> list[str]:
    """Names of the columns that are not the same to the bit."""
    before, after = column_bytes(one), column_bytes(other)
    assert list(before) == list(after)
    return [name for name in before if before[name] != after[name]]


@pytest.fixture(scope="module")
def ranker() -> Ranker:
    """A small model that has learned something from a larger world."""
    tables = as_tables(random_rows(7, users=400, scale=5), ENGINE, horizon=HORIZON, credit="category")
    seen = known_at_date(tables)
    frame = seen.frame
    influence = values_of(seen.labels, ENGINE, frame.users, ["influence"])["influence"]
    settings_ = TrainSettings(groups=2, rounds=20, leaves=7, threads=1)
    groups = people_in_groups(frame.users, influence > 0, 2)
    fitted, _ = fit_ranker(frame.matrix.x, influence, groups, frame.matrix.columns, settings_)
    assert len(np.unique(fitted.margin(frame))) > 50
    return fitted


def scores(ranker: Ranker, seen: Known) -> bytes:
    bits: bytes = ranker.margin(seen.frame).tobytes()
    return bits


@given(world_seed=seeds, seed=seeds)
@settings(max_examples=2, deadline=None)
def test_later_rows_and_the_order_of_rows_change_no_bit(ranker: Ranker, world_seed: int, seed: int) -> None:
    rows = random_rows(world_seed)
    now = known_at_date(as_tables(rows, ENGINE, horizon=HORIZON, credit="category"))
    then = known_at_date(as_tables(shuffled(later(rows, AS_OF, seed), seed), ENGINE, horizon=HORIZON, credit="category"))
    assert changed(now.snapshot["ledger"], then.snapshot["ledger"]) == []
    assert changed(now.labels, then.labels) == []
    assert changed(now.features, then.features) == []
    assert changed(now.ties, then.ties) == []
    assert scores(ranker, now) == scores(ranker, then)


@given(world_seed=seeds, seed=seeds)
@settings(max_examples=12, deadline=None)
def test_later_rows_reach_no_table_of_a_snapshot(world_seed: int, seed: int) -> None:
    rows = random_rows(world_seed)
    now, then = (take_snapshot(as_tables(world, ENGINE), AS_OF) for world in (rows, later(rows, AS_OF, seed)))
    clocked = [name for name in TABLES if name != "items"]
    different = {
        name: found for name in clocked if (found := changed(now[name].drop("recorded_at"), then[name].drop("recorded_at")))
    }
    assert different == {}
    # Items have no clock: of those that were there, none may change.
    items = now["items"].select("item_id")
    assert changed(now["items"], then["items"].semi_join(items, "item_id")) == []


def test_the_structure_of_one_graph_is_the_same_every_time() -> None:
    # Large enough that a library would share the work among threads.
    rng = np.random.default_rng(0)
    ends = np.unique(rng.integers(0, 8_000, (24_000, 2)), axis=0)
    ends = ends[ends[:, 0] != ends[:, 1]]
    arcs = ends @ np.array([8_000, 1])
    names = pa.array([f"u{number:05}" for number in range(8_000)])
    first, *others = (structure_of(names, arcs) for _ in range(4))
    assert [[name for name in first.column_names if _bits(first[name]) != _bits(other[name])] for other in others] == [
        []
    ] * 3


def test_the_later_world_differs_in_every_table_and_in_what_is_known_late() -> None:
    rows = random_rows(1)
    after = later(rows, AS_OF, 2)
    for name, spec in TABLES.items():
        past, before = ({str(row) for row in world[name] if known(spec, row, AS_OF)} for world in (after, rows))
        late = any(column.revealed_by for column in spec.columns)
        assert (past != before) is (late or name == "items"), name
        assert {str(row) for row in after[name]} != {str(row) for row in rows[name]}, name
    dead_certain: Rows = {name: [row for row in world if known(TABLES[name], row, AS_OF)] for name, world in rows.items()}
    assert all(dead_certain.values())
