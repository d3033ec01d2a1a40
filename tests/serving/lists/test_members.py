from collections.abc import Callable
from typing import Any

import pytest

from features.errors import ConflictError, ListError
from serving.access.audit import Audit
from serving.access.principal import LOCAL
from serving.lists.members import ByOwner, ByRule, InTurn, Members
from serving.lists.states import NEXT, State, refusal, state_of
from tests.serving.lists.conftest import NOW, Room, criteria
from tests.serving.lists.test_lists import HANGZHOU, stop

PEOPLE = [
    {"user_id": "a", "attribute_owner": "li", "attribute_region": "Hangzhou"},
    {"user_id": "b", "attribute_owner": None, "attribute_region": "Hangzhou"},
    {"user_id": "c", "attribute_owner": "wang", "attribute_region": "Wuhan"},
    {"user_id": "d", "attribute_owner": None, "attribute_region": "Hangzhou"},
]


def staff(room: Room, list_id: str) -> dict[str, str | None]:
    return {row["user_id"]: row["staff"] for row in room.pages.page(LOCAL, list_id, now=NOW).rows}


def test_people_go_to_their_owner_then_in_turn_then_by_hand(by_hand: Callable[..., Room]) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(4), now=NOW)
    by_owner = room.members.assign(LOCAL, made.list_id, ByOwner(), now=NOW)
    assert (by_owner.staff, by_owner.unassigned) == ({"li": 1, "wang": 1}, 2)
    rule = ByRule(column="attribute_region", staff={"Hangzhou": ["zhao", "qian"], "*": ["sun"]})
    room.members.assign(LOCAL, made.list_id, rule, now=NOW)
    assert staff(room, made.list_id) == {"a": "li", "b": "zhao", "c": "wang", "d": "qian"}
    room.members.assign(LOCAL, made.list_id, rule, again=True, now=NOW)
    assert staff(room, made.list_id) == {"a": "zhao", "b": "qian", "c": "sun", "d": "zhao"}
    room.members.assign(LOCAL, made.list_id, InTurn(staff=["li"], user_ids=["c"]), now=NOW)
    assert staff(room, made.list_id)["c"] == "li"
    with pytest.raises(ListError, match=r"not among the contacts of list .*: nobody"):
        room.members.assign(LOCAL, made.list_id, InTurn(staff=["li"], user_ids=["nobody"]), now=NOW)
    with pytest.raises(ListError, match="has no column attribute_city to assign by"):
        room.members.assign(LOCAL, made.list_id, ByOwner(column="attribute_city"), now=NOW)
    told = [(event.state, event.staff) for event in room.members.history(LOCAL, made.list_id, "c")]
    assert told == [("selected", "wang"), ("selected", "sun"), ("selected", "li")]


def test_all_move_or_nobody(by_hand: Callable[..., Room]) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(4), now=NOW)
    room.members.move(LOCAL, made.list_id, ["a"], State.IN_GROUP, now=NOW)
    with pytest.raises(
        ConflictError, match=r"a on list .* is in_group and cannot become surveyed; allowed are active, added"
    ):
        room.members.move(LOCAL, made.list_id, ["b", "a"], State.SURVEYED, now=NOW)
    with pytest.raises(ConflictError, match=r"b .* can become unsuitable only with a reason"):
        room.members.move(LOCAL, made.list_id, ["b"], State.UNSUITABLE, " ", now=NOW)
    with pytest.raises(ListError, match=r"not on list .*: c; leave them out"):
        room.members.move(HANGZHOU, made.list_id, ["a", "c"], State.ACTIVE, now=NOW)
    moved = room.members.move(LOCAL, made.list_id, ["b", "a"], State.UNSUITABLE, "moved abroad", now=NOW)
    assert [(one.user_id, one.state, one.state_reason) for one in moved] == [
        ("b", "unsuitable", "moved abroad"), ("a", "unsuitable", "moved abroad"),
    ]  # fmt: skip
    assert "abroad" not in str(Audit(room.database).read(action="list.move"))
    room.members.move(LOCAL, made.list_id, ["a"], State.UNSUITABLE, now=NOW)
    assert [event.state for event in room.members.history(LOCAL, made.list_id, "a")] == ["in_group", "unsuitable"]


def test_who_was_erased_is_on_no_list_to_move(by_hand: Callable[..., Room]) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(4), now=NOW)
    stop(room, "a", "erased")
    with pytest.raises(ListError, match=r"not on list .*: a;"):
        room.members.move(LOCAL, made.list_id, ["a", "b"], State.UNSUITABLE, "a is ill", now=NOW)
    with pytest.raises(ListError, match=r"not on list .*: a;"):
        room.members.history(LOCAL, made.list_id, "a")


def test_who_was_assigned_meanwhile_is_not_assigned_again(
    by_hand: Callable[..., Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(4), now=NOW)
    look = Members._contacts

    def overtaken(members: Members, *asked: Any) -> list[dict[str, Any]]:
        found = look(members, *asked)
        with monkeypatch.context() as patch:
            patch.setattr(Members, "_contacts", look)
            room.members.assign(LOCAL, made.list_id, ByOwner(), now=NOW)
            room.members.move(LOCAL, made.list_id, ["b"], State.ADDED, now=NOW)
        return found

    monkeypatch.setattr(Members, "_contacts", overtaken)
    given = room.members.assign(LOCAL, made.list_id, InTurn(staff=["sun"]), now=NOW)
    assert (given.staff, given.unassigned) == ({"sun": 2}, 0)
    assert staff(room, made.list_id) == {"a": "li", "b": "sun", "c": "wang", "d": "sun"}
    assert [event.state for event in room.members.history(LOCAL, made.list_id, "b")] == ["added", "added"]


def test_people_held_out_are_not_worked(room: Room) -> None:
    made = room.lists.create(LOCAL, criteria(50, holdout=0.5), now=NOW)
    rows = room.lists.payload(made).table().to_pylist()
    out = next(row["user_id"] for row in rows if row["arm"] == "holdout")
    given = room.members.assign(LOCAL, made.list_id, InTurn(staff=["li"]), now=NOW)
    assert given.staff == {"li": made.arms["contact"]}
    with pytest.raises(ConflictError, match="is held out and not to be contacted"):
        room.members.move(LOCAL, made.list_id, [out], State.ADDED, now=NOW)


def test_d57_every_state_is_reached_and_only_a_holdout_is_an_end() -> None:
    reached = {state for following in NEXT.values() for state in following}
    assert reached == set(State) - {State.HELD_OUT}
    assert [state for state, following in NEXT.items() if not following] == [State.HELD_OUT]
    for old in State:
        for new in State:
            allowed = new is old or new in NEXT[old]
            assert (refusal(old, new, "because") is None) == allowed


def test_states_are_read_in_both_languages() -> None:
    assert state_of(" 已入群 ") is state_of("In group") is State.IN_GROUP
    assert state_of("done") is None
