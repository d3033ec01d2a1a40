from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from features.errors import TrainingError
from tests.training.frames import frame_of
from training.calibrate import Calibration, fit_calibration
from training.churn import ChurnModel, ChurnTrees, calibrated, fit_churn_trees, probability_of, standings
from training.frame import Frame
from training.matrix import Floats
from training.metrics import auroc
from training.settings import TrainSettings

SETTINGS = TrainSettings(groups=2, rounds=40, threads=1)
COLUMNS = ("recency_days", "noise")
Flags = npt.NDArray[np.bool_]
Rows = tuple[Frame, Flags]


def rows_of(share: float, *, rows: int = 3_000, seed: int = 0, later: float = 0.0) -> Rows:
    """Buyers whose recency lies in [0, 1], ``later`` days more, and noise; ``share`` of them churn, those longest gone three
    times as often as the latest."""
    rng = np.random.default_rng(seed)
    recency = rng.random(rows)
    users = [f"u{number:05}" for number in range(rows)]
    frame = frame_of(users, {"recency_days": recency + later, "noise": rng.random(rows)}, buyers=users)
    return frame, rng.random(rows) < share * (0.5 + recency)


def fitted(
    rows: Sequence[Rows], settings: TrainSettings = SETTINGS, *, standing: bool = False
) -> tuple[ChurnTrees, Floats, Flags]:
    churned = np.concatenate([label for _, label in rows])
    frames, groups = [frame for frame, _ in rows], np.arange(len(churned)) % settings.groups
    buyers = [frame.churn_population for frame in frames]
    return *fit_churn_trees(frames, buyers, churned, groups, COLUMNS, settings, standing=standing), churned


def model_of(rows: Sequence[Rows], settings: TrainSettings = SETTINGS, *, standing: bool = False) -> ChurnModel:
    trees, unseen, churned = fitted(rows, settings, standing=standing)
    return calibrated([trees], [unseen], churned)


@pytest.mark.parametrize("standing", [False, True])
def test_probabilities_are_those_of_people_not_seen_before(standing: bool) -> None:
    churn = model_of([rows_of(0.3, seed=1)], standing=standing)
    frame, label = rows_of(0.3, seed=2)
    probability = churn.probability(frame)
    assert churn.trees[0].columns == COLUMNS
    assert ((probability > 0) & (probability < 1)).all()
    assert probability.mean() == pytest.approx(label.mean(), abs=0.03)
    assert auroc(label, probability) > 0.57


def test_calibration_sees_what_is_said_of_people_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # Outcomes by the toss of a coin: whoever seems to be able to tell them has seen them.
    frame, _ = rows_of(0.3, rows=2_000)
    label = np.random.default_rng(5).random(2_000) < 0.5
    said: list[Floats] = []
    monkeypatch.setattr(
        "training.churn.fit_calibration",
        lambda probability, label: said.append(probability) or fit_calibration(probability, label),
    )
    churn = model_of([(frame, label)])
    assert auroc(label, churn.trees[0].odds(frame)) > 0.6
    assert auroc(label, said[0]) == pytest.approx(0.5, abs=0.04)


def test_unseen_odds_are_of_the_member_that_has_not_seen_the_row() -> None:
    rows = rows_of(0.3, rows=500)
    trees, unseen, _ = fitted([rows])
    members = [replace(trees, boosters=[booster]).odds(rows[0]) for booster in trees.boosters]
    np.testing.assert_array_equal(unseen, np.where(np.arange(500) % 2 == 0, *members))
    np.testing.assert_allclose(trees.odds(rows[0]), np.mean(members, axis=0), rtol=1e-12)


def test_only_the_churn_population_teaches() -> None:
    frame, label = rows_of(0.3, rows=600)
    buyers = np.arange(600) % 3 > 0
    some = replace(frame, churn_population=buyers)
    few = frame_of(frame.users[buyers].tolist(), {name: frame.matrix.column(name)[buyers] for name in COLUMNS},
                   buyers=frame.users[buyers].tolist())  # fmt: skip
    one, other = (fitted([(each, label[buyers])])[1] for each in (some, few))
    assert len(one) == 400
    np.testing.assert_array_equal(one, other)


