"""Facts of a few communities, checked by hand."""

from typing import Any

import pytest

from features.groups.facts import community_facts
from features.groups.members import members_of
from features.prepare import prepare
from features.snapshot import take_snapshot
from tests.worlds import day, world


def facts(**tables: Any) -> dict[str, dict[str, Any]]:
    snapshot = prepare(take_snapshot(world(**({"orders": []} | tables)), day(40)))
    return {row.pop("community_id"): row for row in community_facts(snapshot, members_of(snapshot)).to_pylist()}


def joined(*rows: tuple[str, str, float], **more: Any) -> list[dict[str, Any]]:
    return [{"community_id": community, "user_id": user, "joined_at": day(at), **more} for community, user, at in rows]


def test_d70_value_counts_per_head_so_that_a_small_rich_group_is_worth_more() -> None:
    members = joined(*(("mothers", f"m{n}", 1) for n in range(2)), *(("crowd", f"c{n}", 1) for n in range(300)))
    orders = [{"user_id": "m0", "amount": 30_000, "ordered_at": day(35)},
              {"user_id": "m1", "amount": 10_000, "ordered_at": day(25)},
              {"user_id": "m1", "amount": 99_000, "ordered_at": day(19)},  # more than two horizons ago
              *({"user_id": f"c{n}", "amount": 500, "ordered_at": day(39)} for n in range(300))]  # fmt: skip
    found = facts(memberships=members, orders=orders)
    assert (found["mothers"]["value_per_head"], found["crowd"]["value_per_head"]) == (20_000.0, 500.0)
    # The crowd pays more in all.
    assert found["crowd"]["value_per_head"] * found["crowd"]["members"] > 40_000
    assert (found["mothers"]["size_band"], found["crowd"]["size_band"]) == ("to_40", "to_499")
    assert (found["mothers"]["active_share"], found["crowd"]["active_share"]) == (0.5, 1.0)


def test_d67_groups_whose_leader_is_gone_or_silent_have_none() -> None:
    members = [
        *joined(("led", "l", 1), ("silent", "s", 1), ("left", "x", 1), role="owner"),
        *joined(("led", "a", 1), ("silent", "a", 1), ("left", "a", 1), role="member"),
    ]
    members[2]["left_at"] = day(20)
    orders = [{"user_id": user, "ordered_at": day(at)} for user, at in (("l", 35), ("s", 20), ("x", 39), ("a", 39))]
    found = facts(memberships=members, orders=orders)
    assert {name: (row["leader_id"], row["leaderless"]) for name, row in found.items()} == {
        "led": ("l", False), "silent": (None, True), "left": (None, True),
    }  # fmt: skip
    roleless = [{name: value for name, value in row.items() if name != "role"} for row in members]
    assert facts(memberships=roleless, orders=orders)["led"]["leaderless"] is None


def test_d23_pairs_who_met_and_then_became_acquainted() -> None:
    people = ("a", "b", "c", "d")
    met = [{"community_id": "club", "user_id": user, "kind": "offline_event", "happened_at": day(20.5)} for user in people]
    late = [{"community_id": "club", "user_id": user, "kind": "offline_event", "happened_at": day(37)} for user in "ab"]
    ties = [("a", "b", 3), ("b", "a", 21), ("c", "a", 22), ("a", "c", 24), ("c", "d", 26), ("b", "d", 25)]
    found = facts(
        memberships=joined(*(("club", user, 1) for user in people)),
        engagements=[*met, *late],
        ties=[{"user_id": user, "influencer_id": other, "since": day(at)} for user, other, at in ties],
    )["club"]
    # Six pairs met, a and b knew each other; within five days c and a, and b and d came to; c and d were too late.
    assert (found["meetings"], found["new_tie_rate"]) == (1, pytest.approx(2 / 5))


def test_kind_origin_talk_and_acquaintances() -> None:
    found = facts(
        communities=[{"community_id": "club", "kind": "club", "origin": "event", "space": "offline", "created_at": day(0)}],
        memberships=joined(("club", "a", 1), ("club", "b", 2), ("club", "c", 3), ("club", "d", 4), inviter_id=None)
        + joined(("other", "a", 5), inviter_id="b"),
        ties=[{"user_id": "b", "influencer_id": "a"}, {"user_id": "d", "influencer_id": "a"}],
        engagements=[{"community_id": "club", "user_id": "a", "kind": "message", "happened_at": day(at)}
                     for at in (5, 31, 32, 33)],
    )  # fmt: skip
    club = found["club"]
    assert (club["kind"], club["origin"], club["space"], club["source"]) == ("club", "event", "offline", "given")
    assert club["messages_per_head"] == 3 / 4
    assert (club["strangers_share"], club["known_at_join"]) == (pytest.approx(1 / 3), pytest.approx(2 / 3))
    # Degrees 2, 1, 0, 1: gaps 0 + 1 + 2 + 1 of 6.
    assert (club["inside_ties"], club["centralisation"], club["broker_id"]) == (2, pytest.approx(4 / 6), "a")
    assert (found["other"]["kind"], found["other"]["inside_ties"]) == (None, 0)


def test_an_invitation_is_a_tie_inside() -> None:
    members = joined(("club", "a", 1), inviter_id=None) + joined(("club", "b", 2), ("club", "c", 2), inviter_id="a")
    assert facts(memberships=members)["club"]["centralisation"] == 1.0
