"""Each rule of DESIGN.md by hand, and the whole ledger against a slow reference on random worlds."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import take_snapshot
from tests.features.random_world import random_rows
from tests.features.reference_ledger import reference_ledger
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)
END = day(100)
FRIENDS = [{"user_id": "ben", "influencer_id": "ada"}, {"user_id": "ben", "influencer_id": "cat"}]
Row = dict[str, Any]


def ledger(*, as_of: datetime = END, **tables: Any) -> list[Row]:
    """The ledger's rows at ``as_of``, sorted by moment, influencer, influenced and subject."""
    built = world(engine=ENGINE, **tables)
    rows = ENGINE.to_arrow(prepare(take_snapshot(built, as_of))["ledger"]).to_pylist()
    return in_order(rows)


def in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: [row[c] for c in ("happened_at", "influencer_id", "influenced_id", "subject")])


def brief(rows: list[Row], *columns: str) -> list[tuple[Any, ...]]:
    return [tuple(row[column] for column in ("influencer_id", "influenced_id", *columns)) for row in rows]


def order(user: str, item: str | None, at: float, **more: Any) -> Row:
    return {"user_id": user, "item_id": item, "ordered_at": day(at), **more}


# --- implicit evidence


def test_a_follow_up_is_credited_to_the_tie_that_bought_first() -> None:
    rows = ledger(orders=[order("ada", "tea", 1), order("ben", "tea", 2, amount=900)], ties=FRIENDS)
    assert rows == [
        {
            "influencer_id": "ada",
            "influenced_id": "ben",
            "subject": "tea",
            "item_id": "tea",
            "category": None,
            "happened_at": day(2),
            "weight": 1_000_000,
            "value": 900,
            "is_new": True,
            "evidence": "tie",
        }
    ]


def test_credit_is_split_equally_among_the_ties_that_qualify() -> None:
    orders = [
        order("ada", "tea", 1),
        order("cat", "tea", 1.5),
        order("dan", "tea", 1.5),
        order("ben", "tea", 2, amount=1000),
    ]
    ties = [*FRIENDS, {"user_id": "ben", "influencer_id": "dan"}]
    rows = ledger(orders=orders, ties=ties)
    assert brief(rows, "weight", "value") == [(who, "ben", 333_333, 333) for who in ("ada", "cat", "dan")]


@pytest.mark.parametrize(
    ("seconds_after", "credited"),
    [(6 * 3600, False), (6 * 3600 + 0.000_001, True), (5 * 86_400, True), (5 * 86_400 + 0.000_001, False), (-3600, False)],
)
def test_min_gap_is_exclusive_and_window_inclusive(seconds_after: float, credited: bool) -> None:
    # Fractions of a second on both sides: a comparison of whole seconds would be off by one.
    first = day(1) + timedelta(seconds=0.7)
    orders = [
        {"user_id": "ada", "item_id": "tea", "ordered_at": first},
        {"user_id": "ben", "item_id": "tea", "ordered_at": first + timedelta(seconds=seconds_after)},
    ]
    rows = ledger(orders=orders, ties=FRIENDS, min_gap=timedelta(hours=6), window=timedelta(days=5))
    assert bool(rows) is credited


def test_only_first_purchases_follow_and_lead() -> None:
    again = ledger(orders=[order("ben", "tea", 1), order("ada", "tea", 2), order("ben", "tea", 3)], ties=FRIENDS)
    assert again == []
    # Ada's second purchase lies within the window, her first one does not.
    old = ledger(orders=[order("ada", "tea", 1), order("ada", "tea", 9), order("ben", "tea", 10)], ties=FRIENDS)
    assert old == []


def test_several_kinds_of_tie_to_one_person_are_one() -> None:
    ties = [{"user_id": "ben", "influencer_id": "ada", "kind": kind} for kind in ("friend", "follow", "friend")]
    rows = ledger(orders=[order("ada", "tea", 1), order("ben", "tea", 2)], ties=ties)
    assert brief(rows, "weight") == [("ada", "ben", 1_000_000)]


@pytest.mark.parametrize(("since", "credited"), [(None, True), (day(1.9), True), (day(2), False)])
def test_a_tie_must_be_older_than_the_follow_up(since: datetime | None, credited: bool) -> None:
    ties = [{"user_id": "ben", "influencer_id": "ada", "since": since}]
    assert bool(ledger(orders=[order("ada", "tea", 1), order("ben", "tea", 2)], ties=ties)) is credited


