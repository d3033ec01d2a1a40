"""One row per user who did anything, with every feature that the dataset allows."""

from datetime import timedelta

import pandas as pd
import pytest

from features.blocks.all import ALL_BLOCKS
from features.blocks.lifecycle import STAGES
from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import take_snapshot
from features.tables import Tables
from features.user_table import UserTable, build_user_table
from tests.features.blocks.full_world import AS_OF, EMPTY_HANDED, full_user_table
from tests.worlds import day, user_rows, world

WINDOWS = dict.fromkeys(("3d", "10d", "20d"))
GRAPH = {feature.name for block in ALL_BLOCKS if block.scope == "graph" for feature in block.features}


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


def table_of(tables: Tables) -> tuple[pd.DataFrame, UserTable]:
    built = build_user_table(prepare(take_snapshot(tables, AS_OF)))
    return user_rows(built, tables.engine).set_index("user_id"), built


@pytest.fixture(scope="module")
def shop(engine: DuckDB) -> Tables:
    return world(
        engine=engine,
        users=[{"user_id": user, "registered_at": day(1)} for user in ("buyer", "registered only")],
        orders=[
            {"user_id": "buyer", "item_id": "x", "ordered_at": day(39)},
            {"user_id": "buyer of tomorrow", "item_id": "x", "ordered_at": AS_OF},
        ],
        engagements=[{"user_id": "reader", "kind": "like", "happened_at": day(10)}],
        ties=[
            {"user_id": "reader", "influencer_id": "buyer"},
            {"user_id": "dangling", "influencer_id": "buyer"},
            {"user_id": "buyer", "influencer_id": "dangling too"},
        ],
        rewards=[{"user_id": "rewarded only", "granted_at": day(5)}],
        outreach=[{"campaign_id": "c", "user_id": "contacted only", "contacted_at": day(5)}],
    )


@pytest.fixture(scope="module")
def small(shop: Tables) -> tuple[pd.DataFrame, UserTable]:
    return table_of(shop)


def test_users_are_those_with_an_act_before_as_of(small: tuple[pd.DataFrame, UserTable]) -> None:
    assert list(small[0].index) == ["buyer", "reader"]


def test_an_unlisted_user_has_counts_of_zero_and_no_other_values(small: tuple[pd.DataFrame, UserTable]) -> None:
    reader = small[0].loc["reader"]
    assert (reader["orders_all"], reader["shared_with"], reader["influence_all"]) == (0, 0, 0)
    assert reader[["recency_days", "repeat_share", "influence_decayed", "followers_mean_acts_10d"]].isna().all()


def test_neighbours_are_users_and_ties_to_unknown_people_make_none(small: tuple[pd.DataFrame, UserTable]) -> None:
    buyer, reader = small[0].loc["buyer"], small[0].loc["reader"]
    assert buyer["followers"] == 2  # the dangling one is a tie all the same
    assert buyer["followers_sum_acts_20d"] == 0
    assert buyer["followers_mean_acts_20d"] == 0.0  # over the reader alone
    assert buyer["following"] == 1
    assert pd.isna(buyer["following_mean_acts_20d"])
    assert reader["following_sum_acts_3d"] == 1
    assert reader["following_mean_followers"] == 2.0


def test_types_and_columns_are_those_of_the_blocks(small: tuple[pd.DataFrame, UserTable]) -> None:
    frame, built = small
    types = {c: f.dtype for block in ALL_BLOCKS for f in block.features for c in f.columns(WINDOWS)}
    assert sorted((*built.columns["own"], *built.columns["graph"])) == sorted(frame.columns)
    assert not set(built.columns["own"]) & set(built.columns["graph"])
    for column in frame.columns:
        around = "_sum_" in column or "_mean_" in column
        expected = ("int64" if "_sum_" in column else "float64") if around else types[column]
        assert frame[column].dtype == expected, column
        assert (column in built.columns["graph"]) == (around or column in GRAPH), column


def test_blocks_without_their_tables_give_no_columns(small: tuple[pd.DataFrame, UserTable]) -> None:
    columns = set(small[0].columns)
    assert {"orders_all", "engagements_all", "pagerank_log", "rewards_all"} <= columns
    assert not {"spend_all", "shares_all", "groups_opened_all", "communities_all", "followers_friend"} & columns


def test_without_ties_nobody_is_around(engine: DuckDB) -> None:
    frame, built = table_of(world(engine=engine, orders=[{"user_id": "a", "ordered_at": day(39)}]))
    assert built.columns["graph"] == ()
    assert list(frame.index) == ["a"]


def test_progress_names_each_block(engine: DuckDB) -> None:
    told: list[str] = []
    tables = world(engine=engine, orders=[{"user_id": "a", "ordered_at": day(39)}])
    user_rows(build_user_table(prepare(take_snapshot(tables, AS_OF)), told.append), engine)
    assert told[:4] == ["ties", "activity", "lifecycle", "purchase frequency"]


def test_nobody_at_all_is_a_table_without_rows(engine: DuckDB) -> None:
    frame, built = table_of(world(engine=engine, orders=[{"user_id": "a", "ordered_at": AS_OF}]))
    assert frame.empty
    assert "orders_all" in built.columns["own"]


def test_the_full_world_has_every_block() -> None:
    _, built, rows = full_user_table()
    frame = rows.set_index("user_id")
    own = [column for block in ALL_BLOCKS if block.scope == "own" for column in block.columns(WINDOWS)]
    assert list(built.columns["own"]) == own
    assert set(built.columns["graph"]) > GRAPH
    assert frame.index.is_unique
    assert {"nobody-knows", EMPTY_HANDED, "u24"}.isdisjoint(frame.index)  # u24 is u23 under another number
    assert frame.loc["u23", "acts_all"] > 0


def test_a_user_silent_since_before_the_lookback_is_still_a_user(engine: DuckDB) -> None:
    orders = [{"user_id": "gone", "item_id": "x", "ordered_at": day(1)}, {"user_id": "here", "ordered_at": day(39)}]
    frame, _ = table_of(world(engine=engine, settings={"lookback": timedelta(days=30)}, orders=orders))
    assert list(frame.index) == ["gone", "here"]
    assert (frame.loc["gone", "orders_all"], frame.loc["gone", "acts_all"]) == (0, 0)
    assert pd.isna(frame.loc["gone", "idle_days"])
    assert STAGES[frame.loc["gone", "stage"]] == "dormant"
