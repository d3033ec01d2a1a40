from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.errors import ListError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.lists.pages import Part
from serving.state.database import Database
from serving.state.tables import roster
from serving.store.score_store import ScoreStore
from tests.serving.batches import random_users, write_random, write_table, write_users
from tests.serving.lists.conftest import NOW, Room, criteria, room_of
from tests.serving.lists.test_lists import HANGZHOU, stop


def walked(
    room: Room, list_id: str, limit: int, between: Callable[[], None] = lambda: None, **more: Any
) -> list[dict[str, Any]]:
    rows, after, who = [], None, more.pop("who", LOCAL)
    while True:
        page = room.pages.page(who, list_id, after=after, limit=limit, now=NOW, **more)
        assert len(page.rows) <= limit
        rows += page.rows
        after = page.next_cursor
        if after is None:
            return rows
        between()


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(1, 12), stopped=st.sets(st.integers(0, 39), max_size=20), data=st.data())
def test_no_row_comes_twice_and_none_is_missed_while_batches_change(
    tmp_path_factory: pytest.TempPathFactory,
    new_sqlite: Callable[[], str],
    limit: int,
    stopped: set[int],
    data: st.DataObject,
) -> None:
    database = Database(new_sqlite(), migrate=False)
    store = write_random(tmp_path_factory.mktemp("store"), users=40)
    room = room_of(store, database)
    made = room.lists.create(LOCAL, criteria(40, holdout=data.draw(st.sampled_from([0.0, 0.4]))), now=NOW)
    for number in stopped:
        stop(room, f"u{number:05}", "suppressed")
    batches = iter(range(1, 3))

    def between() -> None:
        if (seed := next(batches, None)) is not None:
            write_table(store, random_users(50, seed))
            room.served.refresh()

    part = data.draw(st.sampled_from(list(Part)))
    rows = walked(room, made.list_id, limit, between, part=part)
    expected = [
        (row["rank"], row["user_id"])
        for row in room.lists.payload(made).table().to_pylist()
        if part in (Part.ALL, row["arm"]) and int(row["user_id"][1:]) not in stopped
    ]
    assert [(row["rank"], row["user_id"]) for row in rows] == expected
    database.close()


def test_whoever_may_not_be_contacted_any_more_is_taken_out_and_counted(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": user} for user in "abcd"])
    made = room.lists.create(LOCAL, criteria(4), now=NOW - timedelta(days=1))
    stop(room, "b", "erased")
    stop(room, "d", "suppressed")
    page = room.pages.page(LOCAL, made.list_id, limit=2, now=NOW)
    assert ([row["user_id"] for row in page.rows], page.taken_out) == (["a", "c"], {"erased": 1})
    rest = room.pages.page(LOCAL, made.list_id, after=page.next_cursor, limit=2, now=NOW)
    assert (rest.rows, rest.next_cursor, rest.taken_out) == ([], None, {"suppressed": 1})
    assert room.pages.counts(LOCAL, made, now=NOW) == (2, {"erased": 1, "suppressed": 1})
    # Before it began, nothing stood against it; an erasure has no beginning.
    assert room.pages.counts(LOCAL, made, now=NOW - timedelta(hours=1)) == (3, {"erased": 1})
    assert [entry.rows for entry in Audit(room.database).read(action="list.read")] == [2, 0]


def test_consent_that_newer_scores_no_longer_know_is_withdrawn(tmp_path: Path, database: Database) -> None:
    store = ScoreStore(tmp_path)
    write_users(store, [{"user_id": user, "attribute_consent_sms": "yes"} for user in "abc"])
    room = room_of(store, database)
    made = room.lists.create(LOCAL, criteria(3, filters={"reachable": "sms"}), now=NOW)
    other = room.lists.create(LOCAL, criteria(3), now=NOW + timedelta(days=20))
    write_users(store, [{"user_id": "a", "attribute_consent_sms": "no"}, {"user_id": "b", "attribute_consent_sms": "yes"}])
    room.served.refresh()
    page = room.pages.page(LOCAL, made.list_id, now=NOW)
    # c is not in the newer scores, which say nothing of c then.
    assert ([row["user_id"] for row in page.rows], page.taken_out) == (["b", "c"], {"consent_withdrawn": 1})
    assert len(room.pages.page(LOCAL, other.list_id, now=NOW).rows) == 3


def test_a_key_with_a_row_scope_reads_its_rows_only(tmp_path: Path, database: Database) -> None:
    store = ScoreStore(tmp_path)
    regions = zip("abcd", ["Hangzhou", "Wuhan"] * 2, strict=True)
    write_users(store, [{"user_id": user, "attribute_region": region} for user, region in regions])
    room = room_of(store, database)
    made = room.lists.create(LOCAL, criteria(4), now=NOW)
    stop(room, "b", "suppressed")
    for limit in (1, 2, 10):
        assert [row["user_id"] for row in walked(room, made.list_id, limit, who=HANGZHOU)] == ["a", "c"]
    assert room.pages.counts(HANGZHOU, made, now=NOW) == (2, {})
    # c moved: not to be seen any more.
    write_users(store, [{"user_id": "a", "attribute_region": "Hangzhou"}, {"user_id": "c", "attribute_region": "Wuhan"}])
    room.served.refresh()
    assert [row["user_id"] for row in walked(room, made.list_id, 10, who=HANGZHOU)] == ["a"]


def test_external_ids_are_for_keys_that_may_see_them(by_hand: Callable[..., Room]) -> None:
    room = by_hand([{"user_id": "a"}, {"user_id": "b"}])
    made = room.lists.create(LOCAL, criteria(2), now=NOW)
    with room.database.write() as connection:
        for key, external in (("1", "wm2"), ("2", "wm1"), ("3", "wm1")):
            row = {"key": key, "external_id": external, "user_id": "a", "kind": "external_userid"}
            connection.execute(sa.insert(roster).values(**row, added_at=NOW, recorded_at=NOW))
    rows = room.pages.page(LOCAL, made.list_id, now=NOW).rows
    assert [row["external_ids"] for row in rows] == [{"external_userid": ["wm1", "wm2"]}, {}]
    reader = Principal("r", "reader", frozenset({Scope.ADMIN}))
    assert "external_ids" not in room.pages.page(reader, made.list_id, now=NOW).rows[0]


@pytest.mark.parametrize("cursor", ["x", "", "é", "a" * 300, "bm9wZSAx"])
def test_a_cursor_of_something_else_is_refused(room: Room, cursor: str) -> None:
    made = room.lists.create(LOCAL, criteria(5), now=NOW)
    if not cursor:
        assert len(room.pages.page(LOCAL, made.list_id, after=cursor, now=NOW).rows) == 5
        return
    with pytest.raises(ListError, match="is not a cursor of list"):
        room.pages.page(LOCAL, made.list_id, after=cursor, now=NOW)
