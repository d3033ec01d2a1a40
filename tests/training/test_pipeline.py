from dataclasses import replace

import numpy as np
import pytest

from features.errors import TrainingError
from features.tables import Tables
from tests.conftest import SMALL
from tests.worlds import day, world
from training.pipeline import Trained, fingerprint, train


def test_the_model_learns_from_all_that_is_known_now(trained: Trained, market: Tables) -> None:
    horizon = market.dataset.time.horizon
    assert trained.bundle.as_of == market.observed_until
    assert [fold.as_of for fold in trained.folds] == [market.observed_until - horizon * step for step in (1, 2)]
    # The test date of the backtest is among them, since its labels are known by now.
    assert trained.folds[0].as_of == market.dataset.time.test_dates[0]
    assert trained.bundle.ranker
    assert trained.bundle.ranker.columns == trained.folds[0].matrix.columns
    assert len(trained.bundle.ranker.boosters) == SMALL.seeds
    assert trained.bundle.churn


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
    assert values["lightgbm", "average_precision"] > 2 * (koc.relevance > 0).mean()
    assert values["lightgbm", "auroc"] > 0.65


@pytest.mark.parametrize("part", ["x", "users", "columns", "as_of", "influence", "churned", "churn_known"])
def test_the_fingerprint_changes_with_every_part_of_the_rows(trained: Trained, part: str) -> None:
    folds = [*trained.folds]
    matrix, labels = folds[1].matrix, folds[1].labels
    if part == "x":
        x = matrix.x.copy()
        x[3, 4] = -1.5
        changed = replace(folds[1], matrix=replace(matrix, x=x))
    elif part == "users":
        changed = replace(folds[1], matrix=replace(matrix, users=np.array([*matrix.users[:-1], "zz"], object)))
    elif part == "columns":
        changed = replace(folds[1], matrix=replace(matrix, columns=(*matrix.columns[:-1], "other")))
    elif part == "as_of":
        changed = replace(folds[1], as_of=day(0))
    else:
        values = getattr(labels, part).copy()
        values[0] = 1 - values[0]
        changed = replace(folds[1], labels=replace(labels, **{part: values}))
    assert fingerprint(trained.folds) == trained.bundle.fingerprint
    assert fingerprint([folds[0], changed]) != trained.bundle.fingerprint


def test_a_history_too_short_is_refused_before_anything_is_fitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.pipeline.fit_koc", lambda *_: pytest.fail("fitted"))
    orders = [{"user_id": f"u{n}", "ordered_at": day(n)} for n in range(12)]
    with pytest.raises(TrainingError, match=r"too short to judge a model with a horizon of 10 days; shorten time.horizon"):
        train(world(orders=orders), SMALL)
