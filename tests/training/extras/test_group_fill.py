"""Group fill on a market by hand, in which some initiators always fill their group buys and others never do."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from features.engine import DuckDB
from tests.worlds import day, world
from training.extras.contract import Skipped
from training.extras.group_fill import (
    GroupFill,
    Labelled,
    brier,
    fit_group_fill,
    inputs,
    judge,
    labelled,
    load_group_fill,
    openings,
    seconds,
)
from training.folds import Fold, Panel, training_folds
from training.hybrid import ranker_view
from training.settings import TrainSettings
from training.timeline import Timeline

DAYS = 60
OPENERS = 48
SETTINGS = TrainSettings(dates=4, groups=2, rounds=30, leaves=5, threads=1)


def groups_of(number: int) -> list[float]:
    """Days on which opener ``number`` opens a group buy."""
    return [1 + number / 60 + step for step in range(0, DAYS - 2, 3)]


@pytest.fixture(scope="module")
def timeline() -> Timeline:
    """Opener n fills groups of two if n is even; each opener has a joiner of their own, with the same orders and acts."""
    groups, members, orders = [], [], []
    for number in range(OPENERS):
        for place, at in enumerate(groups_of(number)):
            name, filled = f"g{number}-{place}", number % 2 == 0
            groups.append(
                {
                    "group_buy_id": name, "initiator_id": f"opener{number:02}", "item_id": f"i{place}-{number}", "size": 2,
                    "opened_at": day(at), "deadline": day(at + 1), "closed_at": day(at + 0.2) if filled else None,
                    "succeeded": filled,
                }
            )  # fmt: skip
            members.append({"group_buy_id": name, "user_id": f"opener{number:02}", "joined_at": day(at)})
            if filled:
                members.append({"group_buy_id": name, "user_id": f"joiner{number:02}", "joined_at": day(at + 0.2)})
            buyers = ("opener", "joiner") if filled else ("opener",)
            orders += [
                {"user_id": f"{who}{number:02}", "item_id": f"i{place}-{number}", "ordered_at": day(at + 0.2), "amount": 10}
                for who in buyers
            ]
    tables = world(
        horizon=timedelta(days=10), until=day(DAYS), engine=DuckDB(threads=1), orders=orders, group_buys=groups,
        group_buy_members=members,
    )  # fmt: skip
    return Timeline(tables)


@pytest.fixture(scope="module")
def folds(timeline: Timeline) -> list[Fold]:
    return training_folds(timeline, day(DAYS), SETTINGS)


@pytest.fixture(scope="module")
def model(timeline: Timeline, folds: list[Fold]) -> GroupFill:
    fitted = fit_group_fill(timeline, folds, day(DAYS), SETTINGS)
    assert isinstance(fitted, GroupFill)
    return fitted


def test_who_filled_before_is_expected_to_fill_again(model: GroupFill, timeline: Timeline) -> None:
    frame = timeline.frame(day(DAYS))
    found = dict(zip(frame.users, model.score(timeline.snapshot(day(DAYS)), frame)["group_fill_probability"], strict=True))
    even = [found[f"opener{number:02}"] for number in range(0, OPENERS, 2)]
    odd = [found[f"opener{number:02}"] for number in range(1, OPENERS, 2)]
    assert min(even) > 0.8
    assert max(odd) < 0.2
    # Who never opened one has no next one.
    assert np.isnan([value for name, value in found.items() if name.startswith("joiner")]).all()


def test_a_loaded_model_says_the_same(model: GroupFill, timeline: Timeline) -> None:
    loaded = load_group_fill(model.files())
    assert loaded.files() == model.files()
    given = timeline.snapshot(day(DAYS)), timeline.frame(day(DAYS))
    np.testing.assert_array_equal(
        loaded.score(*given)["group_fill_probability"], model.score(*given)["group_fill_probability"]
    )
    assert loaded.report() == model.report()


def test_the_report_is_of_the_latest_window_alone(model: GroupFill) -> None:
    report = model.report()
    assert report["filled"] == 0.5
    assert report["brier"] < 0.05
    assert 140 < report["group_buys"] < 180


def test_the_own_rate_knows_what_had_ended_by_the_opening(timeline: Timeline, folds: list[Fold]) -> None:
    known = openings(timeline.snapshot(day(DAYS)))
    first = known.initiator == "opener00"
    asked = known.take(first)
    x = inputs(asked, asked.opened, known, folds[0].frame, ())
    # One of its own had ended before each further one.
    assert x[:, 2].tolist() == list(range(int(first.sum())))
    # Before anything had ended the rate is even; then one of its own and seven or more of others, by the rate of all.
    assert x[0, 3] == 0.5
    assert (np.diff(x[1:, 3]) > 0).all()
    assert known.ended[first][0] == pytest.approx(seconds(day(1.2)))


def test_a_group_that_filled_after_its_deadline_is_not_filled() -> None:
    rows = [("late", 3.0), ("in time", 1.9)]
    groups = [
        {"group_buy_id": name, "initiator_id": "a", "opened_at": day(1), "deadline": day(2), "closed_at": day(closed),
         "succeeded": True}
        for name, closed in rows
    ]  # fmt: skip
    own = Timeline(
        world(orders=[{"user_id": "a", "ordered_at": day(1)}], group_buys=groups, group_buy_members=[], until=day(9))
    )
    assert openings(own.snapshot(day(9))).filled.tolist() == [1.0, 0.0]


def test_brier_scores_by_hand() -> None:
    x = np.array([[2, 24, 0, 0.5, 0.5], [2, 24, 1, 0.8, 0.5]], np.float32)
    found = judge(np.array([0.9, 0.3]), Labelled(x, np.array([1.0, 0.0]), np.array(["a", "b"], object)))
    assert found["brier"] == pytest.approx((0.01 + 0.09) / 2)
    assert found["brier_past_rate"] == pytest.approx((0.25 + 0.64) / 2)
    assert np.isnan(brier(np.empty(0), np.empty(0)))


def test_of_openings_that_may_still_fill_none_teaches(timeline: Timeline, folds: list[Fold]) -> None:
    """Those that filled at once are known to have filled; the others of their day are not known to have failed yet."""
    fold, known_at = replace(folds[0], as_of=day(45.7)), day(55.7)
    known = openings(timeline.view(fold.as_of, known_at))
    recent = known.opened > seconds(known_at - timedelta(days=1))
    assert known.filled[recent & np.isfinite(known.ended)].min() == 1.0
    # All of the day are left out, and of the other days half filled.
    rows = labelled(timeline, fold, known_at, ())
    assert rows.filled.mean() == pytest.approx(0.5, abs=0.01)


def test_few_group_buys_are_skipped_with_their_number(timeline: Timeline, folds: list[Fold]) -> None:
    found = fit_group_fill(timeline, folds[:1], day(DAYS), SETTINGS)
    assert isinstance(found, Skipped)
    assert "group buys of the training windows filled; it needs 150" in found.reason


def test_d35_an_initiator_is_ranked_above_a_joiner_who_does_the_same(timeline: Timeline, folds: list[Fold]) -> None:
    view = ranker_view(Panel.of(folds, SETTINGS), folds[0].frame.matrix.columns, SETTINGS)
    frame = timeline.frame(day(DAYS))
    margin = dict(zip(frame.users, view.model.margin(frame), strict=True))
    orders = frame.matrix.column("orders_all")
    for number in range(0, OPENERS, 2):
        opener, joiner = (frame.users.tolist().index(f"{who}{number:02}") for who in ("opener", "joiner"))
        assert orders[opener] == orders[joiner] > 0
        assert margin[f"opener{number:02}"] > margin[f"joiner{number:02}"]
