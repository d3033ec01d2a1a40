"""What a lookback leaves of a prepared snapshot."""

from datetime import timedelta

from features.lookback import since_lookback, within_lookback
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from tests.worlds import day, rows_of, world

ORDERS = [
    {"user_id": "a", "item_id": "x", "amount": 10, "ordered_at": day(1)},
    {"user_id": "b", "item_id": "x", "amount": 10, "ordered_at": day(2)},
    {"user_id": "b", "item_id": "y", "amount": 10, "ordered_at": day(3)},
    {"user_id": "a", "item_id": "x", "amount": 10, "ordered_at": day(30)},
    {"user_id": "b", "item_id": "x", "amount": 10, "ordered_at": day(31)},
    {"user_id": "a", "item_id": "z", "amount": 10, "ordered_at": day(30)},
    {"user_id": "b", "item_id": "z", "amount": 10, "ordered_at": day(32)},
]


def snapshot(lookback: timedelta | None) -> Snapshot:
    tables = world(
        orders=ORDERS,
        ties=[{"user_id": "b", "influencer_id": "a", "since": day(0)}],
        memberships=[{"user_id": "c", "community_id": "g", "joined_at": day(5)}],
        settings={"lookback": lookback},
    )
    return prepare(take_snapshot(tables, day(40)))


def test_without_a_lookback_nothing_changes() -> None:
    whole = snapshot(None)
    assert within_lookback(whole) is whole
    assert since_lookback(whole, whole["orders"], "ordered_at") is whole["orders"]


def test_history_begins_with_the_first_moment_of_the_lookback_and_what_lasts_stays() -> None:
    kept = within_lookback(snapshot(timedelta(days=10)))
    assert len(rows_of(kept.source, kept["orders"])) == 4
    assert len(rows_of(kept.source, kept["acts"])) == 4
    assert len(rows_of(kept.source, kept["purchases"])) == 4
    adopted = rows_of(kept.source, kept["adoptions"], "user_id", "subject")
    assert adopted[["user_id", "subject", "times"]].to_numpy().tolist() == [
        ["a", "x", 1],
        ["a", "z", 1],
        ["b", "x", 1],
        ["b", "z", 1],
    ]
    assert len(rows_of(kept.source, kept["shared"])) == 2
    assert len(rows_of(kept.source, kept["ties"])) == len(rows_of(kept.source, kept["memberships"])) == 1


def test_an_engagement_counts_also_where_the_first_of_its_day_lies_before_the_lookback() -> None:
    moments = (day(30) - timedelta(hours=1), day(30) + timedelta(hours=1), day(30) + timedelta(hours=2))
    said = [{"user_id": "a", "kind": "message", "happened_at": at + timedelta(hours=6)} for at in moments]
    tables = world(orders=[], engagements=said, settings={"lookback": timedelta(days=9, hours=18)})
    kept = within_lookback(prepare(take_snapshot(tables, day(40))))
    assert rows_of(kept.source, kept["acts"])["happened_at"].tolist() == [day(30) + timedelta(hours=7)]


def test_the_ledger_is_attributed_with_all_history() -> None:
    # b followed a to x on day 2; on day 31 b knew x, so that only z counts as a follow-up.
    kept = within_lookback(snapshot(timedelta(days=10)))
    assert rows_of(kept.source, kept["ledger"])[["subject", "is_new"]].to_numpy().tolist() == [["z", False]]
    whole = snapshot(None)
    assert sorted(rows_of(whole.source, whole["ledger"])["subject"]) == ["x", "z"]
