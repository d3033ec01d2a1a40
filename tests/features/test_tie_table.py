"""What is known of each tie, on worlds small enough to check by head."""

import math
from collections.abc import Mapping
from datetime import timedelta
from math import log
from typing import Any

import pyarrow as pa
import pytest

from features.blocks.block import Block
from features.snapshot import Snapshot
from features.tables import Tables
from features.tie_table import (
    ENDS,
    TIE_BLOCKS,
    build_tie_table,
    category_fit,
    common_subjects,
    follow_ups,
    joint_purchases,
    returned,
    tie_features,
    tie_kinds,
    tie_of_sources,
)
from features.user_table import build_user_table
from tests.features.blocks.by_user import AS_OF, prepared, shared_engine
from tests.features.blocks.full_world import full_rows, full_world
from tests.worlds import Rows, day, world

Ends = tuple[str, str]
HOUR = 1 / 24


def by_tie(block: Block, tables: Tables) -> dict[Ends, dict[str, Any]]:
    """(user, influencer) -> feature -> value, of one block."""
    snapshot = prepared(tables)
    columns = [*ENDS, *block.columns(snapshot.windows)]
    return keyed(snapshot.engine.to_arrow(block.build(snapshot).select(columns)))


def tied(tables: Tables) -> dict[Ends, dict[str, Any]]:
    """(user, influencer) -> column -> value, of the whole table."""
    snapshot = prepared(tables)
    return keyed(snapshot.engine.to_arrow(build_tie_table(snapshot)))


def keyed(rows: pa.Table) -> dict[Ends, dict[str, Any]]:
    found = {(row.pop("user_id"), row.pop("influencer_id")): row for row in rows.to_pylist()}
    assert len(found) == rows.num_rows
    return found


def bought(**purchases: Mapping[str, float] | list[tuple[str, float]]) -> Rows:
    """Orders: user -> item -> the day of it."""
    return [
        {"user_id": user, "item_id": item, "ordered_at": day(at)}
        for user, rows in purchases.items()
        for item, at in (rows.items() if isinstance(rows, Mapping) else rows)
    ]


def follows(*pairs: Ends) -> Rows:
    return [{"user_id": user, "influencer_id": influencer} for user, influencer in pairs]


def small(**tables: Any) -> Tables:
    return world(engine=shared_engine(), **tables)


def test_the_tie_as_the_sources_give_it() -> None:
    ties = [{"user_id": "ben", "influencer_id": "ada", "since": day(30)}, *follows(("ada", "ben"), ("cat", "ada"))]
    assert by_tie(tie_of_sources, small(orders=[], ties=ties)) == {
        ("ben", "ada"): {"tied": 1, "mutual": 1, "tie_days": 10.0},
        ("ada", "ben"): {"tied": 1, "mutual": 1, "tie_days": None},
        ("cat", "ada"): {"tied": 1, "mutual": 0, "tie_days": None},
    }


def test_kinds_of_a_tie_stand_beside_each_other() -> None:
    kinds = [("ben", "ada", "friend"), ("ben", "ada", "co-member"), ("cat", "ada", None), ("dan", "ada", "follow")]
    kinds += [("eve", "ada", "invite"), ("fay", "ada", "trust"), ("ada", "ada", "friend")]
    ties = [{"user_id": user, "influencer_id": influencer, "kind": kind} for user, influencer, kind in kinds]
    found = by_tie(tie_kinds, small(orders=[], ties=ties))
    assert {ends[0]: [name for name, is_one in row.items() if is_one] for ends, row in found.items()} == {
        "ben": ["kind_friend", "kind_co_member"],
        "cat": [],
        "dan": ["kind_follow"],
        "eve": ["kind_invite"],
        "fay": ["kind_trust"],
    }


