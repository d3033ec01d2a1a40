from datetime import datetime, timedelta
from typing import Any

import pytest

from features.engine import DuckDB
from features.errors import ImmatureLabelError
from features.labels import churn_population, influence_labels, require_mature, stayed
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.tables import Tables
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)
UNTIL = day(60)
MICROSECOND = timedelta(microseconds=1)


def built(**tables: Any) -> Tables:
    return world(engine=ENGINE, until=UNTIL, **tables)


def view(tables: Tables, *, at: datetime = UNTIL, people_as_of: datetime | None = None) -> Snapshot:
    return prepare(take_snapshot(tables, at, people_as_of=people_as_of))


def labels(snapshot: Snapshot, as_of: datetime) -> dict[str, dict[str, Any]]:
    """user -> label columns."""
    rows = ENGINE.to_arrow(influence_labels(snapshot, as_of)).to_pylist()
    return {row.pop("user_id"): row for row in rows}


def users(table: Any) -> list[str]:
    return sorted(ENGINE.to_arrow(table)["user_id"].to_pylist())


def referral(influencer: str, influenced: str, item: str, at: datetime, amount: int = 0) -> dict[str, Any]:
    return {"user_id": influenced, "item_id": item, "ordered_at": at, "amount": amount, "referrer_id": influencer}


def test_a_label_sums_what_was_moved_within_the_horizon() -> None:
    orders = [
        referral("ada", "ben", "tea", day(20), 100),  # Ben's first order, moved by Ada alone
        referral("ada", "ben", "jam", day(21), 50),
        referral("ada", "cat", "jam", day(22), 40),
        referral("dan", "cat", "jam", day(22), 0),  # half of Cat's jam, at the same moment
        referral("ada", "ben", "tea", day(25), 7),  # money only
    ]
    assert labels(view(built(orders=orders)), day(20)) == {
        "ada": {"influence": 2.5, "influence_value": 177, "influence_new": 1.5, "people_moved": 2},
        "dan": {"influence": 0.5, "influence_value": 20, "influence_new": 0.5, "people_moved": 1},
    }


@pytest.mark.parametrize(
    ("moment", "inside"),
    [(day(20) - MICROSECOND, False), (day(20), True), (day(30) - MICROSECOND, True), (day(30), False)],
)
def test_windows_are_half_open(moment: datetime, inside: bool) -> None:
    snapshot = view(built(orders=[referral("ada", "ben", "tea", moment)]))
    assert bool(labels(snapshot, day(20))) is inside
    assert users(stayed(snapshot, day(20))) == (["ben"] if inside else [])


def test_what_was_credited_before_the_window_is_not_credited_again() -> None:
    orders = [referral("ada", "ben", "tea", day(15), 5), referral("ada", "ben", "tea", day(25), 30)]
    assert labels(view(built(orders=orders)), day(20)) == {
        "ada": {"influence": 0.0, "influence_value": 30, "influence_new": 0.0, "people_moved": 0}
    }


def test_a_window_that_the_data_does_not_close_is_refused() -> None:
    tables = built(orders=[referral("ada", "ben", "tea", day(1))])
    require_mature(tables, day(50))
    message = (
        r"the label window of 2024-02-20 00:00 ends 2024-03-01 00:00, but only what happened before 2024-03-01 00:00 is "
        r"known; choose a date up to 2024-02-20 00:00, or a shorter horizon"
    )
    with pytest.raises(ImmatureLabelError, match=message):
        require_mature(tables, day(50) + MICROSECOND)


def test_a_window_that_a_training_date_cannot_know_yet_is_refused() -> None:
    tables = built(orders=[referral("ada", "ben", "tea", day(1))])
    require_mature(tables, day(20), day(30))
    with pytest.raises(ImmatureLabelError, match="before 2024-01-30 00:00 is known; choose a date up to 2024-01-20 00:00"):
        require_mature(tables, day(20), day(29))
    # Somebody who claims to know the future knows no more than the data.
    with pytest.raises(ImmatureLabelError):
        require_mature(tables, day(55), day(99))
    early = view(tables, at=day(29))
    for label in (influence_labels, stayed):
        with pytest.raises(ImmatureLabelError):
            label(early, day(20))


def test_the_churn_population_ordered_within_two_horizons() -> None:
    moments = {"old": day(20) - MICROSECOND, "first": day(20), "last": day(40) - MICROSECOND, "future": day(40)}
    tables = built(orders=[{"user_id": user, "ordered_at": moment} for user, moment in moments.items()])
    assert users(churn_population(take_snapshot(tables, day(40)))) == ["first", "last"]


def test_late_records_count_for_the_label_when_they_are_known() -> None:
    order = {"user_id": "ben", "ordered_at": day(25), "recorded_at": day(35)}
    tables = built(orders=[order])
    assert users(stayed(view(tables, at=day(30)), day(20))) == []
    assert users(stayed(view(tables, at=day(40)), day(20))) == ["ben"]


def test_people_merged_later_are_still_the_accounts_known_at_the_date() -> None:
    identities = [
        {"user_id": "ada", "kind": "phone", "value": "1", "valid_from": day(1)},
        {"user_id": "zoe", "kind": "phone", "value": "1", "valid_from": day(25)},
    ]
    tables = built(
        orders=[referral("zoe", "ben", "tea", day(22)), referral("zoe", "ada", "jam", day(23))], identities=identities
    )
    # By day 60 Zoe is Ada, and an order on her own referral moved nobody.
    assert {user: row["people_moved"] for user, row in labels(view(tables), day(20)).items()} == {"ada": 1}
    known_then = labels(view(tables, people_as_of=day(20)), day(20))
    assert {user: row["people_moved"] for user, row in known_then.items()} == {"zoe": 2}
