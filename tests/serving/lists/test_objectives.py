"""What people are worth to lists of different objectives."""

from pathlib import Path

import pytest

from features.errors import ListError
from serving.lists.criteria import Objective
from serving.lists.objectives import scores
from serving.store.batch import Batch
from serving.store.score_store import ScoreStore
from tests.serving.batches import write_users


def batch_of(folder: Path, *people: dict[str, object]) -> Batch:
    store = ScoreStore(folder)
    write_users(store, [*people])
    return store.open()


def test_d74_to_gather_and_to_win_are_two_objectives(tmp_path: Path) -> None:
    """Of four people moved ada wins three; ben moves three who are customers all; cat wins more than she moves."""
    batch = batch_of(
        tmp_path,
        {"user_id": "ada", "koc_score": 4.0, "expected_new": 3.0},
        {"user_id": "ben", "koc_score": 3.0, "expected_new": 0.0},
        {"user_id": "cat", "koc_score": 0.5, "expected_new": 0.75},
    )
    assert scores(batch, Objective.ACQUIRE).tolist() == [3.0, 0.0, 0.75]
    assert scores(batch, Objective.CONSOLIDATE).tolist() == [1.0, 3.0, 0.0]
    assert scores(batch, Objective.INFLUENCE).tolist() == [4.0, 3.0, 0.5]


def test_retention_is_the_money_expected_to_be_lost(tmp_path: Path) -> None:
    batch = batch_of(
        tmp_path,
        {"user_id": "ada", "churn_probability": 0.5, "value_at_risk": 300.0},
        {"user_id": "ben", "churn_probability": 0.1, "value_at_risk": 1000.0},
    )
    assert scores(batch, Objective.RETENTION).tolist() == pytest.approx([150.0, 100.0])
    with pytest.raises(ListError, match="retention is of a person as a whole"):
        scores(batch, Objective.RETENTION, "tea")


def test_an_objective_names_the_columns_that_a_batch_lacks(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="objective 'consolidate' needs expected_new, which batch"):
        scores(batch_of(tmp_path, {"user_id": "ada"}), Objective.CONSOLIDATE)
