"""The contract that all feature blocks share, on a world with every table and column."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from features.blocks.all import ALL_BLOCKS
from features.blocks.block import Block
from features.engine import DuckDB
from features.lookback import LASTING, within_lookback
from features.prepare import prepare
from features.schema import TABLES, Kind
from features.snapshot import Snapshot, take_snapshot
from features.tables import Tables
from features.tie_table import build_tie_table
from tests.features.blocks.full_world import AS_OF, EMPTY_HANDED, emptied, full_rows, full_world, only, without_rows_before
from tests.paths import REPO
from tests.worlds import world

EACH = pytest.mark.parametrize("block", ALL_BLOCKS, ids=lambda block: block.name)
LEDGER_READERS = {
    "influence_given",
    "people_moved",
    "influence_received",
    "follow_up_rate",
    "influence_chain",
    "tie_strengths",
    "open_by_strength",
    "content",
    "chain_people",
    "chain_nucleus",
    "chain_money",
    "chain_reach",
    "share_chains",
}
NEED_MORE_THAN_ORDERS = {"influence_given", "people_moved", "influence_received", "influence_chain"}
RANGES: dict[str, Callable[[pd.Series], pd.Series]] = {
    ", 0 to 1": lambda values: (values >= 0) & (values <= 1),
    ", -1 to 1": lambda values: (values >= -1) & (values <= 1),
    ", > 0": lambda values: values > 0,
    ", >= 1": lambda values: values >= 1,
}
MEMBERSHIP_BLOCKS = {"memberships", "community_sizes", "team", "acquaintances", "spaces"}
"""Blocks that read memberships, which last and which the later world is without."""
LASTING_BLOCKS = {
    *("memberships", "community_sizes", "team", "acquaintances", "levels", "tiers", "permissions"),
    *("degrees", "degrees_by_kind", "tie_structure"),
}
ARROW = {"int64": pa.int64(), "float64": pa.float64()}
LOOKBACK = timedelta(days=15)
MAY_BE_NEGATIVE = {"orders_trend", "acts_trend", "influence_rising", "pagerank_log"}


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def tables(engine: DuckDB) -> Tables:
    return full_world(engine)


@pytest.fixture(scope="module")
def snapshot(tables: Tables) -> Snapshot:
    return prepared(tables)


@pytest.fixture(scope="module")
def whole(snapshot: Snapshot) -> dict[str, pa.Table]:
    """The table of each block by name."""
    return {block.name: built(block, snapshot) for block in ALL_BLOCKS}


@pytest.fixture(scope="module")
def reverse(engine: DuckDB) -> Snapshot:
    rows = {name: list(reversed(part)) for name, part in full_rows().items()}
    return prepared(world(engine=engine, **rows))


@pytest.fixture(scope="module")
def limited(engine: DuckDB) -> Snapshot:
    return prepared(full_world(engine, settings={"lookback": LOOKBACK}))


@pytest.fixture(scope="module")
def later(tables: Tables) -> Snapshot:
    """The world that begins at the lookback."""
    events = {name for name in tables.tables if name not in LASTING} | {"memberships"}
    return prepared(without_rows_before(tables, AS_OF - LOOKBACK, events))


@pytest.fixture(scope="module")
def bare(tables: Tables) -> Callable[[Mapping[str, tuple[str, ...]]], Snapshot]:
    """What a block needs and no more, prepared."""
    found: dict[str, Snapshot] = {}

    def needed(needs: Mapping[str, tuple[str, ...]]) -> Snapshot:
        key = str(needs)
        if key not in found:
            found[key] = prepared(only(tables, needs))
        return found[key]

    return needed


@pytest.fixture(scope="module")
def empty(tables: Tables) -> Snapshot:
    return prepared(emptied(tables))


def prepared(tables: Tables) -> Snapshot:
    """What `build_user_table` gives blocks to read."""
    snapshot = within_lookback(prepare(take_snapshot(tables, AS_OF)))
    return snapshot.with_tables(tie_table=build_tie_table(snapshot))


def built(block: Block, snapshot: Snapshot) -> pa.Table:
    return snapshot.engine.to_arrow(block.build(snapshot))


def frame(table: pa.Table) -> pd.DataFrame:
    values = table.to_pandas().set_index("user_id").sort_index()
    return values[sorted(values.columns)]


def declared(block: Block, snapshot: Snapshot) -> dict[str, pa.DataType]:
    types = {c: ARROW[feature.dtype] for feature in block.features for c in feature.columns(snapshot.windows)}
    return {"user_id": pa.string(), **types}


def test_the_world_has_every_table_and_column_with_values(tables: Tables) -> None:
    assert set(tables.tables) == set(TABLES)
    rows = full_rows()
    for name, spec in TABLES.items():
        assert tables.given[name] == set(spec.by_name)
        for column in spec.by_name:
            assert column == "recorded_at" or any(row.get(column) is not None for row in rows[name]), (name, column)


def test_every_file_of_the_folder_gives_blocks_to_the_list() -> None:
    files = {path.stem for path in (REPO / "features" / "blocks").glob("*.py")} - {"__init__", "all", "block"}
    assert {block.build.__module__.rpartition(".")[2] for block in ALL_BLOCKS} == files


def test_no_two_blocks_share_a_name_or_a_column(snapshot: Snapshot) -> None:
    columns = [column for block in ALL_BLOCKS for column in block.columns(snapshot.windows)]
    assert len(columns) == len(set(columns))
    assert len({block.name for block in ALL_BLOCKS}) == len(ALL_BLOCKS)


@EACH
def test_docstring_lists_features_and_needs_name_the_contract(block: Block) -> None:
    lines = [line for line in (block.build.__doc__ or "").splitlines() if re.search(r"\b(int64|float64)\b", line)]
    assert len(lines) == len(block.features) > 0
    for table, columns in block.needs.items():
        assert set(columns) <= set(TABLES[table].by_name)


@EACH
def test_columns_are_the_declared_ones_of_the_declared_types(
    block: Block, snapshot: Snapshot, whole: dict[str, pa.Table]
) -> None:
    table = whole[block.name]
    assert {field.name: field.type for field in table.schema} == declared(block, snapshot)
    assert table.num_rows > 0


@EACH
def test_one_row_per_known_user(block: Block, whole: dict[str, pa.Table]) -> None:
    users = whole[block.name]["user_id"].to_pylist()
    assert None not in users
    assert len(users) == len(set(users))
    named = {
        row[column.name]
        for table, rows in full_rows().items()
        for column in TABLES[table].of_kind(Kind.USER)
        for row in rows
        if table not in ("users", "attributes", "outreach") and column.name in row
    }
    assert set(users) <= named - {EMPTY_HANDED, "u24"} | {EMPTY_HANDED for _ in [0] if "ties" in block.needs}


@EACH
def test_values_are_finite_and_in_the_ranges_that_the_docstring_states(
    block: Block, snapshot: Snapshot, whole: dict[str, pa.Table]
) -> None:
    values = frame(whole[block.name])
    assert np.isfinite(values.to_numpy(dtype=float, na_value=0.0)).all()
    assert values.notna().any().all()
    for feature in block.features:
        for column in feature.columns(snapshot.windows):
            seen = values[column].dropna()
            if feature.dtype == "int64":
                assert len(seen) == len(values), f"{column} is a count with nulls"
            if feature.name not in MAY_BE_NEGATIVE:
                assert (seen >= 0).all(), column
            for words, holds in RANGES.items():
                if words in feature.meaning:
                    assert holds(seen).all(), f"{column} leaves the range {words}: {seen[~holds(seen)].head()}"


@EACH
def test_counts_grow_with_their_windows(block: Block, snapshot: Snapshot, whole: dict[str, pa.Table]) -> None:
    values = frame(whole[block.name])
    for feature in block.features:
        # A share of what happened in a window may fall as the window grows.
        if "{w}" in feature.name and feature.dtype == "int64":
            names = feature.columns(snapshot.windows)
            names += [name for name in [feature.name.replace("{w}", "all")] if name in values]
            for shorter, longer in pairwise(names):
                assert (values[shorter] <= values[longer]).all(), (shorter, longer)
            assert (values[names[0]] < values[names[-1]]).any(), names


@EACH
def test_rows_in_another_order_give_the_same_bits(block: Block, whole: dict[str, pa.Table], reverse: Snapshot) -> None:
    pd.testing.assert_frame_equal(frame(whole[block.name]), frame(built(block, reverse)), check_exact=True)


@EACH
def test_a_block_is_off_without_any_one_of_its_needs(block: Block, tables: Tables) -> None:
    everything = {name: frozenset(spec.by_name) for name, spec in TABLES.items()}

    def available(given: dict[str, frozenset[str]]) -> bool:
        known = {name: tables.tables[name] for name in given}
        return block.available(Snapshot(AS_OF, replace(tables, tables=known, given=given), known))

    assert available(everything)
    for table, columns in block.needs.items():
        assert not available({name: given for name, given in everything.items() if name != table})
        for column in columns:
            assert not available({**everything, table: everything[table] - {column}})


@EACH
def test_a_block_works_on_no_more_than_it_needs(
    block: Block, bare: Callable[[Mapping[str, tuple[str, ...]]], Snapshot]
) -> None:
    for way in block.any_of or ({},):
        snapshot = bare({**block.needs, **{table: (*block.needs.get(table, ()), *way[table]) for table in way}})
        assert block.available(snapshot)
        table = built(block, snapshot)
        assert {field.name: field.type for field in table.schema} == declared(block, snapshot)
        if block.name not in NEED_MORE_THAN_ORDERS:  # orders alone tell nothing of who moved whom
            assert table.num_rows > 0
        users = table["user_id"].to_pylist()
        assert len(users) == len(set(users))
        assert None not in users


@EACH
def test_a_block_is_off_where_none_of_its_ways_is_given(block: Block, tables: Tables) -> None:
    known = {name: tables.tables[name] for name in {*block.needs, "users"}}
    given = {name: frozenset(block.needs.get(name, ())) for name in known}
    snapshot = Snapshot(AS_OF, replace(tables, tables=known, given=given), known)
    assert block.available(snapshot) == (not block.any_of)


@EACH
def test_tables_without_rows_give_a_table_without_rows(block: Block, empty: Snapshot) -> None:
    table = built(block, empty)
    assert table.num_rows == 0
    assert {field.name: field.type for field in table.schema} == declared(block, empty)


# The ledger is attributed with all history: test_lookback and test_influence hold what its readers see.
@pytest.mark.parametrize(
    "block", [block for block in ALL_BLOCKS if block.name not in LEDGER_READERS], ids=lambda block: block.name
)
def test_history_begins_at_the_lookback(
    block: Block, whole: dict[str, pa.Table], limited: Snapshot, later: Snapshot
) -> None:
    found = frame(built(block, limited))
    if block.name not in MEMBERSHIP_BLOCKS:
        pd.testing.assert_frame_equal(found, frame(built(block, later)), check_exact=True)
    assert found.equals(frame(whole[block.name])) == (block.name in LASTING_BLOCKS)