def test_a_tie_known_earlier_by_another_kind_counts_from_then() -> None:
    ties = [
        {"user_id": "ben", "influencer_id": "ada", "kind": "follow", "since": day(3)},
        {"user_id": "ben", "influencer_id": "ada", "kind": "friend", "since": None},
    ]
    assert len(ledger(orders=[order("ada", "tea", 1), order("ben", "tea", 2)], ties=ties)) == 1


def test_mutual_ties_move_in_one_direction_and_self_ties_in_none() -> None:
    ties = [
        {"user_id": "ben", "influencer_id": "ada"},
        {"user_id": "ada", "influencer_id": "ben"},
        {"user_id": "ben", "influencer_id": "ben"},
    ]
    rows = ledger(orders=[order("ada", "tea", 1), order("ben", "tea", 2), order("ben", "tea", 3)], ties=ties)
    assert brief(rows) == [("ada", "ben")]


def test_orders_without_an_item_follow_nothing() -> None:
    assert ledger(orders=[order("ada", None, 1), order("ben", None, 2)], ties=FRIENDS) == []


def test_the_level_of_credit_says_what_repeats_another_purchase() -> None:
    orders = [order("ada", "red", 1), order("ben", "blue", 2), order("ben", "green", 3)]
    items = [
        {"item_id": "red", "spu_id": "shirt", "category": "clothes"},
        {"item_id": "blue", "spu_id": "shirt", "category": "clothes"},
        {"item_id": "green", "spu_id": None, "category": "clothes"},
    ]
    assert ledger(orders=orders, ties=FRIENDS, items=items, credit="item") == []
    by_spu = ledger(orders=orders, ties=FRIENDS, items=items, credit="spu")
    assert brief(by_spu, "subject", "item_id", "category") == [("ada", "ben", "shirt", "blue", "clothes")]
    by_category = ledger(orders=orders, ties=FRIENDS, items=items, credit="category")
    assert brief(by_category, "subject", "item_id") == [("ada", "ben", "clothes", "blue")]


def test_an_item_without_the_level_stands_for_itself() -> None:
    orders = [order("ada", "green", 1), order("ben", "green", 2)]
    items = [{"item_id": "green", "spu_id": None}, {"item_id": "red", "spu_id": "shirt"}]
    assert brief(ledger(orders=orders, ties=FRIENDS, items=items, credit="spu"), "subject") == [("ada", "ben", "green")]


# --- explicit evidence


def test_d09_explicit_evidence_beats_implicit() -> None:
    orders = [order("ada", "tea", 1), order("ben", "tea", 2, amount=500, referrer_id="cat")]
    rows = ledger(orders=orders, ties=FRIENDS)
    assert brief(rows, "evidence", "weight", "value") == [("cat", "ben", "referral", 1_000_000, 500)]


def test_several_referrers_of_one_purchase_share_it() -> None:
    lines = [order("ben", "tea", 2, amount=500, referrer_id=who) for who in ("ada", "cat", "cat", "ben", None)]
    rows = ledger(orders=lines)
    assert brief(rows, "weight", "value") == [("ada", "ben", 500_000, 1250), ("cat", "ben", 500_000, 1250)]


