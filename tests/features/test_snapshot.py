from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine import DuckDB
from features.schema import TABLES, TableSpec
from features.snapshot import Snapshot, latest_attributes, take_snapshot
from tests.features.random_world import AS_OF, Row, as_tables, known, random_rows
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)
MICROSECOND = timedelta(microseconds=1)
DATE = day(10)


def snapshot(as_of: datetime = DATE, *, people_as_of: datetime | None = None, **tables: Any) -> Snapshot:
    return take_snapshot(world(engine=ENGINE, **({"orders": []} | tables)), as_of, people_as_of=people_as_of)


def column(taken: Snapshot, table: str, name: str) -> list[Any]:
    return sorted(ENGINE.to_arrow(taken[table])[name].to_pylist(), key=str)


# --- the cut


@pytest.mark.parametrize(
    ("ordered_at", "recorded_at", "seen"),
    [
        (day(10) - MICROSECOND, None, True),
        (day(10), None, False),
        (day(1), day(10) - MICROSECOND, True),
        (day(1), day(10), False),
        (day(10), day(1), False),
    ],
)
def test_a_row_is_known_when_both_clocks_are_before_the_date(
    ordered_at: datetime, recorded_at: datetime | None, seen: bool
) -> None:
    taken = snapshot(orders=[{"user_id": "ada", "ordered_at": ordered_at, "recorded_at": recorded_at}])
    assert column(taken, "orders", "user_id") == (["ada"] if seen else [])


def test_an_event_without_a_time_is_unknown_but_a_tie_without_one_was_always_there() -> None:
    orders = [{"user_id": "ada", "ordered_at": None}, {"user_id": "ben", "ordered_at": day(1)}]
    ties = [{"user_id": "ada", "influencer_id": who, "since": since} for who, since in (("ben", None), ("cat", day(10)))]
    taken = snapshot(orders=orders, ties=ties)
    assert column(taken, "orders", "user_id") == ["ben"]
    assert column(taken, "ties", "influencer_id") == ["ben"]


def test_tables_without_a_clock_are_whole() -> None:
    assert column(snapshot(items=[{"item_id": "tea"}, {"item_id": "jam"}]), "items", "item_id") == ["jam", "tea"]


# --- what was known later than its row


@pytest.mark.parametrize(("refunded_at", "seen"), [(day(9), 50), (day(10), None), (None, None)])
def test_a_refund_is_blank_until_it_happened(refunded_at: datetime | None, seen: int | None) -> None:
    order = {"user_id": "ada", "ordered_at": day(1), "amount": 90, "refund_amount": 50, "refunded_at": refunded_at}
    taken = snapshot(orders=[order])
    assert column(taken, "orders", "refund_amount") == [seen]
    assert column(taken, "orders", "refunded_at") == [refunded_at if seen else None]
    assert column(taken, "orders", "amount") == [90]


def test_a_refund_whose_source_gives_no_time_is_never_known() -> None:
    taken = snapshot(orders=[{"user_id": "ada", "ordered_at": day(1), "refund_amount": 50}])
    assert column(taken, "orders", "refund_amount") == [None]


@pytest.mark.parametrize(
    ("closed_at", "deadline", "seen"),
    [
        (day(9), day(20), True),  # filled before its deadline
        (day(10), day(5), None),  # a closing time, where there is one, beats the deadline
        (None, day(9), True),
        (None, day(10), None),
        (None, None, None),
    ],
)
def test_success_is_blank_until_the_group_buy_closed(
    closed_at: datetime | None, deadline: datetime | None, seen: bool | None
) -> None:
    group = {
        "group_buy_id": "g",
        "initiator_id": "ada",
        "opened_at": day(1),
        "succeeded": True,
        "closed_at": closed_at,
        "deadline": deadline,
    }
    taken = snapshot(group_buys=[group])
    assert column(taken, "group_buys", "succeeded") == [seen]
    assert column(taken, "group_buys", "deadline") == [deadline]


def test_leaving_and_outcomes_are_blank_until_they_happened() -> None:
    joined = {"community_id": "c", "joined_at": day(1)}
    contact = {"campaign_id": "c", "contacted_at": day(1), "outcome": "bought"}
    taken = snapshot(
        memberships=[{**joined, "user_id": "ada", "left_at": day(9)}, {**joined, "user_id": "ben", "left_at": day(10)}],
        outreach=[{**contact, "user_id": "ada", "outcome_at": day(9)}, {**contact, "user_id": "ben", "outcome_at": day(10)}],
    )
    assert column(taken, "memberships", "left_at") == [day(9), None]
    assert column(taken, "outreach", "outcome") == [None, "bought"]
    assert column(taken, "outreach", "outcome_at") == [day(9), None]


