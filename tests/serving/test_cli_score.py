from pathlib import Path

import pytest

from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.conftest import Scored


def test_scores_of_a_date_go_where_they_are_asked_for(scored: Scored, market_file: Path, tmp_path: Path) -> None:
    out, before = tmp_path / "batches", scored.store.current()
    ran = koc("score", "--dataset", market_file, "--home", scored.home, "--as-of", "2024-06-01", "--out", out, columns=40)
    assert ran.status == 0, ran.err
    manifest = ScoreStore(out).current()
    assert ran.out == (
        f"Scored {manifest.rows:,} users as of 2024-06-01T00:00:00 with koc/1: batch {manifest.batch}; "
        f"next: koc candidates --scores {out} --home {scored.home}\n"
    )
    assert ran.err.splitlines()[0] == "reading simulated-market"
    assert "caution simulated market" in ran.err
    # Another folder leaves the batch at home as it is.
    assert scored.store.current() == before


def test_without_a_model_one_is_told_to_train_before_tables_are_read(market_file: Path, tmp_path: Path) -> None:
    ran = koc("score", "--dataset", market_file, "--home", tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err == "error no model 'koc' is registered; run `koc train` first\n"


def test_an_unknown_version_lists_those_that_are_there(scored: Scored, market_file: Path) -> None:
    ran = koc("score", "--dataset", market_file, "--home", scored.home, "--model", "99")
    assert ran.status == 1
    assert "koc has no version or alias '99'; choose from aliases" in ran.err


@pytest.mark.parametrize("text", ["soon", "2024-13-01", "05/31/2024"])
def test_a_date_that_is_none_is_refused_with_the_way_to_write_it(market_file: Path, text: str) -> None:
    ran = koc("score", "--dataset", market_file, "--as-of", text)
    assert ran.status == 1
    assert ran.err == f"error --as-of '{text}' is not a date; write it as 2024-05-31\n"


def test_a_dataset_with_another_horizon_is_refused(scored: Scored, market_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "dataset.toml"
    other.write_text(market_file.read_text(encoding="utf-8").replace('horizon = "42d"', 'horizon = "30d"'), encoding="utf-8")
    ran = koc("score", "--dataset", other, "--root", market_file.parent, "--home", scored.home, "--out", tmp_path / "out")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines()[-1].startswith("error the model was trained with time.horizon = 42 days")
    assert not (tmp_path / "out").exists()
