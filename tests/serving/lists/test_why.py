from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from features.errors import NotFoundError, ScoresError
from serving.access.principal import LOCAL
from serving.lists.members import InTurn
from serving.lists.people_file import excluded_in
from serving.lists.states import State
from serving.lists.words import WITHOUT, suggested
from tests.serving.batches import write_users
from tests.serving.lists.conftest import NOW, Room, criteria, ties
from tests.serving.lists.test_lists import HANGZHOU, contact, stop

REGIONS = {"a": "Hangzhou", "b": "Hangzhou", "c": "Hangzhou", "d": "Wuhan", "e": "Suzhou", "f": "Hangzhou"}


def people() -> list[dict[str, str]]:
    return [{"user_id": user, "attribute_region": region} for user, region in REGIONS.items()]


def test_d63_the_first_rule_that_fails_is_named(by_hand: Callable[..., Room]) -> None:
    room = by_hand(people())
    earlier = room.lists.create(LOCAL, criteria(1, filters={"koc_score": 9.0}), now=NOW - timedelta(hours=1))
    contact(room, "a", NOW - timedelta(days=2))
    wanted = criteria(
        1,
        cool_down_days=5,
        quotas={"attribute_region": {"Hangzhou": 1, "Suzhou": 1}},
        rules={"high": {"koc_score": {"min": 6}}},
    )
    made = room.lists.create(LOCAL, wanted, now=NOW)
    assert room.lists.payload(made).user_ids.to_pylist() == ["c"]

    def failing(user: str) -> str | None:
        return room.eligibility.why(LOCAL, made.list_id, user).failing

    assert [failing(user) for user in "abcdef"] == [
        "cool_down", "reserved", None, "quota: attribute_region", "size", "rule: high",
    ]  # fmt: skip
    assert failing("nobody") == "in_batch"
    on = room.eligibility.why(LOCAL, made.list_id, "c")
    assert (on.rank, on.arm) == (1, "contact")
    told = {rule.name: rule.found for rule in room.eligibility.why(LOCAL, made.list_id, "b").rules}
    assert told["reserved"] == f"reserved for list {earlier.list_id}"
    assert told["rule: high"] == "koc_score is 9.0; asked for {'koc_score': {'min': 6.0}}"
    # What happened after the list was made does not explain it.
    stop(room, "e", "suppressed", NOW + timedelta(hours=1))
    assert failing("e") == "size"
    assert room.eligibility.check(LOCAL, wanted, "e", NOW + timedelta(hours=2)).failing == "suppressed"
    with pytest.raises(NotFoundError, match="no user 'd' among those that this key sees"):
        room.eligibility.why(HANGZHOU, made.list_id, "d")
    stop(room, "b", "erased")
    for asked in (
        lambda: room.eligibility.why(LOCAL, made.list_id, "b"),
        lambda: room.eligibility.check(LOCAL, wanted, "b"),
    ):
        with pytest.raises(NotFoundError, match="no user 'b'"):
            asked()


def test_a_key_is_told_of_nobody_outside_of_its_rows(by_hand: Callable[..., Room]) -> None:
    room = by_hand(people())
    made = room.lists.create(LOCAL, criteria(5), now=NOW)
    told = room.eligibility.why(HANGZHOU, made.list_id, "f")
    assert told.failing == "size"
    assert {rule.name: rule.found for rule in told.rules}["size"] == "there was no place left"
    assert "5 of 5 places" in room.eligibility.why(LOCAL, made.list_id, "f").rules[-2].found
    # Whoever has left the rows of a key since then is not told of either.
    write_users(room.store, [{**one, "attribute_region": "Wuhan"} for one in people()])
    room.served.refresh()
    with pytest.raises(NotFoundError):
        room.eligibility.why(HANGZHOU, made.list_id, "f")


