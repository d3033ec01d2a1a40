"""Columns of money and life, on markets small enough to add up by hand."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from serving.extra_columns import extra_columns
from serving.extra_contract import ExtraColumns
from serving.scores import tiers, user_facts
from serving.value_columns import (
    PRIOR_REACHED,
    call,
    downstream,
    early,
    given_back,
    lifetime,
    moved,
    outlook,
    paid,
    streaks,
    untouched,
)
from tests.worlds import day, world
from training.timeline import Timeline

AS_OF = day(40)


def columns(maker: ExtraColumns, **tables: Any) -> dict[str, dict[str, Any]]:
    """user_id -> column -> value; horizon 10 days, attribution window 5 days, longest feature window 20 days."""
    timeline = Timeline(world(until=day(60), **tables))
    frame = timeline.frame(AS_OF)
    found = extra_columns(timeline.snapshot(AS_OF), frame, (maker,))
    return {user: {name: values[row].as_py() for name, values in found.items()} for row, user in enumerate(frame.users)}


def order(user: str, when: float, amount: int = 100, item: str = "x", **more: Any) -> dict[str, Any]:
    return {"user_id": user, "item_id": item, "ordered_at": day(when), "amount": amount, **more}


def test_d43_lifetime_value_stands_beside_every_buyer() -> None:
    found = columns(lifetime, orders=[order("a", 1), order("a", 20), order("a", 38), order("b", 1)],
                    shares=[{"share_id": "s", "sharer_id": "c", "shared_at": day(2)}])  # fmt: skip
    assert found["a"]["lifetime_value"] > found["b"]["lifetime_value"] > 0
    assert found["c"]["lifetime_value"] is None


def test_d36_money_of_new_friends_and_of_those_who_come_again() -> None:
    orders = [order("b", 10, 100, referrer_id="a"), order("b", 20, 40, "y", referrer_id="a")]
    found = columns(moved, orders=orders)
    assert found["a"] == {"value_moved": 140, "value_new": 100, "value_repeat": 40}
    assert found["b"] == {"value_moved": 0, "value_new": 0, "value_repeat": 0}


def test_d44_costs_for_each_person_moved_and_for_each_one_won() -> None:
    orders = [order("b", 10, referrer_id="a"), order("c", 10, referrer_id="a"), order("e", 1, item="w"),
              order("e", 10, referrer_id="d")]  # fmt: skip
    rewards = [{"user_id": user, "kind": "commission", "amount": amount, "granted_at": day(11)}
               for user, amount in (("a", 600), ("d", 60))]  # fmt: skip
    found = columns(paid, orders=orders, rewards=rewards)
    # Three people were moved for 660: 220 each. a won two, d none: e had ordered before.
    assert found["a"] == {"cost_paid": 600, "cost_per_person": (600 + 220) / 3, "acquisition_cost": 300.0}
    assert found["d"] == {"cost_paid": 60, "cost_per_person": (60 + 220) / 2, "acquisition_cost": None}
    assert found["b"]["cost_per_person"] == 220
    assert columns(paid, orders=orders)["a"] == {"cost_paid": None, "cost_per_person": None, "acquisition_cost": None}


def test_d45_leverage_is_money_expected_for_each_unit_of_cost() -> None:
    scored = {"koc_score": pa.array([2.0, 0.5, 1.0]), "expected_value": pa.array([900.0, 30.0, 80.0])}
    facts = pa.table({"cost_per_person": [100.0, 100.0, 0.0]})
    found = {name: values.to_pylist() for name, values in outlook(scored, facts).items()}
    assert found == {
        "expected_cost": [200.0, 50.0, 0.0],
        "net_value": [700.0, -20.0, 80.0],
        "leverage_ratio": [4.5, 0.6, None],
    }


def test_d46_the_rate_of_answered_calls_is_backed_by_that_of_all() -> None:
    ties = [{"user_id": who, "influencer_id": leader} for who, leader in (("b", "a"), ("c", "a"), ("d", "e"), ("f", "e"))]
    shares = [{"share_id": who, "sharer_id": who, "item_id": "x", "shared_at": day(10)} for who in ("a", "e")]
    found = columns(call, orders=[order("b", 12), order("a", 1, item="y")], shares=shares, ties=ties)
    # One of four followers answered; a's two hold one of them.
    assert found["a"]["call_to_purchase"] == pytest.approx((1 + PRIOR_REACHED / 4) / (2 + PRIOR_REACHED))
    assert found["e"]["call_to_purchase"] == pytest.approx((PRIOR_REACHED / 4) / (2 + PRIOR_REACHED))
    assert found["b"] == {"calls": None, "call_to_purchase": None}


def test_d28_the_first_payers_are_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serving.value_columns.EARLY", 2)
    found = columns(early, orders=[order("c", 3), order("a", 1), order("b", 2)])
    assert {user: tuple(row.values()) for user, row in found.items()} == {"a": (1, True), "b": (2, True), "c": (3, False)}


@pytest.mark.parametrize(("times", "alert"), [(2, False), (3, True), (4, True)])
def test_d50_the_alert_fires_on_the_third_unpaid_touch(times: int, alert: bool) -> None:
    answers = [{"sharer_id": "s", "responder_id": who, "action": "click", "responded_at": day(20 + n)}
               for who in ("new", "old") for n in range(times)]  # fmt: skip
    found = columns(untouched, orders=[order("old", 1)], share_responses=answers)
    assert found["new"] == {"unpaid_touches": times, "touch_alert": alert}
    # Who ordered once is won: the touches are counted and nobody is alarmed.
    assert found["old"] == {"unpaid_touches": times, "touch_alert": False}
    assert found["s"] == {"unpaid_touches": 0, "touch_alert": False}


def test_d27_streaks_stand_beside_the_user() -> None:
    acts = [{"user_id": "a", "kind": "check_in", "happened_at": day(when)} for when in (37, 38, 39)]
    found = columns(streaks, orders=[order("b", 1)], engagements=acts)
    assert found == {"a": {"checkin_week": 3, "checkin_streak": 3}, "b": {"checkin_week": 0, "checkin_streak": 0}}


def test_d31_refunds_of_what_somebody_led_to() -> None:
    orders = [order("b", 10, 100, referrer_id="a", refund_amount=25, refunded_at=day(12)), order("c", 1)]
    found = columns(given_back, orders=orders)
    assert found["a"] == {"moved_refund_share": 0.25, "moved_complaints": 0}
    assert found["c"] == {"moved_refund_share": None, "moved_complaints": None}


def test_d52_what_hangs_on_somebody_who_is_about_to_leave() -> None:
    joins = [("b", "a"), ("c", "b")]
    memberships = [{"community_id": "g", "user_id": user, "inviter_id": inviter, "joined_at": day(2 + n)}
                   for n, (user, inviter) in enumerate(joins)]  # fmt: skip
    found = columns(
        downstream, orders=[order("b", 30, 600), order("c", 30, 200), order("a", 30, 7)], memberships=memberships
    )
    # 800 within 20 days are 400 within a horizon of 10.
    assert found["a"] == {"downstream_people": 2, "downstream_value": 400.0}
    assert found["c"] == {"downstream_people": 0, "downstream_value": 0.0}
    scored = {"churn_probability": pa.array([0.25, None])}
    at_risk = outlook(scored, pa.table({"downstream_value": [400.0, 100.0]}))["downstream_value_at_risk"]
    assert at_risk.to_pylist() == [100.0, None]


def test_d75_head_waist_and_tail() -> None:
    percentiles = np.array([99.5, 99.0, 98.9, 90.0, 89.9, 0.1])
    assert tiers(percentiles).to_pylist() == ["head", "head", "waist", "waist", "tail", "tail"]


def test_d26_four_abilities_each_from_its_own_evidence() -> None:
    days = [("writer", "post", 20), ("writer", "review", 21), ("writer", "post", 22), ("host", "message", 20),
            ("host", "check_in", 21), ("writer", "message", 3)]  # fmt: skip
    acts = [{"user_id": who, "kind": kind, "item_id": "w", "happened_at": day(when)} for who, kind, when in days]
    ties = [{"user_id": who, "influencer_id": "leader"} for who in ("b", "c", "d")]
    orders = [order("b", 30, referrer_id="seller"), order("c", 30, referrer_id="seller"), order("leader", 1)]
    timeline = Timeline(world(until=day(60), orders=orders, engagements=acts, ties=ties))
    facts = user_facts(timeline.frame(AS_OF), timeline.snapshot(AS_OF)).to_pydict()
    users = timeline.frame(AS_OF).users.tolist()
    best = {name: users[int(np.argmax(facts[name]))] for name in facts if name.startswith("ability_")}
    assert best["ability_ugc"] == "writer"
    assert best["ability_community"] == "host"
    assert best["ability_recommendation"] == "seller"
    assert facts["ability_ugc"][users.index("seller")] == 0
    assert all(0 <= value <= 100 for name in best for value in facts[name])


def test_d54_every_user_has_a_stage_of_life() -> None:
    timeline = Timeline(
        world(until=day(60), orders=[order("new", 35), order("gone", 1), *(order("here", n) for n in (1, 25, 36))])
    )
    frame = timeline.frame(AS_OF)
    stages = dict(zip(frame.users, user_facts(frame, timeline.snapshot(AS_OF))["stage"].to_pylist(), strict=True))
    assert stages == {"new": "newcomer", "gone": "dormant", "here": "active"}
