from typing import Any

import pytest

from features.engine import DuckDB
from features.prepare import ledger_alone, prepare, with_ledger
from features.snapshot import Snapshot, take_snapshot
from tests.features.random_world import AS_OF, as_tables, random_rows
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)


def prepared(**tables: Any) -> Snapshot:
    return prepare(take_snapshot(world(engine=ENGINE, **tables), day(50)))


def rows(snapshot: Snapshot, table: str, *by: str) -> list[dict[str, Any]]:
    found = ENGINE.to_arrow(snapshot[table]).to_pylist()
    return sorted(found, key=lambda row: [row[column] for column in by])


def test_acts_are_everything_that_users_did() -> None:
    snapshot = prepared(
        orders=[
            {"user_id": "order", "ordered_at": day(1)},
            {"user_id": None, "referrer_id": "referred", "ordered_at": day(1)},
        ],
        shares=[{"share_id": "s", "sharer_id": "share", "shared_at": day(2)}],
        share_responses=[
            {"sharer_id": "shown by a response", "responder_id": "respond", "responded_at": day(3)},
            {"sharer_id": None, "responder_id": "respond", "responded_at": day(4)},
        ],
        group_buys=[{"group_buy_id": "g", "initiator_id": "open", "opened_at": day(5)}],
        group_buy_members=[{"group_buy_id": "g", "user_id": "join", "joined_at": day(6)}],
        memberships=[{"user_id": "enter", "community_id": "c", "inviter_id": "invited", "joined_at": day(7)}],
        engagements=[{"user_id": "engage", "kind": "like", "happened_at": day(8)}],
        rewards=[{"user_id": "did not act", "granted_at": day(9)}],
        outreach=[{"campaign_id": "c", "user_id": "did not act", "contacted_at": day(9)}],
        ties=[{"user_id": "did not act", "influencer_id": "order"}],
    )
    assert [(row["user_id"], row["happened_at"]) for row in rows(snapshot, "acts", "happened_at", "user_id")] == [
        ("order", day(1)),
        ("referred", day(1)),
        ("share", day(2)),
        ("respond", day(3)),
        ("shown by a response", day(3)),
        ("respond", day(4)),
        ("open", day(5)),
        ("join", day(6)),
        ("enter", day(7)),
        ("invited", day(7)),
        ("engage", day(8)),
    ]


def test_engagements_of_one_kind_and_local_day_are_one_act_at_the_first_of_them() -> None:
    said = [
        ("ben", "message", 8.5),
        ("ben", "message", 8.1),
        ("ben", "like", 8.2),
        ("ben", "message", 9.5),
        ("cat", "message", 8.3),
    ]
    rows_ = [{"user_id": user, "kind": kind, "happened_at": day(at)} for user, kind, at in said]
    found = rows(prepared(engagements=rows_, orders=[]), "acts", "happened_at")
    assert [(row["user_id"], row["happened_at"]) for row in found] == [
        ("ben", day(8.1)),
        ("ben", day(8.2)),
        ("cat", day(8.3)),
        ("ben", day(9.5)),
    ]


def test_pairs_are_distinct_ties_of_two_people_since_the_first() -> None:
    ties = [
        {"user_id": "ben", "influencer_id": "ada", "kind": "friend", "since": day(5)},
        {"user_id": "ben", "influencer_id": "ada", "kind": "follow", "since": day(3)},
        {"user_id": "ada", "influencer_id": "ben", "kind": "follow", "since": day(4)},
        {"user_id": "ben", "influencer_id": "cat", "kind": "friend", "since": day(4)},
        {"user_id": "ben", "influencer_id": "cat", "kind": "trust", "since": None},
        {"user_id": "ben", "influencer_id": "ben", "kind": "friend", "since": day(1)},
    ]
    found = rows(prepared(orders=[], ties=ties), "pairs", "user_id", "influencer_id")
    assert [(row["user_id"], row["influencer_id"], row["since"]) for row in found] == [
        ("ada", "ben", day(4)),
        ("ben", "ada", day(3)),
        ("ben", "cat", day(-19_723)),  # 1970: always known
    ]