def test_follow_ups_along_the_tie_and_against_it() -> None:
    # A horizon is 10 days, so that a follow-up of 10 days ago has faded to 1/e.
    response = {"sharer_id": "ada", "responder_id": "ben"}
    responses = [{**response, "item_id": item, "responded_at": day(at)} for item, at in (("x", 30), ("y", 39), ("y", 39.5))]
    responses.append({"sharer_id": "ben", "responder_id": "ada", "item_id": "x", "responded_at": day(20)})
    tables = small(share_responses=responses)
    found = by_tie(follow_ups, tables)
    assert found["ben", "ada"] == pytest.approx(
        {
            "follows_3d": 1_000_000,
            "follows_10d": 2_000_000,
            "follows_20d": 2_000_000,
            "follows_all": 2_000_000,
            "follows_decayed": math.exp(-1) + math.exp(-0.1),
            "follow_idle_days": 1.0,
        },
        abs=1e-6,
    )
    assert set(found) == {("ben", "ada"), ("ada", "ben")}
    assert by_tie(returned, tables) == {
        ("ben", "ada"): {"returned_all": 1_000_000},
        ("ada", "ben"): {"returned_all": 2_000_000},
    }


def test_money_alone_is_no_follow_up() -> None:
    # The second purchase carries money and no weight.
    orders = [
        {"user_id": "ben", "referrer_id": "ada", "item_id": "x", "ordered_at": day(at), "amount": 5} for at in (30, 39)
    ]
    assert by_tie(follow_ups, small(orders=orders))["ben", "ada"]["follow_idle_days"] == 10.0


def test_d18_common_subjects() -> None:
    # The attribution window is 5 days: what ada first bought on day 35 or later can still be followed.
    orders = bought(
        ada={"x": 10, "y": 36, "z": 37, "w": 34.9},
        ben={"x": 38, "y": 30, "v": 39},
        cat={"q": 1},
    )
    found = by_tie(common_subjects, small(orders=orders, ties=follows(("ben", "ada"), ("cat", "ada"), ("ada", "dan"))))
    assert found == {
        ("ben", "ada"): {
            "shared": 2,
            "shared_3d": 1,
            "shared_10d": 2,
            "shared_20d": 2,
            "shared_rare": pytest.approx(2 / log(3), abs=1e-6),
            "led": 1,  # x; ben was first with y
            "open_subjects": 1,  # z
        },
        ("cat", "ada"): {
            "shared": 0,
            "shared_3d": 0,
            "shared_10d": 0,
            "shared_20d": 0,
            "shared_rare": None,
            "led": 0,
            "open_subjects": 2,  # y and z
        },
    }


def test_d18_a_rare_subject_in_common_says_more_than_one_that_everybody_has() -> None:
    # A film that forty people saw, and a book that two of them read.
    orders = bought(ada={"book": 10, "film": 10}, ben={"book": 20}, cat={"film": 20})
    orders = [*orders, *bought(**{f"u{n}": {"film": 30} for n in range(38)})]
    found = tied(small(orders=orders, ties=follows(("ben", "ada"), ("cat", "ada"))))
    assert found["ben", "ada"]["shared"] == found["cat", "ada"]["shared"] == 1
    assert found["ben", "ada"]["shared_rare"] == pytest.approx(1 / log(3), abs=1e-6)
    assert found["cat", "ada"]["shared_rare"] == pytest.approx(1 / log(41), abs=1e-6)
    assert found["ben", "ada"]["strength"] > found["cat", "ada"]["strength"] > 1


def test_joint_purchases_are_counted_once_across_the_edges_of_slots() -> None:
    # Slots of six hours begin at midnight: 11:00 and 13:00 lie in two of them, 6:00 and 12:00 on two edges.
    ada = [("noon", 20 + 11 * HOUR), ("noon", 20 + 12.5 * HOUR), ("edge", 31 + 6 * HOUR), ("apart", 33), ("cinema", 35)]
    ben = [("noon", 20 + 13 * HOUR), ("edge", 31 + 12 * HOUR), ("apart", 33 + 6.01 * HOUR), ("cinema", 35)]
    tables = small(orders=bought(ada=ada, ben=[*ben, ("cinema", 38)]), ties=follows(("ben", "ada"), ("ada", "ben")))
    found = by_tie(joint_purchases, tables)
    assert found["ben", "ada"] == {"joint": 3, "joint_3d": 0, "joint_10d": 2, "joint_20d": 3, "joint_idle_days": 5.0}
    # Of ada's own purchases four had one of ben's nearby.
    assert found["ada", "ben"]["joint"] == 4