def expected_rows(spec: TableSpec, rows: list[Row]) -> list[str]:
    """The rows of a table at ``AS_OF``, worked out row by row."""
    kept = []
    for row in rows:
        if known(spec, row, AS_OF) and (row.get(spec.event_time or "", 0) is not None or spec.timeless):
            blank = {}
            for late in (column for column in spec.columns if column.revealed_by):
                times = [row[revealer] for revealer in late.revealed_by if row[revealer] is not None]
                if not times or times[0] >= AS_OF:
                    blank[late.name] = None
            kept.append(str(row | blank))
    return sorted(kept)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, deadline=None)
def test_every_table_of_a_random_world(seed: int) -> None:
    rows = random_rows(seed)
    del rows["identities"]
    taken = take_snapshot(as_tables(rows, ENGINE), AS_OF)
    for name, table in rows.items():
        assert sorted(str(row) for row in ENGINE.to_arrow(taken[name]).to_pylist()) == expected_rows(TABLES[name], table), (
            name
        )


# --- people


IDENTITIES = [
    {"user_id": "ada", "kind": "phone", "value": "1", "valid_from": day(1)},
    {"user_id": "zoe", "kind": "phone", "value": "1", "valid_from": day(12)},
]
ORDERS = [{"user_id": who, "referrer_id": by, "ordered_at": day(2)} for who, by in (("zoe", "ben"), ("ben", "zoe"))]


def test_accounts_merge_from_when_their_identities_are_known() -> None:
    before, after = (snapshot(day(at), orders=ORDERS, identities=IDENTITIES) for at in (12, 12.1))
    assert column(before, "orders", "user_id") == ["ben", "zoe"]
    assert column(after, "orders", "user_id") == ["ada", "ben"]
    assert column(after, "orders", "referrer_id") == ["ada", "ben"]


def test_people_can_stay_as_they_were_known_at_an_earlier_date() -> None:
    taken = snapshot(day(20), orders=ORDERS, identities=IDENTITIES, people_as_of=day(12))
    assert column(taken, "orders", "user_id") == ["ben", "zoe"]
    assert column(taken, "identities", "user_id") == ["ada", "zoe"]


def test_an_identity_recorded_later_merges_later() -> None:
    late = [identity | {"valid_from": None, "recorded_at": day(10)} for identity in IDENTITIES]
    assert column(snapshot(orders=ORDERS, identities=late), "orders", "user_id") == ["ben", "zoe"]
    assert column(snapshot(day(10.1), orders=ORDERS, identities=late), "orders", "user_id") == ["ada", "ben"]


# --- attributes


def attributes(taken: Snapshot) -> dict[tuple[str, str], str]:
    rows = ENGINE.to_arrow(latest_attributes(taken)).to_pylist()
    assert len({(row["user_id"], row["name"]) for row in rows}) == len(rows)
    return {(row["user_id"], row["name"]): row["value"] for row in rows}


def test_attributes_are_read_as_of_the_date() -> None:
    rows = [
        {"user_id": "ada", "name": "tier", "value": "silver", "valid_from": day(1)},
        {"user_id": "ada", "name": "tier", "value": "gold", "valid_from": day(5)},
        {"user_id": "ada", "name": "tier", "value": "black", "valid_from": day(10)},
        {"user_id": "ada", "name": "region", "value": "Hangzhou", "valid_from": day(1)},
        {"user_id": "ben", "name": "region", "value": "Shanghai", "valid_from": day(11)},
    ]
    assert attributes(snapshot(attributes=rows)) == {("ada", "tier"): "gold", ("ada", "region"): "Hangzhou"}


def test_of_two_values_with_one_time_the_largest_holds_also_between_merged_accounts() -> None:
    rows = [
        {"user_id": who, "name": "tier", "value": value, "valid_from": at}
        for who, value, at in (("ada", "gold", day(3)), ("zoe", "silver", day(3)), ("zoe", "zinc", day(2)))
    ]
    taken = snapshot(day(20), attributes=rows, identities=IDENTITIES)
    assert attributes(taken) == {("ada", "tier"): "silver"}


# --- what blocks ask of a snapshot


def test_windows_are_named_by_their_days_and_end_at_the_date() -> None:
    taken = snapshot(horizon=timedelta(days=9))
    assert taken.windows == {"3d": day(7), "9d": day(1), "18d": day(-8)}


def test_a_table_is_there_with_the_columns_that_its_source_gives() -> None:
    taken = snapshot(orders=[{"user_id": "ada", "ordered_at": day(1)}])
    assert taken.has("orders")
    assert taken.has("orders", "user_id")
    assert not taken.has("orders", "item_id")
    assert not taken.has("ties")
    derived = taken.with_tables(acts=taken["orders"])
    assert derived.has("acts")
    assert "acts" in derived
    assert "acts" not in taken


def test_days_before_the_date() -> None:
    taken = snapshot(orders=[{"user_id": "ada", "ordered_at": day(8.5)}])
    orders = taken["orders"]
    days = ENGINE.to_arrow(orders.select(days=taken.days_before(orders.ordered_at)))["days"].to_pylist()
    assert days == [1.5]