def test_purchases_are_what_one_person_bought_of_one_subject_at_once() -> None:
    orders = [
        {
            "user_id": "ada",
            "item_id": "red",
            "ordered_at": day(1),
            "amount": 100,
            "refund_amount": 30,
            "refunded_at": day(2),
        },
        {
            "user_id": "ada",
            "item_id": "blue",
            "ordered_at": day(1),
            "amount": 50,
            "refund_amount": 80,
            "refunded_at": day(2),
        },
        {"user_id": "ada", "item_id": "blue", "ordered_at": day(1), "amount": None},
        {"user_id": "ada", "item_id": "red", "ordered_at": day(3), "amount": 7},
        {"user_id": "ada", "item_id": "tea", "ordered_at": day(1), "amount": 9},
        {"user_id": "ada", "item_id": None, "ordered_at": day(1), "amount": 5},
        {"user_id": "ada", "item_id": None, "ordered_at": day(1), "amount": 6},
    ]
    items = [{"item_id": item, "spu_id": "shirt"} for item in ("red", "blue")] + [{"item_id": "tea", "spu_id": None}]
    found = rows(prepared(orders=orders, items=items, credit="spu"), "purchases", "ordered_at", "subject")
    assert [(row["subject"], row["ordered_at"], row["item_id"], row["amount"], row["lines"]) for row in found] == [
        ("", day(1), None, 11, 2),
        # A refund above the amount leaves nothing, and takes nothing from the other line.
        ("shirt", day(1), "blue", 70, 3),
        ("tea", day(1), "tea", 9, 1),
        ("shirt", day(3), "red", 7, 1),
    ]


def test_adoptions_are_first_purchases() -> None:
    orders = [
        {"user_id": "ada", "item_id": "tea", "ordered_at": day(4), "amount": 40},
        {"user_id": "ada", "item_id": "tea", "ordered_at": day(2), "amount": 20},
        {"user_id": "ada", "item_id": "tea", "ordered_at": day(2), "amount": 2},
        {"user_id": "ada", "item_id": None, "ordered_at": day(1), "amount": 1},
    ]
    assert rows(prepared(orders=orders), "adoptions") == [
        {
            "user_id": "ada",
            "subject": "tea",
            "item_id": "tea",
            "first_at": day(2),
            "last_at": day(4),
            "times": 3,
            "first_amount": 22,
        }
    ]


def test_shared_adoptions_are_what_both_ends_of_a_tie_bought() -> None:
    orders = [
        {"user_id": "ada", "item_id": "tea", "ordered_at": day(4)},
        {"user_id": "ben", "item_id": "tea", "ordered_at": day(2)},
        {"user_id": "ben", "item_id": "jam", "ordered_at": day(2)},
    ]
    snapshot = prepared(orders=orders, ties=[{"user_id": "ben", "influencer_id": "ada", "since": day(1)}])
    assert rows(snapshot, "shared") == [
        {
            "user_id": "ben",
            "influencer_id": "ada",
            "since": day(1),
            "subject": "tea",
            "led_at": day(4),
            "item_id": "tea",
            "first_at": day(2),
            "first_amount": 0,
        }
    ]


def test_only_what_the_sources_allow_is_derived() -> None:
    responses = [{"sharer_id": "ada", "responder_id": "ben", "responded_at": day(1)}]
    assert set(prepared(share_responses=responses).known) == {"share_responses", "acts", "suspects", "ledger"}
    without_items = [{"user_id": "ada", "ordered_at": day(1)}]
    assert set(prepared(orders=without_items).known) == {"orders", "acts", "purchases", "ledger"}


def test_merged_sources_are_computed_once_and_given_back_for_the_lazy_ones() -> None:
    orders = [{"user_id": "zoe", "ordered_at": day(1)}, {"user_id": "ada", "ordered_at": day(2)}]
    identities = [{"user_id": user, "kind": "phone", "value": "1", "valid_from": day(0)} for user in ("ada", "zoe")]
    source = world(engine=ENGINE, orders=orders, identities=identities)
    taken = take_snapshot(source, day(50))
    snapshot = prepare(taken)
    assert {*snapshot.held} == {"orders"}
    assert snapshot["orders"] is not taken["orders"]
    assert [row["user_id"] for row in rows(snapshot, "orders", "ordered_at")] == ["ada", "ada"]
    left = ledger_alone(snapshot)
    assert left["orders"] is taken["orders"]
    assert not left.held
    with pytest.raises(Exception, match="does not exist"):
        rows(snapshot, "orders", "ordered_at")
    # Without merged accounts there is nothing to compute, and a copy would be a waste.
    assert not prepare(take_snapshot(world(engine=ENGINE, orders=orders), day(50))).held


def test_what_is_computed_once_is_what_each_reader_would_compute() -> None:
    taken = take_snapshot(as_tables(random_rows(5), ENGINE), AS_OF)
    lazy, held = with_ledger(taken), with_ledger(taken, hold=True)
    assert {*held.held} >= {"orders", "ties", "share_responses", "memberships"}
    for name in (*held.held, "acts", "pairs", "ledger"):
        one, other = (ENGINE.to_arrow(each[name]).to_pylist() for each in (lazy, held))
        assert sorted(map(repr, one)) == sorted(map(repr, other)), name