def test_standings_of_some_rows_are_those_among_all_buyers() -> None:
    frame, label = rows_of(0.3, rows=600)
    some = np.random.default_rng(0).random(600) < 0.3
    trees, unseen = fit_churn_trees(
        [frame], [some], label[some], np.arange(some.sum()) % 2, COLUMNS, SETTINGS, standing=True
    )
    assert unseen.shape == (some.sum(),)
    members = [replace(trees, boosters=[booster]).odds(frame)[some] for booster in trees.boosters]
    np.testing.assert_array_equal(unseen, np.where(np.arange(some.sum()) % 2 == 0, *members))


def test_standings_are_percentiles_among_the_buyers_of_the_date() -> None:
    x = {"recency_days": [1.0, 9.0, 4.0, 4.0, 7.0], "noise": [np.nan, 5.0, np.nan, 3.0, 8.0]}
    frame = frame_of(["a", "b", "c", "d", "e"], x, buyers=["a", "c", "d", "e"])
    # b is no buyer; c and d share their place; the unknown has none.
    nan = np.nan
    expected = [[nan, 0.25], [nan, nan], [nan, 0.625], [0.5, 0.625], [1.0, 1.0]]
    np.testing.assert_array_equal(standings(frame, ("noise", "recency_days")), np.array(expected, np.float32))
    some = np.array([False, True, True, False, True])
    np.testing.assert_array_equal(standings(frame, ("noise", "recency_days"), some), np.array(expected, np.float32)[some])


def test_standings_take_no_notice_of_what_moves_everybody() -> None:
    trees = fitted([rows_of(0.3, seed=1)], standing=True)[0]
    frame, moved = (rows_of(0.3, seed=2, later=later)[0] for later in (0.0, 40.0))
    np.testing.assert_allclose(trees.odds(moved), trees.odds(frame), atol=0.2)
    assert np.corrcoef(trees.odds(moved), trees.odds(frame))[0, 1] > 0.99
    values = fitted([rows_of(0.3, seed=1)])[0]
    # By value all are gone for longer than anybody ever was.
    assert values.odds(moved).mean() > values.odds(frame).mean() + 0.1


class Saying(ChurnTrees):
    """Trees that say one log-odds of everybody."""

    def __init__(self, odds: float) -> None:
        super().__init__((), (), False)
        object.__setattr__(self, "said", odds)

    def odds(self, frame: Frame, only: Rows | None = None) -> Floats:  # noqa: ARG002
        return np.full(len(frame.users), self.said)  # type: ignore[attr-defined]


def test_probability_is_that_of_the_mean_log_odds() -> None:
    frame = frame_of(["a", "b"], {"noise": [0.0, 0.0]})
    as_it_is = Calibration((-10.0, 10.0), (-10.0, 10.0))
    both = ChurnModel((Saying(1.0), Saying(-3.0)), as_it_is).probability(frame)
    assert both == pytest.approx([1 / (1 + np.exp(1.0))] * 2)
    assert probability_of(np.array([0.0, np.log(3)])) == pytest.approx([0.5, 0.75])


def test_the_same_rows_give_the_same_bits_on_any_number_of_threads() -> None:
    rows = [rows_of(0.3)]
    first, second = model_of(rows), model_of(rows, replace(SETTINGS, threads=2))
    np.testing.assert_array_equal(first.probability(rows[0][0]), second.probability(rows[0][0]))
    assert first.calibration == second.calibration
    other = model_of(rows, replace(SETTINGS, seed=9))
    assert not np.array_equal(first.probability(rows[0][0]), other.probability(rows[0][0]))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ([], "nobody ordered in the two horizons before any training date; choose a later date"),
        ([False] * 4, "no churner among 4 training rows, or in one group .* choose another horizon, or earlier dates"),
        ([True] * 4, "no stayer among 4 training rows, or in one group of people only; choose another horizon"),
        # The member that has not seen the others would learn from stayers alone.
        ([True, False, True, False], "no churner among 4 training rows, or in one group of people only"),
    ],
)
def test_rows_that_say_nothing_are_refused(label: list[bool], message: str) -> None:
    users = [f"u{number}" for number in range(len(label))]
    frame = frame_of(users, {"recency_days": [1.0] * len(label), "noise": [1.0] * len(label)}, buyers=users)
    with pytest.raises(TrainingError, match=message):
        fitted([(frame, np.array(label, bool))])