def test_within_the_shortest_gap_that_counts_as_following_people_bought_together() -> None:
    orders = bought(ada={"x": 30, "y": 35}, ben={"x": 30.9, "y": 36.1})
    ties = follows(("ben", "ada"))
    assert by_tie(joint_purchases, small(orders=orders, ties=ties)) == {}
    apart = world(engine=shared_engine(), min_gap=timedelta(days=1), orders=orders, ties=ties)
    assert by_tie(joint_purchases, apart)["ben", "ada"]["joint"] == 1
    assert by_tie(follow_ups, apart)["ben", "ada"]["follows_all"] == 1_000_000  # y alone


def test_orders_without_an_item_are_never_joint() -> None:
    orders = [*bought(ada={"x": 1}, ben={"x": 9}), *({"user_id": user, "ordered_at": day(30)} for user in ("ada", "ben"))]
    assert by_tie(joint_purchases, small(orders=orders, ties=follows(("ben", "ada")))) == {}


def test_category_fit_is_the_cosine_between_what_the_two_take_up() -> None:
    orders = bought(
        ada={"x": 1, "x2": 1, "y": 1}, ben={"x": 2, "z": 2, "no category": 2}, cat={"z": 3}, dan={"x": 1, "y": 2}
    )
    items: list[dict[str, str | None]] = [{"item_id": item, "category": item[0]} for item in ("x", "x2", "y", "z")]
    items.append({"item_id": "no category", "category": None})
    ties = follows(("ben", "ada"), ("cat", "ada"), ("dan", "dan2"))
    assert by_tie(category_fit, small(orders=orders, items=items, ties=ties)) == {
        ("ben", "ada"): {"category_fit": pytest.approx(2 / (2**0.5 * 5**0.5))}
    }


def test_d17_strength_adds_up_what_speaks_for_a_tie() -> None:
    orders = bought(ada={"x": 30, "y": 39}, ben={"x": 30.1, "z": 1})
    ties = follows(("ben", "ada"), ("ada", "ben"), ("cat", "ada"))
    found = tied(small(orders=orders, ties=ties))
    # ben followed ada to x 9.9 days ago, 2.4 hours after her, and there are two buyers of x.
    followed = 4 * math.exp(-0.99)
    assert found["ben", "ada"]["strength"] == pytest.approx(
        1 + log(1 + followed) + log(1 + 1) + log(1 + 1 / log(3)) + 0.5, abs=1e-6
    )
    assert found["cat", "ada"]["strength"] == 1.0


def test_d19_a_strong_tie_and_something_open_to_follow_multiply() -> None:
    orders = bought(ada={"x": 30, "y": 38, "z": 39}, ben={"x": 31})
    found = tied(small(orders=orders, ties=follows(("ben", "ada"), ("cat", "ada"), ("ada", "ben"))))
    assert found["ben", "ada"]["open_subjects"] == found["cat", "ada"]["open_subjects"] == 2
    for row in found.values():
        assert row["strength_x_open"] == row["strength"] * row["open_subjects"]
    assert found["ben", "ada"]["strength_x_open"] > found["cat", "ada"]["strength_x_open"] == 2.0
    assert found["ada", "ben"]["strength_x_open"] == 0.0


def test_without_ties_the_ledger_tells_who_knows_whom() -> None:
    responses = [{"sharer_id": "ada", "responder_id": "ben", "item_id": "x", "responded_at": day(30)}]
    tables = small(share_responses=responses)
    found = tied(tables)
    assert set(found) == {("ben", "ada")}
    assert found["ben", "ada"]["follows_all"] == 1_000_000
    assert found["ben", "ada"]["returned_all"] == 0
    assert found["ben", "ada"]["strength"] == pytest.approx(1 + log(1 + 4 * math.exp(-1)), abs=1e-6)
    assert "tied" not in found["ben", "ada"]


