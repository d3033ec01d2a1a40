import shutil
import tempfile
from pathlib import Path

import pytest

from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.command import koc
from tests.conftest import Scored
from tests.killed import killed


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


def score_again(dataset: Path, home: Path, out: Path, scratch: Path) -> None:
    tempfile.tempdir = str(scratch)
    ran = koc("score", "--dataset", dataset, "--home", home, "--out", out)
    assert ran.status == 0, ran.err


def test_runs_that_are_killed_leave_the_batch_before_and_a_rerun_makes_the_same(
    scored: Scored, market_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    store = ScoreStore(tmp_path / "batches")
    shutil.copytree(scored.store.folder, store.folder)
    before = store.current()
    features, writing = "features.user_table.build_tie_table", "serving.store.score_store.write_serving"
    for call in (features, writing):
        assert killed(score_again, market_file, scored.home, store.folder, tmp_path, call=call)
        # Tables and what the engine spilled are of this run: those of the run before were removed by it.
        assert len(list(tmp_path.glob("koc-*"))) == 2
        assert store.batches() == scored.store.batches()
        assert Served(store).batch.manifest == before
    assert len(list(store.folder.glob(".partial-*"))) == 1
    score_again(market_file, scored.home, store.folder, tmp_path)
    assert store.current() != before
    assert store.open().verify().manifest.checksums == before.checksums
    assert not list(tmp_path.glob("koc-*"))


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
