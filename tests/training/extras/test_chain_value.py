"""Chain value on a market by hand, in which a few people bring others month after month, and those bring more."""

from datetime import timedelta

import numpy as np
import pytest

from features.engine import DuckDB
from tests.worlds import day, world
from training.extras.chain_value import COLUMN, ChainValue, chain_values, fit_chain_value, judge, load_chain_value
from training.extras.contract import Skipped
from training.folds import Fold, training_folds
from training.settings import TrainSettings
from training.timeline import Timeline

DAYS, HEADS, STEP = 50, 40, 5
SETTINGS = TrainSettings(dates=3, groups=2, rounds=30, leaves=5, threads=1)


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    """Every fifth day each head brings a friend for 100, who brings another for 10; as many idle people only buy."""
    orders = []
    for number in range(HEADS):
        for place, at in enumerate(range(1, DAYS, STEP)):
            moment = at + number / 100
            friend, further = f"friend{number}-{place % 4}", f"further{number}-{place % 4}"
            item = f"i{number}-{place}"
            orders += [
                {"user_id": f"head{number:02}", "ordered_at": day(moment), "item_id": item, "amount": 1},
                {"user_id": f"idle{number:02}", "ordered_at": day(moment), "item_id": f"x{item}", "amount": 1},
                {"user_id": friend, "ordered_at": day(moment + 1), "item_id": item, "amount": 100,
                 "referrer_id": f"head{number:02}"},
                {"user_id": further, "ordered_at": day(moment + 2), "item_id": item, "amount": 10, "referrer_id": friend},
            ]  # fmt: skip
    return Timeline(world(horizon=timedelta(days=10), until=day(DAYS), engine=DuckDB(threads=1), orders=orders))


@pytest.fixture(scope="module")
def folds(timeline: Timeline) -> list[Fold]:
    return training_folds(timeline, day(DAYS), SETTINGS)


@pytest.fixture(scope="module")
def model(timeline: Timeline, folds: list[Fold]) -> ChainValue:
    fitted = fit_chain_value(timeline, folds, day(DAYS), SETTINGS)
    assert isinstance(fitted, ChainValue)
    return fitted


def test_d15_labels_are_the_chains_of_the_window(timeline: Timeline, folds: list[Fold]) -> None:
    users = folds[0].frame.users.tolist()
    found = chain_values(timeline, folds[0], day(DAYS))
    # Two rounds of ten days: two friends for 100 each, who bring one for 10 each.
    assert (found["chain_size"][users.index("head00")], found["chain_value"][users.index("head00")]) == (4, 220)
    assert found["chain_size"][users.index("idle00")] == 0


def test_heads_are_expected_to_bring_more_than_their_friends_and_idle_people(model: ChainValue, timeline: Timeline) -> None:
    frame = timeline.frame(day(DAYS))
    value = dict(zip(frame.users, model.score(timeline.snapshot(day(DAYS)), frame)[COLUMN], strict=True))
    means = {kind: np.mean([value[user] for user in value if user.startswith(kind)]) for kind in ("head", "friend", "idle")}
    assert means["head"] > 100 > means["friend"]
    assert means["friend"] > means["idle"]


def test_a_loaded_model_says_the_same(model: ChainValue, timeline: Timeline) -> None:
    loaded = load_chain_value(model.files())
    given = timeline.snapshot(day(DAYS)), timeline.frame(day(DAYS))
    np.testing.assert_array_equal(loaded.score(*given)[COLUMN], model.score(*given)[COLUMN])
    assert (loaded.files(), loaded.report()) == (model.files(), model.report())


def test_judged_are_those_with_a_chain() -> None:
    value, brought = np.array([5.0, 3.0, 1.0, 9.0]), np.array([True, True, True, False])
    found = judge(np.array([3.0, 2.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0, 0.0]), value, brought)
    assert found == {"people_with_a_chain": 3.0, "spearman": pytest.approx(1.0), "spearman_past_size": pytest.approx(-1.0)}


def test_too_few_people_are_skipped_with_their_number(
    timeline: Timeline, folds: list[Fold], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.extras.chain_value.LEAST_PEOPLE", 10_000)
    found = fit_chain_value(timeline, folds, day(DAYS), SETTINGS)
    assert isinstance(found, Skipped)
    assert "people had a chain of any value in the training windows, 10000 are needed" in found.reason
