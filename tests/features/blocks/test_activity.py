"""Acts counted, faded and compared on worlds small enough to check by head."""

from math import exp, log2

import pytest

from features.blocks.activity import activity
from tests.features.blocks.by_user import AS_OF, by_user, shared_engine
from tests.worlds import day, world


def test_acts_of_each_window_begin_with_its_first_moment_and_end_before_as_of() -> None:
    orders = [{"user_id": "a", "ordered_at": at} for at in (day(0), day(20), day(30), day(37), day(39), AS_OF)]
    found = by_user(activity, world(engine=shared_engine(), orders=orders))
    ages = (1, 3, 10, 20, 40)
    assert found == {
        "a": pytest.approx(
            {
                "acts_3d": 2,
                "acts_10d": 3,
                "acts_20d": 4,
                "acts_all": 5,
                "acts_decayed": sum(exp(-age / 10) for age in ages),
                "acts_fast": sum(exp(-age * 6 / 10) for age in ages),
                "idle_days": 1.0,
                "known_days": 40.0,
                "acts_trend": log2((2 + 1) / (4 * 3 / 20 + 1)),
            },
            abs=3e-6,
        )
    }


def test_an_act_a_moment_before_a_window_is_not_in_it() -> None:
    orders = [{"user_id": "a", "ordered_at": day(37 - 1e-9)}, {"user_id": "b", "ordered_at": day(37)}]
    found = by_user(activity, world(engine=shared_engine(), orders=orders))
    assert (found["a"]["acts_3d"], found["b"]["acts_3d"]) == (0, 1)


def test_d01_every_kind_of_act_counts() -> None:
    at = day(39)
    found = by_user(
        activity,
        world(
            engine=shared_engine(),
            orders=[{"user_id": "order", "ordered_at": at}],
            shares=[{"share_id": "h", "sharer_id": "share", "shared_at": at}],
            share_responses=[{"share_id": "h", "responder_id": "response", "responded_at": at}],
            group_buys=[{"group_buy_id": "g", "initiator_id": "opening", "opened_at": at}],
            group_buy_members=[{"group_buy_id": "g", "user_id": "join", "joined_at": at}],
            memberships=[{"user_id": "membership", "joined_at": at}],
            engagements=[{"user_id": "engagement", "happened_at": at}],
            ties=[{"user_id": "followed nobody", "influencer_id": "order"}],
            users=[{"user_id": "registered", "registered_at": at}],
            rewards=[{"user_id": "rewarded", "granted_at": at}],
            outreach=[{"campaign_id": "c", "user_id": "contacted", "contacted_at": at}],
        ),
    )
    assert {user: row["acts_all"] for user, row in found.items()} == dict.fromkeys(
        ("order", "share", "response", "opening", "join", "membership", "engagement"), 1
    )


def test_a_trend_is_zero_for_a_steady_pace_and_negative_for_one_that_fades() -> None:
    orders = [{"user_id": "steady", "ordered_at": day(20.5 + n)} for n in range(20)]
    orders += [{"user_id": "fading", "ordered_at": day(20.5 + n)} for n in range(10)]
    found = by_user(activity, world(engine=shared_engine(), orders=orders))
    assert found["steady"]["acts_trend"] == pytest.approx(0.0)
    assert found["fading"]["acts_trend"] == pytest.approx(log2(1 / 2.5))
