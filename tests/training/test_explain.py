import numpy as np
import pytest

from features.engine import DuckDB
from tests.busy import busy_world
from tests.training.columns import all_columns
from tests.worlds import day
from training.backtest import fit_koc, training_folds
from training.explain import reason_contributions, reason_of_columns, say_reasons
from training.matrix import Matrix
from training.pipeline import Trained
from training.ranker import Ranker
from training.reasons import REASONS
from training.settings import TrainSettings
from training.timeline import Timeline

WINDOWS = {"14d": None, "42d": None, "84d": None}


def test_every_feature_of_the_dictionary_belongs_to_a_reason() -> None:
    columns = all_columns(WINDOWS)
    reasons = dict(zip(columns, (REASONS[index].name for index in reason_of_columns(columns, WINDOWS)), strict=True))
    assert set(reasons.values()) == {reason.name for reason in REASONS if reason.blocks}
    assert reasons["influence_42d"] == "influence given"
    assert reasons["responses_all"] == "responses drawn"
    assert reasons["followers"] == "people around"
    assert reasons["followers_sum_followers"] == "people around"
    assert reasons["following_mean_acts_14d"] == "people around"
    assert reasons["recency_days"] == "purchases"


def test_contributions_sum_to_the_margin(trained: Trained, timeline: Timeline) -> None:
    ranker = trained.bundle.ranker
    assert ranker
    matrix = timeline.matrix(trained.bundle.as_of)
    rows = [5, 0, 17, len(matrix.users) - 1]
    parts = reason_contributions(ranker, matrix, rows, timeline.snapshot(trained.bundle.as_of).windows)
    assert parts.shape == (4, len(REASONS) + 1)
    np.testing.assert_allclose(parts.sum(axis=1), ranker.margin(matrix.select(ranker.columns))[rows], atol=1e-6)
    assert np.abs(parts[:, :-1]).max() > 0.01


def test_reasons_say_what_the_tables_say(trained: Trained, timeline: Timeline) -> None:
    ranker, as_of = trained.bundle.ranker, trained.bundle.as_of
    assert ranker
    matrix = timeline.matrix(as_of)
    best = np.argsort(-ranker.margin(matrix.select(ranker.columns)))[:50].tolist()
    said = say_reasons(ranker, matrix, best, timeline.snapshot(as_of).windows, "42d")
    assert len(said["en"]) == len(said["zh"]) == 50
    moved, ever = matrix.column("people_moved_42d")[best], matrix.column("people_moved_all")[best]
    told = [place for place, text in enumerate(said["en"]) if "people moved: " in text]
    assert told
    for place in told:
        assert f"people moved: {moved[place]:.0f} in 42 days, {ever[place]:.0f} ever" in said["en"][place]
        assert f"近 42 天带动 {moved[place]:.0f} 人，累计 {ever[place]:.0f} 人" in said["zh"][place]


class Raising(Ranker):
    """A ranker in which every feature raises the score by as much."""

    def __init__(self, columns: tuple[str, ...]) -> None:
        super().__init__(columns, [])

    def contributions(self, x: np.ndarray) -> np.ndarray:
        return np.ones((len(x), len(self.columns) + 1))


def test_nothing_is_said_of_what_a_dataset_does_not_tell() -> None:
    columns = ("shares_42d", "shares_all", "communities_all", "recency_days", "orders_42d", "acts_42d")
    x = np.array([[2, 5, 1, np.nan, 3, 7]], np.float32)
    matrix = Matrix(np.array(["a"], object), x, columns, {"own": columns, "graph": ()})
    for column, expected in {
        "shares_all": "shares: 2 in 42 days, 5 ever",
        "communities_all": "communities joined: 1",
        "recency_days": "orders: 3 in 42 days",
        "acts_42d": "acts: 7 in 42 days",
    }.items():
        assert say_reasons(Raising((column,)), matrix, [0], WINDOWS, "42d")["en"] == [expected]
    only = Matrix(matrix.users, matrix.x[:, :1], ("influence_all",), {"own": ("influence_all",), "graph": ()})
    said = say_reasons(Raising(("influence_all",)), only, [0], WINDOWS, "42d")
    assert said == {"en": ["nothing stands out"], "zh": ["暂无突出原因"]}


@pytest.mark.parametrize("table", ["share_responses"])
def test_a_dataset_of_one_table_is_explained(table: str) -> None:
    timeline = Timeline(busy_world(table, engine=DuckDB(threads=1)))
    folds = training_folds(timeline, day(60), TrainSettings(dates=1))
    ranker = fit_koc(folds, "lightgbm", TrainSettings(rounds=5, seeds=1))
    matrix = folds[0].matrix
    said = say_reasons(ranker, matrix, range(len(matrix.users)), timeline.snapshot(day(60)).windows, "10d")
    assert len(said["en"]) == len(said["zh"]) == len(matrix.users)
    assert all(said["en"])
    assert not any("followers" in text or "orders" in text for text in said["en"])
