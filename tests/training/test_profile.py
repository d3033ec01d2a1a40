from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.training.frames import frame_of
from training.frame import Frame
from training.profile import CHURN, KOC_SCORE, Bins, Profile, counted, limit_of, psi

FEATURES = 30


def population(seed: int, people: int = 1_000, shift: dict[str, float] | None = None) -> tuple[Frame, Any]:
    """Features of several shapes with holes, f00 to f29, and two scores; ``shift``: added to the values of these columns."""
    rng = np.random.default_rng(seed)
    x = {}
    for number in range(FEATURES):
        values = (
            rng.normal(size=people),
            rng.poisson(0.3, people).astype(float),
            rng.lognormal(size=people),
        )[number % 3]
        name = f"f{number:02}"
        values = values + (shift or {}).get(name, 0.0)
        x[name] = np.where(rng.random(people) < 0.1 * (number % 2), np.nan, values)
    users = [f"u{number:05}" for number in range(people)]
    margin = rng.normal(size=people) + (shift or {}).get(KOC_SCORE, 0.0)
    frame = frame_of(users, x, buyers=users[: people // 2])
    return frame, SimpleNamespace(margin=margin, churn=rng.beta(2, 3, people))


def shifted(profile: Profile, frame: Frame, said: Any) -> set[str]:
    return {str(row["column"]) for row in profile.drift(frame, said) if row["shifted"]}


def test_d77_exactly_the_shifted_columns_are_told() -> None:
    profile = Profile.of(*population(0))
    moved = {"f00": 1.0, "f01": 1.0, "f17": 2.0, KOC_SCORE: 1.0}
    for seed in range(1, 6):
        assert shifted(profile, *population(seed, shift=moved)) == {*moved}


@pytest.mark.parametrize("people", [100, 400])
def test_d77_unshifted_data_raise_no_alarm(people: int) -> None:
    """Fewer than 5 % of the comparisons, each of all columns at once, may call any column shifted."""
    alarms = 0
    for seed in range(100):
        profile = Profile.of(*population(2 * seed, people))
        alarms += bool(shifted(profile, *population(2 * seed + 1, people)))
    assert alarms < 5


def test_d77_what_moved_before_training_may_go_on_at_its_pace() -> None:
    frame, said = population(0)
    profile = Profile.of(frame, said, before=population(1, shift={"f03": -2.0, "f04": -2.0})[0])
    assert {name for name, bins in profile.columns.items() if bins.pace > 1} == {"f03", "f04"}
    later, said = population(2, shift={"f03": 2.0, "f05": 2.0, KOC_SCORE: 2.0})
    assert shifted(profile, later, said) == {"f05", KOC_SCORE}
    # Twice as fast is another pace, and so is the loss of all values.
    assert "f03" in shifted(profile, *population(2, shift={"f03": 5.0}))
    later.matrix.x[:, later.matrix.columns.index("f04")] = np.nan
    assert "f04" in shifted(profile, later, said)
    assert Profile.from_json(profile.to_json()) == profile


def test_the_index_is_the_sum_that_is_published() -> None:
    # (.6 - .5) ln(.6/.5) + (.4 - .5) ln(.4/.5), of samples so large that smoothing does not show.
    wanted = 0.1 * np.log(1.2) - 0.1 * np.log(0.8)
    assert psi([500_000, 500_000], [600_000, 400_000]) == pytest.approx(wanted, abs=1e-6)
    assert psi([5, 5, 0], [50, 50, 0]) == 0.0
    assert np.isfinite(psi([10, 0], [0, 10]))


def test_bins_hold_equal_parts_and_unknown_values_their_own() -> None:
    bins = Bins.of("feature", np.array([*range(100), np.nan, np.nan], float))
    assert bins.edges == tuple(float(edge) for edge in range(9, 99, 10))
    assert bins.counts == (10,) * 10 + (2,)
    assert counted(bins.edges, np.array([-5.0, 9.0, 9.5, 1000.0, np.nan])) == (2, 1, *(0,) * 7, 1, 1)


def test_a_value_that_most_share_is_one_edge() -> None:
    bins = Bins.of("feature", np.array([0.0] * 95 + [1.0] * 5))
    assert bins.edges == (0.0,)
    assert bins.counts == (95, 5, 0)
    assert Bins.of("feature", np.full(3, np.nan)).counts == (0, 3)


def test_a_value_that_goes_missing_is_a_shift() -> None:
    frame, said = population(0)
    profile = Profile.of(frame, said)
    frame.matrix.x[:400, 0] = np.nan
    (row,) = [row for row in profile.drift(frame, said) if row["shifted"]]
    assert (row["column"], row["unknown_then"], row["unknown_now"]) == ("f00", 0.0, 0.4)


def test_of_few_people_more_is_put_down_to_chance() -> None:
    assert limit_of([10] * 10, [10] * 10, 60) > 0.5 > limit_of([1000] * 10, [1000] * 10, 60) == 0.2


def test_a_profile_comes_back_from_its_file_and_skips_columns_that_are_gone() -> None:
    profile = Profile.of(*population(0))
    assert Profile.from_json(profile.to_json()) == profile
    frame, said = population(1)
    said.margin = None
    assert {row["column"] for row in profile.drift(frame, said)} == {*profile.columns} - {KOC_SCORE}


def test_the_probability_of_leaving_is_that_of_buyers() -> None:
    frame, said = population(0)
    assert Profile.of(frame, said).columns[CHURN].counts[-1] == 500
    rows = np.arange(1_000) % 4 == 0
    of_some = SimpleNamespace(margin=said.margin[rows], churn=said.churn[rows])
    assert Profile.of(frame, of_some, rows).columns[CHURN].counts[-1] == 125
