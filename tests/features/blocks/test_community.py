"""Memberships, invitations, engagement and rewards of a few people."""

from dataclasses import replace
from datetime import timedelta

from features.blocks.community import engagement, invitations, memberships, rewards
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def test_memberships() -> None:
    rows = [
        ("c1", "a", 10, 20),
        ("c1", "a", 30, None),  # back again
        ("c2", "a", 35, 45),  # has not left yet
        ("c3", "a", 5, 6),
        ("c1", "b", 39, 39.5),
        (None, "c", 39, None),
    ]
    joined = [
        {"community_id": community, "user_id": user, "joined_at": day(at), "left_at": left and day(left)}
        for community, user, at, left in rows
    ]
    assert by_user(memberships, world(engine=shared_engine(), orders=[], memberships=joined)) == {
        "a": {"communities_now": 2, "communities_all": 3, "joined_days": 35.0},
        "b": {"communities_now": 0, "communities_all": 1, "joined_days": 1.0},
        "c": {"communities_now": 0, "communities_all": 0, "joined_days": 1.0},
    }


INVITED = [
    {"community_id": community, "user_id": user, "inviter_id": inviter, "joined_at": day(at)}
    for community, user, inviter, at in (
        ("c1", "x", "i", 38),
        ("c2", "x", "i", 20),
        ("c1", "y", "i", 30),
        ("c1", "i", "i", 1),
        ("c1", "w", None, 39),
        ("c1", "z", "x", 39),
        ("c1", "v", "i", 40),
    )
]


def test_invitations() -> None:
    assert by_user(invitations, world(engine=shared_engine(), orders=[], memberships=INVITED)) == {
        "i": {
            "invited_3d": 1,
            "invited_10d": 2,
            "invited_20d": 2,
            "invited_all": 2,
            "invited_who_invite": 1,
            "invite_idle_days": 2.0,
        },
        "x": {
            "invited_3d": 1,
            "invited_10d": 1,
            "invited_20d": 1,
            "invited_all": 1,
            "invited_who_invite": 0,
            "invite_idle_days": 1.0,
        },
    }


def test_a_lookback_cuts_invitations_and_not_what_lasts() -> None:
    tables = world(engine=shared_engine(), settings={"lookback": timedelta(days=5)}, orders=[], memberships=INVITED)
    assert by_user(invitations, tables)["i"]["invited_all"] == 1
    assert by_user(memberships, tables)["x"]["joined_days"] == 20.0


def test_engagement() -> None:
    acts = [("post", 39), ("post", 30), ("like", 20), (None, 0), ("review", 40)]
    rows = [{"user_id": "a", "kind": kind, "happened_at": day(at)} for kind, at in acts]
    assert by_user(engagement, world(engine=shared_engine(), orders=[], engagements=rows)) == {
        "a": {
            "engagements_3d": 1,
            "engagements_10d": 2,
            "engagements_20d": 3,
            "engagements_all": 4,
            "engagement_kinds": 2,
        }
    }


def test_engagements_of_one_kind_and_local_day_are_one() -> None:
    # 15:30 and 16:30 UTC lie on two days in Shanghai.
    rows = [
        {"user_id": "a", "kind": kind, "happened_at": day(39) + timedelta(hours=hour)}
        for kind, hour in (
            ("message", 1),
            ("message", 2),
            ("like", 2),
            ("message", 15.5),
            ("message", 16.5),
            (None, 1),
            (None, 2),
        )
    ]
    tables = world(engine=shared_engine(), orders=[], engagements=rows)
    tables = replace(tables, dataset=tables.dataset.model_copy(update={"zone": "Asia/Shanghai"}))
    found = by_user(engagement, tables)
    assert (found["a"]["engagements_3d"], found["a"]["engagement_kinds"]) == (4, 2)


def test_rewards() -> None:
    rows = [{"user_id": "a", "granted_at": day(at)} for at in (39, 30, 20, 0, 40)]
    assert by_user(rewards, world(engine=shared_engine(), orders=[], rewards=rows)) == {
        "a": {"rewards_3d": 1, "rewards_10d": 2, "rewards_20d": 3, "rewards_all": 4}
    }