def test_values_are_told_of_people_who_are_seen_and_gone_ones_fail(by_hand: Callable[..., Room]) -> None:
    room = by_hand(people())
    for asked in (criteria(5, filters={"attribute_region": "Wuhan"}), criteria(5, rules={"x": {"attribute_region": "X"}})):
        with pytest.raises(ScoresError, match=r"choose from Hangzhou$"):
            room.eligibility.check(HANGZHOU, asked, "f")
    made = room.lists.create(LOCAL, criteria(1, filters={"attribute_region": ["Hangzhou", "Wuhan"]}), now=NOW)
    write_users(room.store, [{**one, "attribute_region": "Hangzhou"} for one in people()], keep=1)
    room.served.refresh()
    assert room.eligibility.why(HANGZHOU, made.list_id, "f").failing == "filters: attribute_region"


def test_a_full_quota_and_a_clique_are_named(by_hand: Callable[..., Room]) -> None:
    room = by_hand(
        people(),
        ties=ties(
            ("a", "c"),
        ),
    )
    quota = room.lists.create(LOCAL, criteria(2, quotas={"attribute_region": {"Hangzhou": 1, "*": 1}}), now=NOW)
    assert room.eligibility.why(LOCAL, quota.list_id, "b").failing == "quota: attribute_region"
    later = NOW + timedelta(days=30)
    clique = room.lists.create(LOCAL, criteria(3, diversity={"most_per_clique": 1}), now=later)
    assert room.lists.payload(clique).user_ids.to_pylist() == ["a", "b", "d"]
    assert room.eligibility.why(LOCAL, clique.list_id, "c").failing == "diversity"


def test_the_worklist_holds_open_people_of_running_lists(by_hand: Callable[..., Room]) -> None:
    room = by_hand(people())
    made = room.lists.create(LOCAL, criteria(6), name="June", now=NOW)
    room.members.assign(LOCAL, made.list_id, InTurn(staff=["li"]), now=NOW)
    room.members.move(LOCAL, made.list_id, ["a"], State.ACTIVE, now=NOW)
    stop(room, "b", "consent_withdrawn")
    for hour in range(4):
        contact(room, "c", NOW - timedelta(hours=hour))
    contact(room, "d", NOW - timedelta(days=9))
    found = room.worklists.of(LOCAL, "li", limit=2, now=NOW)
    assert [task.user_id for task in found.tasks] == ["d", "e"]
    assert (found.open, found.taken_out) == (5, {"consent_withdrawn": 1, "contact_cap": 1})
    first = found.tasks[0]
    assert (first.list_name, first.state, first.reason_zh, first.words_zh) == ("June", "selected", "因为 d", WITHOUT)
    assert first.last_contact_at == NOW - timedelta(days=9)
    assert State.SURVEYED in first.next_states
    assert room.worklists.staff(LOCAL, NOW) == {"li": 5}
    assert [task.user_id for task in room.worklists.of(HANGZHOU, "li", now=NOW).tasks] == ["f"]
    assert room.worklists.of(LOCAL, "li", now=made.expires_at).tasks == ()
    assert room.worklists.of(LOCAL, "wang", now=NOW).tasks == ()


def test_words_tell_the_person_only_of_the_own_past() -> None:
    said = suggested({"next_item": "i9", "next_item_because_zh": "2024-05-30 买过；身边 12 人中还有 9 人没买"})
    assert "「i9」（您2024-05-30 买过）" in said
    assert "身边 12 人" not in said
    assert suggested({"next_item": None}) == WITHOUT


def test_people_to_leave_out_come_from_files_with_or_without_a_header(by_hand: Callable[..., Room], tmp_path: Path) -> None:
    batch = by_hand(people()).served.batch
    (tmp_path / "bare.txt").write_text("a\n\nnobody\nb\n")
    assert list(excluded_in(tmp_path / "bare.txt", batch).ids) == ["a", "nobody", "b"]
    (tmp_path / "list.csv").write_text("客户,n\na,1\nb,2\n", encoding="gb18030")
    found = excluded_in(tmp_path / "list.csv", batch)
    assert (list(found.ids), found.column) == (["a", "b"], "客户")
