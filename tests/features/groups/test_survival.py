"""Survival of communities whose fate is written by hand."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.groups.survival import AHEAD, GRACE, Survival, fit_logistic, survival_of
from features.snapshot import take_snapshot
from tests.worlds import day, world

TODAY = 400


def survival(lives: dict[str, tuple[str, float, float]]) -> Survival:
    """lives: community -> origin, day of birth and of the last act; somebody acts every five days."""
    memberships, engagements = [], []
    for name, (_, born, died) in lives.items():
        memberships.append({"community_id": name, "user_id": f"{name}-1", "joined_at": day(born)})
        engagements += [
            {"community_id": name, "user_id": f"{name}-1", "kind": "message", "happened_at": day(at)}
            for at in np.arange(born + 1, min(died, TODAY + 50), 5.0)
        ]
    tables = world(orders=[], memberships=memberships, engagements=engagements, until=day(TODAY))
    snapshot = take_snapshot(tables, day(TODAY))
    found = survival_of(snapshot, pa.array(list(lives), pa.string()), pa.array([origin for origin, _, _ in lives.values()]))
    assert found is not None
    return found


def lives(n: int) -> dict[str, tuple[str, float, float]]:
    """Every relation-born community lives on, event-born ones live 100 days."""
    told: dict[str, tuple[str, float, float]] = {}
    for number in range(n):
        born = number * 360 / n
        told[f"r{number:02}"] = ("relation", born, 1_000)
        told[f"e{number:02}"] = ("event", born, born + 100)
    return told


def test_d55_event_born_communities_die_faster() -> None:
    told = lives(20)
    found = survival(told)
    event = np.array([origin == "event" for origin, _, _ in told.values()])
    assert found.base_rate[event][0] < 0.2
    assert found.base_rate[~event][0] > 0.9
    assert found.probability[~event & found.alive].min() > found.probability[event & found.alive].max()


def test_d51_the_base_rate_is_a_count_of_communities_that_were_alive() -> None:
    # The one date that can be learned from with thirty days of history is day 280.
    first = TODAY - AHEAD - GRACE - 40
    told = {
        "lives": ("relation", first, 1_000.0),
        "dies": ("relation", first, first + 60.0),
        "new": ("relation", 395.0, 1_000.0),
    }
    found = survival(told)
    assert found.counted.tolist() == [2, 2, 2]
    assert found.base_rate[0] == pytest.approx((1 + 1) / (2 + 2))
    assert found.alive.tolist() == [True, False, True]
    assert found.silent_days[0] < 5
    # Too few to learn from: everybody gets the rate of all.
    assert found.probability.tolist() == [0.5, 0.5, 0.5]


def test_d49_what_happens_later_is_not_known() -> None:
    told = lives(10)
    until_now = {name: (origin, born, min(died, TODAY - 0.5)) for name, (origin, born, died) in told.items()}
    np.testing.assert_array_equal(survival(told).probability, survival(until_now).probability)


def test_without_talk_that_names_communities_there_is_nothing_to_say() -> None:
    rows: list[dict[str, Any]] = [{"community_id": "c", "user_id": "a", "joined_at": day(1)}]
    snapshot = take_snapshot(world(orders=[], memberships=rows), day(40))
    assert survival_of(snapshot, pa.array(["c"]), pa.array([None], pa.string())) is None


def test_the_fit_keeps_the_mean_and_finds_the_direction() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4_000, 2))
    y = rng.random(4_000) < 1 / (1 + np.exp(-(0.5 + 2 * x[:, 0])))
    fitted = fit_logistic(x, y, x)
    assert fitted.mean() == pytest.approx(y.mean(), abs=1e-6)
    ahead = fit_logistic(x, y, np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))
    assert ahead == pytest.approx([0.622, 0.924, 0.622], abs=0.03)
    # All of one fate: near it, and no further.
    assert 0.99 < fit_logistic(x, np.ones(4_000, dtype=bool), x).min() < 1
