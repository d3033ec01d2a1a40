import numpy as np
import pytest

from features.engine import DuckDB
from tests.busy import busy_world
from tests.training.columns import all_columns
from tests.training.frames import frame_of
from tests.worlds import day
from training.explain import reason_contributions, reason_of_columns, say_reasons, side_sums
from training.folds import Panel, training_folds
from training.frame import Frame
from training.hybrid import Hybrid, Said, fit_hybrid
from training.matrix import Floats
from training.pipeline import Trained
from training.reasons import REASONS
from training.settings import TrainSettings
from training.timeline import Timeline

WINDOWS = ("14d", "42d", "84d")


def test_every_feature_of_the_dictionary_belongs_to_a_reason() -> None:
    columns = all_columns(dict.fromkeys(WINDOWS))
    reasons = dict(zip(columns, (REASONS[index].name for index in reason_of_columns(columns, WINDOWS)), strict=True))
    assert set(reasons.values()) == {reason.name for reason in REASONS if reason.blocks}
    assert reasons["influence_42d"] == "influence given"
    assert reasons["responses_all"] == "responses drawn"
    assert reasons["followers"] == "people around"
    assert reasons["followers_sum_followers"] == "people around"
    assert reasons["following_mean_acts_14d"] == "people around"
    assert reasons["recency_days"] == "purchases"


@pytest.fixture(scope="module")
def hybrid(trained: Trained) -> Hybrid:
    return trained.bundle.hybrid


@pytest.fixture(scope="module")
def frame(trained: Trained, timeline: Timeline) -> Frame:
    return timeline.frame(trained.bundle.as_of)


@pytest.fixture(scope="module")
def said(hybrid: Hybrid, frame: Frame) -> Said:
    return hybrid.said(frame)


def margin_of(said: Said) -> Floats:
    assert said.margin is not None
    return said.margin


def test_contributions_sum_to_the_margin_of_everybody(hybrid: Hybrid, frame: Frame, said: Said) -> None:
    parts = reason_contributions(hybrid, frame, said, range(len(frame.users)))
    assert parts.shape == (len(frame.users), len(REASONS) + 1)
    np.testing.assert_allclose(parts.sum(axis=1), margin_of(said), atol=1e-6)
    # The base is that of all.
    assert np.ptp(parts[:, -1]) < 1e-9
    assert np.abs(parts[:, :-1]).max() > 0.01


