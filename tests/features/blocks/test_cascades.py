"""The chain behind each user as features, of worlds small enough to count."""

from typing import Any

import pytest

from features.blocks.cascades import chain_money, chain_nucleus, chain_people, chain_reach, share_chains
from features.tables import Tables
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def referred(*links: tuple[str, str, float, int], **tables: Any) -> Tables:
    """Orders on the name of the first of each link by the second, at a day, of an amount; each of an item of its own."""
    orders = [
        {"user_id": child, "referrer_id": parent, "ordered_at": day(at), "amount": amount, "item_id": f"i{n}"}
        for n, (parent, child, at, amount) in enumerate(links)
    ]
    return world(engine=shared_engine(), orders=orders, **tables)


CHAIN = (("a", "b", 1, 100), ("a", "c", 2, 20), ("b", "d", 21, 3), ("c", "d", 22, 4), ("d", "e", 38, 500), ("a", "b", 39, 7))


def test_d14_people_by_level_depth_and_breadth() -> None:
    assert by_user(chain_people, referred(*CHAIN))["a"] == {
        "chain_people_1": 2,
        "chain_people_2": 1,
        "chain_people_n": 1,
        "chain_size_3d": 1,
        "chain_size_10d": 1,
        "chain_size_20d": 2,
        "chain_size_all": 4,
        "chain_depth": 3,
        "chain_breadth": 2,
        "chain_idle_days": 2.0,
    }


def test_d15_money_of_the_chain_by_level() -> None:
    assert by_user(chain_money, referred(*CHAIN))["a"] == {
        "chain_money_1": 127,
        "chain_money_2": 7,
        "chain_money_n": 500,
        "chain_money_3d": 507,
        "chain_money_10d": 507,
        "chain_money_20d": 514,
        "chain_money_all": 634,
        "chain_payers": 4,
        "chain_money_each": 634 / 4,
    }


def test_d16_a_nucleus_of_four_who_bring_three_each() -> None:
    first = [("a", f"b{n}", n, 1) for n in range(1, 7)]
    second = [(f"b{n}", f"c{n}{m}", 10 + m, 1) for n in range(1, 5) for m in range(3)]
    lone = [("b6", "d", 12, 1), ("b6", "c10", 13, 1)]
    found = by_user(chain_nucleus, referred(*first, *second, *lone))["a"]
    # b1 to b4 brought three each, b5 nobody, b6 two of whom one was there: 13 people by six, 12 of them by the first five.
    assert found == {
        "nucleus": 4,
        "nucleus_share": pytest.approx(4 / 6),
        "chain_branching_all": pytest.approx(13 / 6),
        "first_five_brought": 12,
    }


def test_whom_somebody_brought_before_they_came_is_not_of_the_nucleus() -> None:
    links = [("b", f"c{n}", 1, 1) for n in range(3)] + [("a", "b", 5, 1)]
    assert by_user(chain_nucleus, referred(*links))["a"]["nucleus"] == 0


def test_d22_reach_beyond_the_own_communities() -> None:
    belongs = [("a", "home"), ("b", "home"), ("b", "work"), ("d", "work"), ("d", "club"), ("left", "club")]
    members = [{"user_id": user, "community_id": name, "joined_at": day(1), "left_at": None} for user, name in belongs]
    members.append({"user_id": "c", "community_id": "gone", "joined_at": day(1), "left_at": day(5)})
    found = by_user(chain_reach, referred(*CHAIN, memberships=members))
    # Of a's chain b shares a community, d does not, c and e are in none.
    assert found["a"] == {"chain_outside": 1, "chain_outside_share": 0.5, "communities_reached": 2}
    # c is in no community now, so that nothing can be said of going beyond it.
    assert found["c"] == {"chain_outside": 1, "chain_outside_share": None, "communities_reached": 2}


def test_d14_single_shares_by_their_cascades() -> None:
    shares = [
        {"share_id": name, "sharer_id": who, "shared_at": day(at), "parent_share_id": parent, "item_id": "tea"}
        for name, who, at, parent in [("s1", "a", 1, None), ("s2", "b", 3, "s1"), ("s3", "a", 5, None), ("s4", "a", 6, None)]
    ]
    taken = [("s1", "b", 2), ("s1", "c", 2), ("s2", "d", 4), ("s3", "c", 6)]
    responses = [{"share_id": of, "responder_id": who, "responded_at": day(at), "action": "join"} for of, who, at in taken]
    orders = [{"user_id": "d", "referrer_id": "b", "item_id": "tea", "ordered_at": day(5), "amount": 90}]
    tables = world(engine=shared_engine(), shares=shares, share_responses=responses, orders=orders)
    assert by_user(share_chains, tables)["a"] == {
        "cascades": 2,
        "cascade_people_max": 3,
        "cascade_depth_max": 2,
        "cascade_breadth_max": 2,
        "cascade_money_max": 90,
        "cascade_people_each": 2.0,
    }
