import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from features.errors import ReproductionError, TrainingError
from features.tables import Tables
from tests.conftest import SMALL, sharing
from tests.worlds import day, world
from training.bundle import bundle_checksum
from training.card import model_card
from training.folds import Fold
from training.pipeline import Trained, fingerprint, train
from training.recipe import Recipe, recipe_of
from training.timeline import Timeline


def test_the_model_learns_from_all_that_is_known_now(trained: Trained, market: Tables) -> None:
    horizon = market.dataset.time.horizon
    assert trained.bundle.as_of == market.observed_until
    assert [fold.as_of for fold in trained.folds] == [market.observed_until - horizon * step for step in (1, 2)]
    # The test date of the backtest is among them, since its labels are known by now.
    assert trained.folds[0].as_of == market.dataset.time.test_dates[0]
    hybrid, matrix = trained.bundle.hybrid, trained.folds[0].frame.matrix
    assert hybrid.ranker
    assert hybrid.ties
    assert hybrid.churn
    assert hybrid.stack
    assert hybrid.stack.views == ("lightgbm", "ties", "gnn")
    assert hybrid.ranker.columns == hybrid.gnn.columns == matrix.columns
    assert [trees.columns for trees in hybrid.churn.trees] == [matrix.columns] * 2
    ensembles = [hybrid.ranker, hybrid.ties, *hybrid.churn.trees]
    assert {len(ensemble.boosters) for ensemble in ensembles} == {hybrid.gnn.network.shape[0]} == {SMALL.groups}


def test_the_bundle_tells_what_it_was_made_from(trained: Trained, market: Tables) -> None:
    assert trained.bundle.dataset == market.dataset
    assert trained.bundle.settings == SMALL.to_dict()
    assert trained.bundle.fingerprint == fingerprint(trained.folds)
    assert trained.bundle.metrics == [record.to_dict() for record in trained.records]
    assert {record.task for record in trained.records} == {"koc", "churn"}
    assert all(record.ci_low <= record.value <= record.ci_high for record in trained.records if record.value == record.value)


def test_the_model_beats_chance_by_far(trained: Trained) -> None:
    values = {(r.model, r.metric): r.value for r in trained.records if r.as_of == "pooled" and not r.minus}
    (koc,) = trained.evaluations["koc"]
    assert values["hybrid", "average_precision"] > 2 * (koc.relevance > 0).mean()
    assert values["hybrid", "auroc"] > 0.65


def edited(values: Any, edit: float) -> Any:
    """``values`` with another last one."""
    changed = values.copy()
    changed.flat[-1] = edit
    return changed


PARTS: dict[str, Callable[[Fold], Fold]] = {
    "date": lambda fold: replace(fold, as_of=day(0)),
    "features": lambda fold: with_matrix(fold, x=edited(fold.frame.matrix.x, -1.5)),
    "users": lambda fold: with_matrix(fold, users=np.array([*fold.frame.users[:-1], "zz"], object)),
    "columns": lambda fold: with_matrix(fold, columns=(*fold.frame.matrix.columns[:-1], "other")),
    "churn population": lambda fold: replace(fold, frame=replace(fold.frame, churn_population=~fold.frame.churn_population)),
    **{
        f"ties: {part}": lambda fold, part=part: with_ties(fold, **{part: edited(getattr(fold.frame.ties, part), 7)})
        for part in ("followers", "influencers", "x")
    },
    "ties: strangers": lambda fold: with_ties(fold, strangers=pa.array([*fold.frame.ties.strangers.to_pylist()[:-1], "zz"])),
    **{
        f"purchases: {part}": lambda fold, part=part: with_purchases(
            fold, **{part: edited(getattr(fold.frame.purchases, part), 7)}
        )
        for part in ("users", "subjects", "age_days")
    },
    "ties: columns": lambda fold: with_ties(fold, columns=(*fold.frame.ties.columns[:-1], "other")),
    **{
        f"labels: {part}": lambda fold, part=part: replace(
            fold,
            labels=replace(fold.labels, **{part: edited(getattr(fold.labels, part), 1 - getattr(fold.labels, part)[-1])}),
        )
        for part in ("influence", "churned", "follows")
    },
}


def with_matrix(fold: Fold, **parts: Any) -> Fold:
    return replace(fold, frame=replace(fold.frame, matrix=replace(fold.frame.matrix, **parts)))


def with_purchases(fold: Fold, **parts: Any) -> Fold:
    assert fold.frame.purchases
    return replace(fold, frame=replace(fold.frame, purchases=replace(fold.frame.purchases, **parts)))


def with_ties(fold: Fold, **parts: Any) -> Fold:
    return replace(fold, frame=replace(fold.frame, ties=replace(fold.frame.ties, **parts)))


@pytest.mark.parametrize("part", PARTS)
def test_the_fingerprint_changes_with_every_part_of_the_rows(trained: Trained, part: str) -> None:
    folds = [*trained.folds]
    changed = PARTS[part](folds[1])
    assert fingerprint(trained.folds) == trained.bundle.fingerprint
    assert fingerprint([folds[0], changed]) != trained.bundle.fingerprint


def test_a_history_too_short_is_refused_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pipeline.fit_hybrid", lambda *_, **__: pytest.fail("fitted"))
    orders = [{"user_id": f"u{n}", "ordered_at": day(n)} for n in range(12)]
    with pytest.raises(TrainingError, match=r"too short to judge a model with a horizon of 10 days; shorten time.horizon"):
        train(world(orders=orders), SMALL)


def test_trained_again_from_its_recipe_it_is_the_same_to_the_byte(
    trained: Trained, timeline: Timeline, tmp_path: Path
) -> None:
    first = bundle_checksum(trained.bundle.save(tmp_path / "first"))
    recipe = Recipe(**json.loads(json.dumps(recipe_of(trained, first).to_dict())))
    assert recipe.described() == timeline.tables.dataset
    with sharing(timeline):
        again = train(timeline.tables, recipe.trained_with(), also=recipe.judged_on(), like=recipe)
        assert bundle_checksum(again.bundle.save(tmp_path / "again")) == first
        with pytest.raises(ReproductionError, match="rows were added, changed or removed since"):
            train(timeline.tables, recipe.trained_with(), like=replace(recipe, fingerprint="0" * 64))


def test_the_card_tells_data_metrics_limits_and_how_to_contest(trained: Trained) -> None:
    card = model_card(trained)
    assert card.startswith("# Model card: simulated-market as of 2024-07-18")
    assert all(f"\n## {title}\n" in card for title in ("Data", "Model", "Intended use", "Limits", "To contest a score"))
    values = {(r.model, r.metric): r for r in trained.records if r.as_of == r.dataset == "pooled" and not r.minus}
    for metric, words in (("average_precision", "average precision"), ("ece", "calibration error (ece)")):
        record = values["hybrid", metric]
        assert f"| {words} | {record.value:.3f} ({record.ci_low:.3f} to {record.ci_high:.3f}) |" in card
    assert "gain over past_influence" in card
    assert "| new no |" in card
    assert all(fold.as_of.strftime("%Y-%m-%d") in card for fold in trained.folds)
