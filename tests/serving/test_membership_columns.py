"""Columns about membership, of shops small enough to check by head."""

import re
from typing import Any

import numpy as np
import pytest

from features.tables import Tables
from serving.extra_columns import extra_columns
from serving.membership_columns import clusters, composite, coverage, own_community, standing, sub_scores, teams
from tests.worlds import day, world
from training.timeline import Timeline

AS_OF = day(40)


def shop(**tables: Any) -> Tables:
    orders = [
        {"user_id": user, "item_id": f"i{n}", "amount": 100, "ordered_at": day(5 + n)}
        for user, times in (("buyer", 4), ("friend", 1), ("sharer", 1), ("x", 2))
        for n in range(times)
    ]
    return world(**({"orders": orders, "until": AS_OF} | tables))


def columns(tables: Tables, *makers: Any) -> dict[str, dict[str, Any]]:
    """Column -> user -> value."""
    timeline = Timeline(tables)
    frame = timeline.frame(AS_OF)
    found = extra_columns(timeline.snapshot(AS_OF), frame, makers)
    return {name: dict(zip(frame.users, values.to_pylist(), strict=True)) for name, values in found.items()}


def test_d25_three_abilities_are_told_apart() -> None:
    tables = shop(
        ties=[{"user_id": user, "influencer_id": "friend"} for user in ("a", "b", "c")],
        shares=[{"share_id": f"s{n}", "sharer_id": "sharer", "shared_at": day(20 + n)} for n in range(5)],
        share_responses=[{"share_id": f"s{n}", "responder_id": "x", "responded_at": day(22 + n)} for n in range(3)],
    )
    found = columns(tables, sub_scores)
    best = {name: max(found[name], key=lambda user: found[name][user]) for name in found}
    assert best == {"social_score": "friend", "diffusion_score": "sharer", "transaction_score": "buyer"}
    assert all(0 <= value <= 100 for column in found.values() for value in column.values())


def test_a_composite_is_the_mean_of_percentiles() -> None:
    frame = Timeline(shop()).frame(AS_OF)
    assert frame.users.tolist() == ["buyer", "friend", "sharer", "x"]
    # Four orders, one, one and two: places 4, 1.5, 1.5 and 3 of four, less a half.
    assert composite(frame, ("orders_all",)).tolist() == pytest.approx([87.5, 25.0, 25.0, 62.5])
    assert composite(frame, ("orders_all", "no_such")).tolist() == composite(frame, ("orders_all",)).tolist()
    assert np.isnan(composite(frame, ("no_such",))).all()


def test_d11_d29_standing_of_members() -> None:
    facts = [("buyer", "level", "V3", 1), ("buyer", "tier", "premium", 2), ("x", "tier", "normal", 2),
             ("sharer", "distributor_grant", "yes", 3)]  # fmt: skip
    attributes = [{"user_id": u, "name": name, "value": value, "valid_from": day(at)} for u, name, value, at in facts]
    found = columns(shop(attributes=attributes), standing)
    assert found["tier_paid"] == {"buyer": True, "friend": False, "sharer": False, "x": False}
    assert found["level_rank"] == {"buyer": 3.0, "friend": None, "sharer": None, "x": None}
    assert found["grants_now"] == {"buyer": 0, "friend": 0, "sharer": 1, "x": 0}


def test_d04_d56_d64_spaces_bands_and_teams() -> None:
    rows = [("club", "buyer", None), ("club", "friend", "buyer"), ("tower", "x", None), ("tower", "buyer", None)]
    rows += [("tower", f"n{n}", None) for n in range(50)]
    memberships = [{"community_id": c, "user_id": u, "inviter_id": by, "joined_at": day(1)} for c, u, by in rows]
    communities = [{"community_id": "club", "space": "offline"}, {"community_id": "tower", "space": "community"}]
    found = columns(shop(memberships=memberships, communities=communities), coverage, own_community, teams)
    people = ("buyer", "friend", "sharer", "x")
    assert [found["spaces_covered"][user] for user in people] == [3, 2, 1, 2]
    assert [found["community_band"][user] for user in people] == ["to_149", "to_40", None, "to_149"]
    assert [found["community_members"][user] for user in people] == [52, 2, None, 52]
    assert (found["team_size"]["buyer"], found["team_missing"]["buyer"]) == (1, 2.0)


def test_d81_people_are_told_their_cluster() -> None:
    ties = [{"user_id": a, "influencer_id": b} for a, b in (("buyer", "friend"), ("friend", "x"), ("x", "buyer"))]
    found = columns(shop(ties=ties), clusters)["cluster_id"]
    together = found["buyer"]
    assert found == {"buyer": together, "friend": together, "sharer": None, "x": together}
    assert re.fullmatch("cluster:[0-9a-f]{16}", together)
    more = [*ties, *({"user_id": a, "influencer_id": b} for a, b in (("a1", "a2"), ("a2", "a3"), ("a3", "a1")))]
    apart = columns(shop(ties=more[::-1]), clusters)["cluster_id"]
    assert {user: apart[user] for user in found} == found
