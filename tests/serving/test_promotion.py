"""Champions of real models, from training to what is served: one of shuffled features, a proper one, the first again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from features.blocks.all import ALL_BLOCKS
from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from serving.batch import score_batch
from serving.store.score_store import ScoreStore
from tests.command import Ran, koc
from tests.stars import stars
from training.frame import Frame
from training.pipeline import train
from training.promotion.history import champion_at
from training.register import register
from training.settings import TrainSettings
from training.timeline import Timeline
from training.tracking import Tracker

SMALL = TrainSettings(dates=1, groups=2, rounds=40, width=8, epochs=2, threads=1, resamples=200)
SHUFFLED, PROPER, SHUFFLED_AGAIN = 1, 2, 3


class Shuffled(Timeline):
    """Every user and every tie has the features of another one, dealt out at each date."""

    def frame(self, as_of: datetime) -> Frame:
        frame, rng = super().frame(as_of), np.random.default_rng(0)
        matrix = replace(frame.matrix, x=rng.permutation(frame.matrix.x))
        return replace(frame, matrix=matrix, ties=replace(frame.ties, x=rng.permutation(frame.ties.x)))


@dataclass(frozen=True)
class Story:
    """What was done, with what each command said; ``reigns``: from when on which version was champion."""

    home: Path
    passed: Ran
    rolled_back: Ran
    refused: Ran
    reigns: list[tuple[datetime, int]]
    scores: dict[str, dict[str, bytes]]

    @property
    def tracker(self) -> Tracker:
        return Tracker(None, self.home)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    home, folder = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("stars")
    tables = open_tables(read_dataset(stars(folder)), DuckDB(threads=1), blocks=ALL_BLOCKS)[0]
    shared, tracker, store = Timeline(tables), Tracker(None, home), ScoreStore(home / "scores")
    reigns: list[tuple[datetime, int]] = []
    scores = {}

    def as_served() -> dict[str, bytes]:
        current = store.folder / store.current_id()
        return {path.name: path.read_bytes() for path in current.iterdir()}

    def changed(version: int, change: Callable[[], Ran]) -> Ran:
        ran = change()
        reigns.append((datetime.now(UTC), version))
        return ran

    with pytest.MonkeyPatch.context() as patch:
        for module in ("training.pipeline", "serving.batch"):
            patch.setattr(f"{module}.Timeline", lambda tables, progress: replace(shared, tables=tables, progress=progress))
        proper = train(tables, SMALL)
        patch.setattr(
            "training.pipeline.Timeline",
            lambda tables, progress: Shuffled(tables, progress, shared._snapshots, shared._views, shared._frames),
        )
        shuffled = train(tables, SMALL)
        for version, trained in enumerate((shuffled, proper, shuffled), start=1):
            assert register(trained, tracker) == version
        reigns.append((datetime.now(UTC), SHUFFLED))
        score_batch(tables, tracker, store)
        scores["first"] = as_served()
        score_batch(tables, tracker, store, model=str(PROPER))
        scores["beside"] = as_served()
        passed = changed(PROPER, lambda: koc("promote", "--version", PROPER, "--home", home, columns=300))
        scores["promoted"] = as_served()
        refused = koc("promote", "--version", SHUFFLED_AGAIN, "--home", home, columns=300)
        scores["refused"] = as_served()
        rolled_back = changed(SHUFFLED, lambda: koc("rollback", "--reason", "a drill", "--home", home))
        scores["rolled back"] = as_served()
        score_batch(tables, tracker, store)
        scores["scored again"] = as_served()
    return Story(home, passed, rolled_back, refused, reigns, scores)


def test_a_model_of_shuffled_features_is_refused_with_what_failed(story: Story) -> None:
    assert story.refused.status == 1
    assert "koc/3 does not replace koc/2, " in story.refused.err
    for check in ("average_precision overall", "captured_at_5pct overall", "average_precision region south"):
        assert f"\n  {check}: 0." in story.refused.err
    assert story.scores["refused"] == story.scores["promoted"]


def test_a_better_one_passes_every_check_of_the_default_rules(story: Story) -> None:
    assert story.passed.status == 0, story.passed.err
    rows = [line.split("│")[1:3] for line in story.passed.out.splitlines() if line.startswith("│")]
    held = {name.strip(): holds.strip() for name, holds in rows}
    places = ("overall", "region north", "region south")
    metrics = ("average_precision", "captured_at_5pct", "level", "ece")
    assert {f"{metric} {place}" for metric in metrics for place in places} <= {*held}
    assert {"labels", "dates", "people", "suppressed"} <= {*held}
    assert {*held.values()} == {"yes"}
    assert "2 test dates on which both were judged in churn and koc" in story.passed.out


def test_only_a_promotion_brings_another_model_to_what_is_served(story: Story) -> None:
    assert story.scores["beside"] == story.scores["first"]
    assert story.scores["promoted"] != story.scores["first"]


def test_a_rollback_restores_the_scores_to_the_byte(story: Story) -> None:
    assert story.rolled_back.status == 0, story.rolled_back.err
    assert story.scores["rolled back"] == story.scores["first"]
    # And so does the model itself, in a batch of another name.
    again = {name: content for name, content in story.scores["scored again"].items() if name != "manifest.json"}
    assert again == {name: content for name, content in story.scores["first"].items() if name != "manifest.json"}


def test_the_champion_of_every_moment_is_right(story: Story) -> None:
    changes = story.tracker.changes()
    assert [(change.version, change.action) for change in changes] == [
        (SHUFFLED, "first"), (PROPER, "promote"), (SHUFFLED, "rollback"),
    ]  # fmt: skip
    ends = [change.at for change in changes[1:]] + [datetime.now(UTC)]
    for (known, version), change, end in zip(story.reigns, changes, ends, strict=True):
        assert change.at <= known < end
        for moment in (change.at, known, end - timedelta(microseconds=1)):
            found = champion_at(changes, moment)
            assert found is not None
            assert found.version == version
    assert champion_at(changes, changes[0].at - timedelta(microseconds=1)) is None
