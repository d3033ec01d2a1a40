"""How much more influence the best by score hold than the best connected, over five simulated markets."""

from pathlib import Path

import pytest

from tests.test_end_to_end import captured
from training.settings import TrainSettings


@pytest.mark.benchmark
def test_the_best_by_score_influence_twice_as_much_as_the_best_connected(tmp_path: Path) -> None:
    settings = TrainSettings(dates=2)
    score, degree = sum(captured(tmp_path / str(seed), 10_000, seed, settings) for seed in range(5))
    print(f"influence of the top 1 %: {score:.0f} by score, {degree:.0f} by degree, {score / degree:.2f} times as much")
    assert score >= 2 * degree > 0