def test_rows_may_be_asked_for_in_any_order_and_in_parts(
    hybrid: Hybrid, frame: Frame, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [5, 0, 17, len(frame.users) - 1]
    whole = reason_contributions(hybrid, frame, said, range(len(frame.users)))
    monkeypatch.setattr("training.explain.ROWS_AT_ONCE", 3)
    np.testing.assert_allclose(reason_contributions(hybrid, frame, said, rows), whole[rows], atol=1e-12)
    assert reason_contributions(hybrid, frame, said, []).shape == (0, len(REASONS) + 1)


@pytest.mark.parametrize("view", ["gnn", "ties"])
def test_the_network_and_the_tie_model_are_named_inputs(hybrid: Hybrid, frame: Frame, said: Said, view: str) -> None:
    (place,) = [index for index, reason in enumerate(REASONS) if view in reason.inputs]
    assert hybrid.stack
    rows, at = range(len(frame.users)), hybrid.stack.views.index(view)
    weight, centre = hybrid.stack.weights[at], hybrid.stack.centre[at]
    parts = reason_contributions(hybrid, frame, said, rows)
    silent = Said({**said.views, view: np.full(len(frame.users), centre)}, None, None)
    without = reason_contributions(hybrid, frame, silent, rows)
    # What it says of a user above its mean is its own reason, and no other's.
    np.testing.assert_allclose((parts - without)[:, place], weight * (said.views[view] - centre), atol=1e-9)
    np.testing.assert_array_equal(np.delete(parts, place, axis=1), np.delete(without, place, axis=1))


def test_d33_willingness_and_reach_add_up_to_what_is_above_the_base(hybrid: Hybrid, frame: Frame, said: Said) -> None:
    parts = reason_contributions(hybrid, frame, said, range(50))
    sides = side_sums(parts)
    assert set(sides) == {"willingness", "reach"}
    np.testing.assert_allclose(sum(sides.values()), parts[:, :-1].sum(axis=1), atol=1e-9)
    reach = [index for index, reason in enumerate(REASONS) if reason.side == "reach"]
    np.testing.assert_allclose(sides["reach"], parts[:, reach].sum(axis=1), atol=1e-12)


def test_reasons_say_what_the_tables_say(hybrid: Hybrid, frame: Frame, said: Said) -> None:
    matrix = frame.matrix
    best = np.argsort(-margin_of(said))[:50].tolist()
    parts = reason_contributions(hybrid, frame, said, best)
    told = say_reasons(parts, frame, said, best)
    assert len(told["en"]) == len(told["zh"]) == 50
    expected = np.exp(said.views["ties"])[best]
    named = [place for place, text in enumerate(told["en"]) if "followers likely to follow: " in text]
    assert named
    assert all(f"followers likely to follow: {expected[place]:.0f}" in told["en"][place] for place in named)
    # As if nothing but past influence spoke for them.
    (influence,) = [index for index, reason in enumerate(REASONS) if reason.name == "influence given"]
    parts[:, np.arange(parts.shape[1]) != influence] = 0.0
    told = say_reasons(parts, frame, said, best)
    moved, ever = matrix.column("people_moved_42d")[best], matrix.column("people_moved_all")[best]
    named = [place for place, text in enumerate(told["en"]) if "people moved: " in text]
    assert len(named) > 20
    for place in named:
        assert f"people moved: {moved[place]:.0f} in 42 days, {ever[place]:.0f} ever" in told["en"][place]
        assert f"近 42 天带动 {moved[place]:.0f} 人，累计 {ever[place]:.0f} 人" in told["zh"][place]


def raised(*columns: str) -> Floats:
    """(1, reasons + 1) parts in which the reasons of ``columns`` raise the score."""
    parts = np.zeros((1, len(REASONS) + 1))
    parts[0, reason_of_columns(columns, WINDOWS)] = 1.0
    return parts


def test_nothing_is_said_of_what_a_dataset_does_not_tell() -> None:
    x = {"shares_42d": 2.0, "shares_all": 5.0, "communities_all": 1.0, "recency_days": np.nan, "orders_42d": 3.0,
         "acts_42d": 7.0}  # fmt: skip
    frame = frame_of(["a"], {name: [value] for name, value in x.items()}, horizon_days=42)
    nothing = Said({}, None, None)
    for column, expected in {
        "shares_all": "shares: 2 in 42 days, 5 ever",
        "communities_all": "communities joined: 1",
        "recency_days": "orders: 3 in 42 days",
        "acts_42d": "acts: 7 in 42 days",
    }.items():
        assert say_reasons(raised(column), frame, nothing, [0])["en"] == [expected]
    told = say_reasons(raised("influence_all"), frame_of(["a"], {"influence_all": [2.0]}), nothing, [0])
    assert told == {"en": ["nothing stands out"], "zh": ["暂无突出原因"]}


def test_likely_followers_are_those_that_the_tie_model_expects() -> None:
    (place,) = [index for index, reason in enumerate(REASONS) if "ties" in reason.inputs]
    parts = np.zeros((2, len(REASONS) + 1))
    parts[:, place] = 1.0
    frame = frame_of(["a", "b", "c"], {"noise": [0.0] * 3})
    told = say_reasons(parts, frame, Said({"ties": np.log([3.0, 12.0, 0.1])}, None, None), [1, 0])["en"]
    assert "12" in told[0]
    assert "3" in told[1]
    assert say_reasons(parts, frame, Said({}, None, None), [1, 0])["en"] == ["nothing stands out"] * 2


@pytest.mark.parametrize("table", ["share_responses"])
def test_a_dataset_of_one_table_is_explained(table: str) -> None:
    timeline = Timeline(busy_world(table, engine=DuckDB(threads=1)))
    settings = TrainSettings(dates=1, groups=2, rounds=5, width=8, epochs=2)
    panel = Panel.of(training_folds(timeline, day(60), settings), settings)
    hybrid = fit_hybrid(panel, settings, influence=True, churn=False)
    frame = timeline.frame(day(60))
    said, rows = hybrid.said(frame), range(len(frame.users))
    parts = reason_contributions(hybrid, frame, said, rows)
    np.testing.assert_allclose(parts.sum(axis=1), margin_of(said), atol=1e-6)
    told = say_reasons(parts, frame, said, rows)
    assert len(told["en"]) == len(told["zh"]) == len(frame.users)
    assert all(told["en"])
    assert not any("orders" in text for text in told["en"])


def test_a_model_without_evidence_of_influence_has_no_reasons(hybrid: Hybrid, frame: Frame, said: Said) -> None:
    bare = Hybrid(None, None, hybrid.gnn, None, hybrid.churn)
    with pytest.raises(TypeError, match="a model without evidence of influence has no reasons"):
        reason_contributions(bare, frame, said, [0])
