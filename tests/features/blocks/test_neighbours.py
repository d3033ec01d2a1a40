"""Sums over the people around, and tastes that they share, on a handful of people."""

import pyarrow as pa
import pytest

from features.blocks.all import ALL_BLOCKS
from features.blocks.block import Feature
from features.blocks.neighbours import AGGREGATED, SIDES, neighbour_features, neighbour_table, shared_taste
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import day, world


def test_shared_taste() -> None:
    # The attribution window is 5 days: what a bought on day 35 or later can still be followed.
    bought = {
        "a": (("x", 10), ("w", 34.9), ("z", 35), ("y", 36)),
        "f1": (("x", 5), ("y", 37), ("y", 38)),
        "f2": (("v", 5),),
    }
    orders = [{"user_id": u, "item_id": item, "ordered_at": day(at)} for u, rows in bought.items() for item, at in rows]
    ties = [{"user_id": follower, "influencer_id": "a"} for follower in ("f1", "f2", "f3 never seen")]
    ties += [{"user_id": "a", "influencer_id": "f2"}, {"user_id": "f1", "influencer_id": "f3 never seen"}]
    found = by_user(shared_taste, world(engine=shared_engine(), orders=orders, ties=ties))
    assert found == {
        "a": pytest.approx(
            {
                "shared_subjects": 2,  # x and y with f1
                "shared_with": 1,
                "shared_each": 2 / 4,
                "open_pairs": 1 + 2 + 2,  # z for f1; z and y for the others
                "open_to_active": 1,
                "open_expected": 1 * (2 / 4),
            }
        ),
        "f2": {
            "shared_subjects": 0,
            "shared_with": 0,
            "shared_each": 0.0,
            "open_pairs": 0,
            "open_to_active": 0,
            "open_expected": 0.0,
        },
    }


def test_a_follower_is_active_from_the_first_moment_of_the_middle_window() -> None:
    orders = [{"user_id": "a", "item_id": "x", "ordered_at": day(39)}]
    orders += [{"user_id": u, "item_id": "v", "ordered_at": day(at)} for u, at in (("f1", 30), ("f2", 29.99))]
    ties = [{"user_id": follower, "influencer_id": "a"} for follower in ("f1", "f2")]
    found = by_user(shared_taste, world(engine=shared_engine(), orders=orders, ties=ties))
    assert (found["a"]["open_pairs"], found["a"]["open_to_active"]) == (2, 1)


def test_sums_and_means_over_known_neighbours_on_both_sides() -> None:
    engine = shared_engine()
    base = engine.from_arrow(pa.table({"user_id": ["a", "b", "c"], "acts_all": [1, 2, 5]}))
    pairs = engine.from_arrow(pa.table({"user_id": ["b", "c", "unknown", "a"], "influencer_id": ["a", "a", "a", "unknown"]}))

    def found(side: str) -> list[dict[str, object]]:
        return sorted(
            engine.to_arrow(neighbour_table(base, pairs, ["acts_all"], side)).to_pylist(), key=lambda row: row["user_id"]
        )

    assert found("followers") == [
        {"user_id": "a", "followers_sum_acts_all": 7, "followers_mean_acts_all": 3.5},
        {"user_id": "unknown", "followers_sum_acts_all": 1, "followers_mean_acts_all": 1.0},
    ]
    assert found("following") == [
        {"user_id": user, "following_sum_acts_all": 1, "following_mean_acts_all": 1.0} for user in ("b", "c", "unknown")
    ]


def test_dictionary_lines_of_what_is_there() -> None:
    own = [
        Feature("followers", "int64", "people", "who follow"),
        Feature("idle_days", "float64", "days", "not aggregated"),
        Feature("acts_{w}", "int64", "acts", "in the window"),
    ]
    lines = neighbour_features(own)
    assert [line.name for line in lines] == [
        f"{side}_{how}_{name}" for side in SIDES for how in ("sum", "mean") for name in ("acts_{w}", "followers")
    ]
    assert lines[0] == Feature(
        "followers_sum_acts_{w}", "int64", "acts", "sum over people whom the user may influence: in the window"
    )
    assert [line.dtype for line in lines[:4]] == ["int64", "int64", "float64", "float64"]


def test_only_own_counts_are_aggregated() -> None:
    own = {feature.name: feature for block in ALL_BLOCKS if block.scope == "own" for feature in block.features}
    assert set(AGGREGATED) <= set(own)
    assert {own[name].dtype for name in AGGREGATED} == {"int64"}
