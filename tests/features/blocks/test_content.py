from typing import Any

import pytest

from features.blocks.content import content
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import Rows, day, world


def post(user: str, item: str, at: float, kind: str = "post") -> dict[str, Any]:
    return {"user_id": user, "kind": kind, "item_id": item, "happened_at": day(at)}


def order(user: str, item: str, at: float) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ordered_at": day(at)}


def found(engagements: Rows, orders: Rows, **more: Any) -> dict[str, Any]:
    ties = [{"user_id": who, "influencer_id": "a"} for who in ("b", "c", "d")]
    return by_user(content, world(engine=shared_engine(), engagements=engagements, orders=orders, ties=ties, **more))


def test_d26_purchases_of_followers_after_a_post_are_led_by_content() -> None:
    # The attribution window is 5 days: b follows in time, c too late, d had it before, e is not around; a bought nothing.
    orders = [order("b", "x", 31), order("c", "x", 35.5), order("d", "x", 29), order("d", "x", 31), order("e", "x", 31)]
    seen = found([post("a", "x", 30), post("a", "x", 33, "review"), post("a", "y", 12), post("a", "z", 38, "like")], orders)
    assert seen == {
        "a": {
            "content_subjects_3d": 0,
            "content_subjects_10d": 1,
            "content_subjects_20d": 1,
            "content_subjects_all": 2,
            "content_led": 1,
            "content_led_each": 0.5,
            "invite_led": 0,
            "content_share": 1.0,
        }
    }


@pytest.mark.parametrize(("at", "led"), [(30, 0), (30.001, 1), (35, 1), (35.001, 0)])
def test_the_window_is_open_after_the_post_and_closed_at_its_end(at: float, led: int) -> None:
    assert found([post("a", "x", 30)], [order("b", "x", at)])["a"]["content_led"] == led


def test_d26_content_is_held_against_invitations() -> None:
    answers = [{"sharer_id": "a", "responder_id": who, "item_id": "y", "responded_at": day(31)} for who in ("b", "c", "e")]
    seen = found([post("a", "x", 30)], [order("b", "x", 31)], share_responses=answers)["a"]
    assert (seen["content_led"], seen["invite_led"], seen["content_share"]) == (1, 3, 0.25)


def test_d26_who_invites_and_writes_nothing_leads_by_hand_alone() -> None:
    answers = [{"sharer_id": "e", "responder_id": who, "item_id": "y", "responded_at": day(31)} for who in ("b", "c")]
    seen = found([post("a", "x", 30)], [order("b", "x", 31)], share_responses=answers)
    assert (seen["e"]["content_subjects_all"], seen["e"]["content_led"], seen["e"]["invite_led"]) == (0, 0, 2)
    assert (seen["e"]["content_led_each"], seen["e"]["content_share"]) == (None, 0.0)
