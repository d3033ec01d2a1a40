from pathlib import Path

from tests.command import koc
from tests.conftest import Scored


def test_versions_are_listed_with_their_aliases(scored: Scored) -> None:
    ran = koc("models", "list", "--home", scored.home)
    assert ran.status == 0
    assert scored.tracker.find(1).run_id in ran.out
    assert "champion" in ran.out


def test_without_a_model_one_is_told_to_train(tmp_path: Path) -> None:
    ran = koc("models", "list", "--home", tmp_path)
    assert (ran.status, ran.out) == (0, "No model is registered; run `koc train` first.\n")