def test_one_person_is_moved_to_one_item_by_one_influencer_once() -> None:
    # Whatever the only kind of evidence is: later purchases bring their money, but no weight.
    orders = [order("ben", "tea", at, amount=100, referrer_id="ada") for at in (1, 2, 3)]
    assert brief(ledger(orders=orders), "weight", "value") == [
        ("ada", "ben", 1_000_000, 100),
        ("ada", "ben", 0, 100),
        ("ada", "ben", 0, 100),
    ]
    clicks = [{"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "responded_at": day(at)} for at in (1, 1, 2, 3)]
    assert brief(ledger(share_responses=clicks), "weight", "happened_at") == [("ada", "ben", 1_000_000, day(1))]


def test_a_referrer_without_items_is_credited_by_order() -> None:
    orders = [
        {"user_id": "ben", "ordered_at": day(2), "amount": 300, "referrer_id": "ada"},
        {"user_id": "ben", "ordered_at": day(3), "amount": 200, "referrer_id": None},
    ]
    rows = ledger(orders=orders)
    assert brief(rows, "subject", "item_id", "weight", "value") == [("ada", "ben", "", None, 1_000_000, 300)]


def test_a_refund_counts_from_when_it_is_known() -> None:
    refund = {"amount": 300, "refund_amount": 120, "refunded_at": day(5), "referrer_id": "ada"}
    assert [row["value"] for row in ledger(orders=[order("ben", "tea", 2, **refund)], as_of=day(5))] == [300]
    assert [row["value"] for row in ledger(orders=[order("ben", "tea", 2, **refund)], as_of=day(5.1))] == [180]


def test_a_response_is_credited_when_it_happens_and_earns_what_follows() -> None:
    shares = [{"share_id": "s", "sharer_id": "ada", "item_id": "tea", "shared_at": day(1)}]
    clicks = [{"share_id": "s", "responder_id": "ben", "action": "click", "responded_at": day(2)}]
    orders = [order("ben", "tea", at, amount=100) for at in (1, 2, 7, 7.1)]
    rows = ledger(shares=shares, share_responses=clicks, orders=orders, window=timedelta(days=5))
    assert brief(rows, "happened_at", "weight", "value", "evidence", "item_id") == [
        ("ada", "ben", day(2), 1_000_000, 100, "response", "tea"),
        ("ada", "ben", day(7), 0, 100, "response", "tea"),
    ]


@pytest.mark.parametrize("lag_days", [-1, 0])
def test_a_buy_response_and_its_order_are_one_event(lag_days: float) -> None:
    responses = [
        {"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": day(10)},
        {"sharer_id": "cat", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": day(10)},
    ]
    rows = ledger(share_responses=responses, orders=[order("ben", "tea", 10 + lag_days, amount=100)])
    assert brief(rows, "happened_at", "weight", "value", "evidence") == [
        ("ada", "ben", day(10 + lag_days), 500_000, 50, "buy"),
        ("cat", "ben", day(10 + lag_days), 500_000, 50, "buy"),
    ]


def test_a_buy_response_before_its_order_keeps_its_moment_and_the_order_brings_the_money() -> None:
    responses = [
        {"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": day(10)},
        {"sharer_id": "cat", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": day(10)},
    ]
    rows = ledger(share_responses=responses, orders=[order("ben", "tea", 11, amount=100)])
    assert brief(rows, "happened_at", "weight", "value", "evidence") == [
        ("ada", "ben", day(10), 500_000, 0, "buy"),
        ("cat", "ben", day(10), 500_000, 0, "buy"),
        ("ada", "ben", day(11), 0, 50, "buy"),
        ("cat", "ben", day(11), 0, 50, "buy"),
    ]


@pytest.mark.parametrize("lag", [timedelta(days=-1, microseconds=-1), timedelta(days=1, microseconds=1)])
def test_a_buy_response_far_from_any_order_is_an_event_of_its_own(lag: timedelta) -> None:
    at = day(10) + timedelta(seconds=0.5)
    responses = [{"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": at}]
    orders = [{"user_id": "ben", "item_id": "tea", "amount": 100, "ordered_at": at + lag}]
    rows = ledger(share_responses=responses, orders=orders)
    assert brief(rows, "happened_at", "weight", "value") == [("ada", "ben", at, 1_000_000, 0)]


def test_a_referrer_beats_a_buy_response_to_the_same_order() -> None:
    responses = [{"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "action": "buy", "responded_at": day(2)}]
    rows = ledger(share_responses=responses, orders=[order("ben", "tea", 2, amount=100, referrer_id="cat")])
    assert brief(rows, "weight", "value", "evidence") == [("cat", "ben", 1_000_000, 100, "referral")]


def test_a_click_beside_a_buy_response_still_earns_later_orders() -> None:
    actions = [
        {"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "action": action, "responded_at": day(2)}
        for action in ("click", "buy")
    ]
    rows = ledger(share_responses=actions, orders=[order("ben", "tea", 4, amount=100)])
    assert brief(rows, "happened_at", "weight", "value", "evidence") == [
        ("ada", "ben", day(2), 1_000_000, 0, "buy"),
        ("ada", "ben", day(4), 0, 100, "response"),
    ]


def test_joining_a_group_buy_credits_its_opener() -> None:
    groups = [{"group_buy_id": "g", "initiator_id": "ada", "item_id": "tea", "opened_at": day(1)}]
    members = [{"group_buy_id": "g", "user_id": who, "joined_at": day(1.5)} for who in ("ada", "ben")]
    orders = [order(who, "tea", 2, amount=80) for who in ("ada", "ben")]
    rows = ledger(group_buys=groups, group_buy_members=members, orders=orders, ties=FRIENDS)
    assert brief(rows, "happened_at", "weight", "value", "evidence") == [
        ("ada", "ben", day(1.5), 1_000_000, 0, "group_buy"),
        ("ada", "ben", day(2), 0, 80, "group_buy"),
    ]


def test_an_invitation_credits_the_inviter() -> None:
    joined = [
        {"community_id": "club", "user_id": "ben", "inviter_id": "ada", "joined_at": day(1)},
        {"community_id": "club", "user_id": "ben", "inviter_id": "ada", "joined_at": day(4)},
        {"community_id": "club", "user_id": "cat", "inviter_id": None, "joined_at": day(1)},
        {"community_id": "club", "user_id": "dan", "inviter_id": "dan", "joined_at": day(1)},
        {"community_id": "other", "user_id": "ben", "inviter_id": "ada", "joined_at": day(5)},
    ]
    rows = ledger(memberships=joined, orders=[order("eve", "tea", 1)])
    assert brief(rows, "happened_at", "subject", "item_id", "weight", "evidence") == [
        ("ada", "ben", day(1), "community:club", None, 1_000_000, "invitation"),
        ("ada", "ben", day(5), "community:other", None, 1_000_000, "invitation"),
    ]


def test_a_response_without_a_sharer_credits_nobody() -> None:
    responses = [
        {"share_id": "unknown", "sharer_id": None, "responder_id": "ben", "responded_at": day(1)},
        {"share_id": None, "sharer_id": "ben", "responder_id": "ben", "responded_at": day(1)},
    ]
    assert ledger(share_responses=responses, shares=[{"share_id": "s", "sharer_id": "ada", "shared_at": day(1)}]) == []


def test_nothing_tells_who_moved_whom() -> None:
    assert ledger(orders=[order("ada", "tea", 1)]) == []


# --- is_new


def test_new_is_the_first_order_ever() -> None:
    orders = [order("ada", "tea", 1), order("ada", "jam", 1), order("ben", "jam", 2), order("ben", "tea", 3)]
    likes = [{"user_id": "ben", "kind": "like", "happened_at": day(0)}]
    assert brief(ledger(orders=orders, ties=FRIENDS, engagements=likes), "subject", "is_new") == [
        ("ada", "ben", "jam", True),
        ("ada", "ben", "tea", False),
    ]


def test_new_without_orders_is_the_first_act_of_any_kind() -> None:
    responses = [
        {"sharer_id": "ada", "responder_id": "ben", "item_id": "tea", "responded_at": day(3)},
        {"sharer_id": "ada", "responder_id": "cat", "item_id": "tea", "responded_at": day(3)},
    ]
    likes = [{"user_id": "cat", "kind": "like", "happened_at": day(1)}]
    rows = ledger(share_responses=responses, engagements=likes)
    assert brief(rows, "is_new") == [("ada", "ben", True), ("ada", "cat", False)]


# --- the whole ledger against the reference

AS_OF = day(8)
USERS, ITEMS, SHARES, GROUPS = ("u0", "u1", "u2", "u3"), ("i0", "i1", "i2"), ("s0", "s1", "s2"), ("g0", "g1")
# Quarters of a day meet each other, the gap, the window and the settlement exactly; some are a microsecond off.
moments = st.builds(
    lambda quarter, micro: day(quarter / 4) + timedelta(microseconds=micro),
    st.integers(0, 38),
    st.sampled_from((0, 0, 0, 0, 1, -1, 700_000)),
)
users, items = st.sampled_from(USERS), st.sampled_from(ITEMS)


def rows_of(size: int, **columns: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Row]]:
    rows = st.fixed_dictionaries(columns)
    # Lists of a bounded size are short on average; a drawn size is long as often as short.
    return st.integers(0, size).flatmap(lambda drawn: st.lists(rows, min_size=drawn, max_size=drawn))


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), values)


orders_with = rows_of(
    80,
    user_id=users,
    item_id=st.sampled_from((*ITEMS, *ITEMS, *ITEMS, None, "unlisted")),
    amount=st.sampled_from((None, 0, *range(1, 20))),
    refund_amount=maybe(st.integers(0, 60)),
    refunded_at=maybe(moments),
    referrer_id=st.sampled_from((None,) * 20 + USERS),
    ordered_at=moments,
    recorded_at=st.sampled_from((None, None, None, day(7), AS_OF)),
)
CROWD = tuple(f"u{number}" for number in range(8))
crowd = st.sampled_from(CROWD)
plain_orders = rows_of(120, user_id=crowd, item_id=items, amount=st.integers(0, 20), ordered_at=moments)
crowd_ties = rows_of(60, user_id=crowd, influencer_id=crowd, since=st.sampled_from((None, *map(day, range(1, 6)))))
items_with = st.lists(
    st.fixed_dictionaries(
        {"item_id": items, "spu_id": maybe(st.sampled_from(("p", "q"))), "category": maybe(st.sampled_from(("c", "d")))}
    ),
    unique_by=lambda row: row["item_id"],
)
ties_with = rows_of(
    20, user_id=users, influencer_id=users, kind=st.sampled_from(("friend", "follow")), since=maybe(moments)
).flatmap(
    # Undirected sources come as both directions.
    lambda rows: st.booleans().map(
        lambda both: rows + [{**r, "user_id": r["influencer_id"], "influencer_id": r["user_id"]} for r in rows if both]
    )
)
shares_with = st.lists(
    st.fixed_dictionaries(
        {"share_id": st.sampled_from(SHARES), "sharer_id": users, "item_id": maybe(items), "shared_at": moments}
    ),
    unique_by=lambda row: row["share_id"],
)
responses_with = rows_of(
    40,
    share_id=maybe(st.sampled_from((*SHARES, "lost"))),
    sharer_id=maybe(users),
    responder_id=users,
    item_id=maybe(items),
    action=st.sampled_from(("buy", "buy", "click", None)),
    responded_at=moments,
)
groups_with = st.lists(
    st.fixed_dictionaries(
        {"group_buy_id": st.sampled_from(GROUPS), "initiator_id": users, "item_id": maybe(items), "opened_at": moments}
    ),
    unique_by=lambda row: row["group_buy_id"],
)
members_with = rows_of(20, group_buy_id=st.sampled_from((*GROUPS, "lost")), user_id=users, joined_at=moments)
memberships_with = rows_of(
    10, community_id=st.sampled_from(("club", "team", None)), user_id=users, inviter_id=maybe(users), joined_at=moments
)
engagements_with = rows_of(3, user_id=users, kind=st.just("like"), happened_at=moments)

OPTIONAL = {
    "items": items_with,
    "ties": ties_with,
    "shares": shares_with,
    "share_responses": responses_with,
    "group_buys": groups_with,
    "group_buy_members": members_with,
    "memberships": memberships_with,
    "engagements": engagements_with,
}
DROPPABLE = (
    ("orders", "referrer_id"),
    ("orders", "item_id"),
    ("orders", "refunded_at"),
    ("items", "spu_id"),
    ("share_responses", "share_id"),
    ("share_responses", "sharer_id"),
    ("memberships", "inviter_id"),
)


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, list[Row]]:
    """Orders or responses or both, and any of the other tables; a column is dropped from its whole table."""
    left_out = draw(st.sets(st.sampled_from(("orders", *OPTIONAL)), max_size=3))
    if {"orders", "share_responses"} <= left_out:
        left_out -= {"orders"}
    tables = {name: draw(rows) for name, rows in (("orders", orders_with), *OPTIONAL.items()) if name not in left_out}
    dropped = draw(st.sets(st.sampled_from(DROPPABLE), max_size=2))
    return {
        name: [{column: value for column, value in row.items() if (name, column) not in dropped} for row in rows]
        for name, rows in tables.items()
    }


RULES = {
    "level": st.sampled_from(("item", "spu", "category")),
    "min_gap": st.sampled_from((timedelta(0), timedelta(hours=6))),
    "window": st.sampled_from((timedelta(days=1), timedelta(days=4))),
}


def assert_equals_the_reference(
    tables: dict[str, list[Row]], level: str, min_gap: timedelta, window: timedelta, as_of: datetime = AS_OF
) -> None:
    found = ledger(as_of=as_of, min_gap=min_gap, window=window, credit=level, **tables)
    assert found == in_order(reference_ledger(tables, as_of, window=window, min_gap=min_gap, level=level))


@given(tables=worlds(), **RULES)
@settings(max_examples=8, deadline=None)
def test_equals_the_reference(tables: dict[str, list[Row]], level: str, min_gap: timedelta, window: timedelta) -> None:
    assert_equals_the_reference(tables, level, min_gap, window)


@given(tables=st.fixed_dictionaries({"orders": plain_orders, "ties": crowd_ties, "items": items_with}), **RULES)
@settings(max_examples=8, deadline=None)
def test_ties_alone_equal_the_reference(
    tables: dict[str, list[Row]], level: str, min_gap: timedelta, window: timedelta
) -> None:
    assert_equals_the_reference(tables, level, min_gap, window)


@given(seed=st.integers(0, 2**32), **RULES)
@settings(max_examples=4, deadline=None)
def test_a_crowded_world_equals_the_reference(seed: int, level: str, min_gap: timedelta, window: timedelta) -> None:
    tables = random_rows(seed, users=10)
    del tables["identities"]
    for order_ in tables["orders"][20:]:
        order_["referrer_id"] = None  # or referrers would leave little to the other kinds of evidence
    assert_equals_the_reference(tables, level, min_gap, window, day(40))
