"""Shares and responses of a few people."""

import pytest

from features.blocks.sharing import responses_drawn, responses_given, shares_answered, shares_made
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world

SHARES = [
    {"share_id": "h1", "sharer_id": "a", "shared_at": day(39), "parent_share_id": None},
    {"share_id": "h2", "sharer_id": "a", "shared_at": day(37), "parent_share_id": "h9"},
    {"share_id": "h3", "sharer_id": "a", "shared_at": day(20), "parent_share_id": None},
    {"share_id": "h4", "sharer_id": "a", "shared_at": day(0), "parent_share_id": None},
    {"share_id": "h5", "sharer_id": "lonely", "shared_at": day(10), "parent_share_id": None},
]


def response(share: str | None, sharer: str | None, responder: str, at: float, item: str | None) -> dict[str, object]:
    return {"share_id": share, "sharer_id": sharer, "responder_id": responder, "responded_at": day(at), "item_id": item}


RESPONSES = [
    response("h1", "a", "b", 39.5, "x"),
    response("h1", "a", "b", 38, "x"),
    response("h2", "a", "a", 39, "z"),  # to one's own share
    response("h3", "a", "c", 20, "y"),
    response("h4", "a", "d", 40, "w"),  # not yet
    response("h9", None, "e", 25, "x"),  # nobody knows whose share
]


def test_shares_made() -> None:
    assert by_user(shares_made, world(engine=shared_engine(), orders=[], shares=SHARES)) == {
        "a": {
            "shares_3d": 2,
            "shares_10d": 2,
            "shares_20d": 3,
            "shares_all": 4,
            "reshares_all": 1,
            "share_idle_days": 1.0,
        },
        "lonely": {
            "shares_3d": 0,
            "shares_10d": 0,
            "shares_20d": 0,
            "shares_all": 1,
            "reshares_all": 0,
            "share_idle_days": 30.0,
        },
    }


def test_a_share_is_answered_once_however_many_respond() -> None:
    found = by_user(shares_answered, world(engine=shared_engine(), shares=SHARES, share_responses=RESPONSES))
    a, lonely = found["a"], found["lonely"]
    assert (a["shares_answered_all"], a["acceptance_rate"]) == (2, 0.5)
    assert (lonely["shares_answered_all"], lonely["acceptance_rate"]) == (0, 0.0)


def test_friends_tire_when_fewer_of_the_late_shares_are_answered() -> None:
    found = by_user(shares_answered, world(engine=shared_engine(), shares=SHARES, share_responses=RESPONSES))
    # Of a's late shares h1 and h3 were answered, h2 not; h4 of day 0 was not either.
    assert (found["a"]["acceptance_10d"], found["a"]["acceptance_20d"]) == (0.5, pytest.approx(2 / 3))
    assert found["a"]["fatigue"] == pytest.approx(1 / 2 - 2 / 3)
    assert found["lonely"]["fatigue"] is None


def test_responses_drawn() -> None:
    assert by_user(responses_drawn, world(engine=shared_engine(), share_responses=RESPONSES)) == {
        "a": pytest.approx(
            {
                "responses_3d": 2,
                "responses_10d": 2,
                "responses_20d": 3,
                "responses_all": 3,
                "responders_3d": 1,
                "responders_10d": 1,
                "responders_20d": 2,
                "responders_all": 2,
                "subjects_shared_all": 2,
                "response_idle_days": 0.5,
                "responses_each": 1.5,
            }
        )
    }


def test_a_responder_of_long_ago_is_not_lately_active() -> None:
    rows = [response(None, "a", "b", 10, None), response(None, "a", "c", 38, None)]
    found = by_user(responses_drawn, world(engine=shared_engine(), share_responses=rows))["a"]
    assert (found["responders_20d"], found["responders_all"], found["subjects_shared_all"]) == (1, 2, 0)


def test_responses_given_to_others() -> None:
    found = by_user(responses_given, world(engine=shared_engine(), share_responses=RESPONSES))
    assert set(found) == {"b", "c", "e"}
    assert found["b"] == {
        "answers_3d": 2,
        "answers_10d": 2,
        "answers_20d": 2,
        "answers_all": 2,
        "answer_idle_days": 0.5,
    }
    assert found["e"] == {
        "answers_3d": 0,
        "answers_10d": 0,
        "answers_20d": 1,
        "answers_all": 1,
        "answer_idle_days": 15.0,
    }


def test_d30_acceptance_falls_as_friends_tire_of_many_shares() -> None:
    # Both had two shares answered long ago; a then sent four more into silence, b one more that was answered.
    sent = [("a", 1), ("a", 2), *(("a", 30 + n) for n in range(4)), ("b", 1), ("b", 2), ("b", 31)]
    shares = [{"share_id": f"h{n}", "sharer_id": who, "shared_at": day(at)} for n, (who, at) in enumerate(sent)]
    responses = [response(f"h{n}", who, "c", at + 0.5, "x") for n, (who, at) in enumerate(sent) if at < 30 or who == "b"]
    found = by_user(shares_answered, world(engine=shared_engine(), shares=shares, share_responses=responses))
    assert (found["a"]["acceptance_rate"], found["a"]["acceptance_20d"]) == (pytest.approx(2 / 6), 0.0)
    assert found["a"]["fatigue"] == pytest.approx(1 / 3)
    assert found["b"]["fatigue"] == 0.0