def test_a_pair_that_only_the_ledger_knows_is_a_row_that_is_not_tied() -> None:
    orders = [*bought(ada={"x": 38}), {"user_id": "ben", "item_id": "x", "referrer_id": "ada", "ordered_at": day(39)}]
    found = tied(small(orders=orders, ties=follows(("cat", "ada"))))
    assert {ends: row["tied"] for ends, row in found.items()} == {("ben", "ada"): 0, ("cat", "ada"): 1}
    assert found["ben", "ada"]["follows_all"] == 1_000_000
    assert found["ben", "ada"]["open_subjects"] == 0


def test_nobody_knows_anybody_where_neither_ties_nor_influence_are_known() -> None:
    built = build_user_table(prepared(small(orders=bought(ada={"x": 38}))))
    assert [shared_engine().to_arrow(part).num_rows for part in built.ties] == [0]
    assert "strength" in built.tie_columns


def test_history_begins_at_the_lookback() -> None:
    orders = bought(ada=[("x", 10), ("y", 20), ("y", 32)], ben=[("x", 11), ("y", 20.1), ("y", 33)])
    ties = follows(("ben", "ada"))

    def found(lookback: timedelta | None) -> dict[str, Any]:
        return tied(world(engine=shared_engine(), orders=orders, ties=ties, settings={"lookback": lookback}))["ben", "ada"]

    whole, late = found(None), found(timedelta(days=10))
    assert (whole["shared"], whole["joint"], whole["follows_all"]) == (2, 1, 2_000_000)
    assert (late["shared"], late["joint"], late["follows_all"], late["tied"]) == (1, 0, 0, 1)
    assert late["shared_10d"] == 1  # the first time that anybody can know of


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return prepared(full_world(shared_engine()))


@pytest.mark.parametrize("block", TIE_BLOCKS, ids=lambda block: block.name)
def test_a_block_gives_a_row_for_a_tie_and_the_columns_that_it_lists(block: Block, snapshot: Snapshot) -> None:
    rows = shared_engine().to_arrow(block.build(snapshot))
    types = {c: pa.type_for_alias(f.dtype) for f in block.features for c in f.columns(snapshot.windows)}
    listed = {field.name: field.type for field in rows.schema if field.name not in ENDS}
    assert {name: listed[name] for name in types} == types
    assert len({(row["user_id"], row["influencer_id"]) for row in rows.select(ENDS).to_pylist()}) == rows.num_rows > 0
    for feature in block.features:
        for column in feature.columns(snapshot.windows):
            seen = rows[column].to_pylist()
            assert feature.dtype == "float64" or None not in seen, column
            assert all(value is None or (math.isfinite(value) and value >= 0) for value in seen), column
            assert "0 to 1" not in feature.meaning or all(value is None or value <= 1 for value in seen), column
            assert "> 0" not in feature.meaning or all(value is None or value > 0 for value in seen), column


def test_every_tie_of_the_full_world_has_a_strength() -> None:
    found = tied(full_world(shared_engine()))
    strengths = [row["strength"] for row in found.values()]
    assert all(math.isfinite(strength) and strength >= 1 for strength in strengths)
    assert len(set(strengths)) > len(strengths) / 2
    sources = {(row["user_id"], row["influencer_id"]) for row in full_rows()["ties"]}
    assert ("u01", "nobody-knows") in sources & set(found)
    assert not any(user == influencer for user, influencer in found)
    assert {ends for ends, row in found.items() if not row["tied"]}


def test_columns_are_those_of_the_dictionary_in_its_order(snapshot: Snapshot) -> None:
    table = build_tie_table(snapshot)
    listed = [column for feature in tie_features(snapshot) for column in feature.columns(snapshot.windows)]
    assert [*ENDS, *listed] == list(table.columns)
    types = {column: f.dtype for f in tie_features(snapshot) for column in f.columns(snapshot.windows)}
    assert {column: str(table[column].type()) for column in listed} == types


def test_the_date_itself_is_not_known() -> None:
    assert day(40) == AS_OF
    orders = bought(ada={"x": 38}, ben={"x": 40})
    assert tied(small(orders=orders, ties=follows(("ben", "ada"))))["ben", "ada"]["shared"] == 0
