import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from features.errors import KocError, TrackingError
from tests.paths import REPO
from training.intervals import Record
from training.tracking import Tracker


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Tracker:
    return Tracker(None, tmp_path_factory.mktemp("tracking"))


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything belongs to ``home``: the folder that a person happens to be in stays clean."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.chdir(folder)
    yield
    assert list(folder.iterdir()) == []


def bundle(folder: Path, content: str) -> Path:
    (folder / "models").mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"content": content}))
    (folder / "models" / "ranker.txt").write_bytes(content.encode() * 1000)
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def record(as_of: str, value: float, dataset: str = "city", minus: str | None = None) -> Record:
    return Record(dataset, as_of, "koc", "lightgbm", "ndcg_at_100", value, value - 0.1, value + 0.1, 10, 5, 0, minus)


def test_a_run_keeps_what_was_logged(tracker: Tracker, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("read me")
    records = [
        record("2012-12-10", 0.5),
        record("2012-12-10", 0.2, minus="degree"),
        record("2013-01-21", float("nan")),
        record("pooled", 0.6),
        record("pooled", 0.6, dataset="pooled"),
    ]
    with tracker.run("backtest city", {"dataset": "city"}) as run:
        run.params({"trees": 300, "horizon": "42 days"} | {f"p{i}": i for i in range(120)})
        run.records(records)
        run.figure("plots/importance.png", Figure())
        run.files(tmp_path / "note.txt", "notes")
    stored = run.client.get_run(run.run_id)
    assert stored.info.run_name == "backtest city"
    assert stored.info.status == "FINISHED"
    assert stored.data.tags["dataset"] == "city"
    assert len(stored.data.params) == 122
    assert stored.data.params["horizon"] == "42 days"
    assert stored.data.metrics == {
        "koc/lightgbm/ndcg_at_100/2012-12-10": 0.5,
        "koc/lightgbm-minus-degree/ndcg_at_100/2012-12-10": 0.2,
        "koc/lightgbm/ndcg_at_100/pooled": 0.6,
    }
    artifacts = files(tracker.home / "mlartifacts" / run.run_id / "artifacts")
    assert set(artifacts) == {"records.json", "plots/importance.png", "notes/note.txt"}
    assert json.loads(artifacts["records.json"]) == [entry.to_dict() for entry in records]


def test_several_datasets_stand_apart(tracker: Tracker) -> None:
    with tracker.run("two") as run:
        run.records([record("pooled", 0.5), record("pooled", 0.7, "town"), record("pooled", 0.6, "pooled")])
    assert run.client.get_run(run.run_id).data.metrics == {
        "city/koc/lightgbm/ndcg_at_100/pooled": 0.5,
        "town/koc/lightgbm/ndcg_at_100/pooled": 0.7,
        "pooled/koc/lightgbm/ndcg_at_100/pooled": 0.6,
    }


@pytest.mark.parametrize(("error", "status"), [(ZeroDivisionError, "FAILED"), (KeyboardInterrupt, "KILLED")])
def test_a_run_that_breaks_is_marked_and_the_error_goes_on(
    tracker: Tracker, error: type[BaseException], status: str
) -> None:
    with pytest.raises(error), tracker.run("broken") as run:
        raise error
    assert run.client.get_run(run.run_id).info.status == status


def test_a_registered_bundle_comes_back_byte_for_byte(tracker: Tracker, tmp_path: Path) -> None:
    name = "roundtrip"
    assert tracker.versions(name) == []
    folders = [bundle(tmp_path / str(number), f"bundle {number}") for number in (1, 2)]
    for number, folder in enumerate(folders, start=1):
        with tracker.run(f"train {number}") as run:
            run.metrics({"koc/lightgbm/ndcg_at_100/pooled": number / 10})
            assert tracker.register(run, folder, name) == number
    newest, first = tracker.versions(name)
    # The first version serves until somebody promotes another.
    assert (newest.version, newest.aliases, newest.run_id) == (2, ("challenger",), run.run_id)
    assert (first.version, first.aliases) == (1, ("champion",))
    assert newest.metrics == {"koc/lightgbm/ndcg_at_100/pooled": 0.2}
    assert timedelta() <= datetime.now(UTC).replace(tzinfo=None) - newest.created < timedelta(minutes=5)
    references = {"champion": 0, "challenger": 1, "1": 0, "2": 1, 2: 1, name: 0, f"{name}@challenger": 1, f"{name}/1": 0}
    for place, (reference, folder) in enumerate(references.items()):
        to = tmp_path / "out" / str(place)
        assert tracker.download(reference, to, name) == to
        assert files(to) == files(folders[folder])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [str(place) for place in range(len(references))]


def test_another_process_finds_what_was_registered(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.run("train") as run:
        tracker.register(run, bundle(tmp_path / "bundle", "kept"), "kept")
    again = Tracker(None, tracker.home)
    assert [version.aliases for version in again.versions("kept")] == [("challenger", "champion")]
    assert files(again.download("champion", tmp_path / "out", "kept")) == files(tmp_path / "bundle")


def test_unknown_references_name_those_that_exist(tracker: Tracker, tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match="no model 'nobody' is registered; run `koc train` first"):
        tracker.download("champion", tmp_path / "out", "nobody")
    with tracker.run("train") as run:
        tracker.register(run, bundle(tmp_path / "bundle", "x"), "known")
    for reference in ("fallback", "7"):
        known = r"choose from aliases challenger \(1\), champion \(1\) or versions 1"
        with pytest.raises(TrackingError, match=f"known has no version or alias '{reference}'; {known}"):
            tracker.download(reference, tmp_path / "out", "known")


def test_a_folder_with_files_is_not_mixed_with_a_bundle(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.run("train") as run:
        tracker.register(run, bundle(tmp_path / "bundle", "x"), "mixed")
    (tmp_path / "empty").mkdir()
    assert files(tracker.download("champion", tmp_path / "empty", "mixed")) == files(tmp_path / "bundle")
    with pytest.raises(TrackingError, match="empty holds files already; name an empty or new folder for mixed/1"):
        tracker.download("champion", tmp_path / "empty", "mixed")


def test_lost_artifacts_are_an_error_and_leave_nothing_behind(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.run("train") as run:
        tracker.register(run, bundle(tmp_path / "bundle", "x"), "lost")
    (tracker.home / "mlartifacts" / run.run_id).rename(tmp_path / "gone")
    with pytest.raises(TrackingError, match=f"cannot download lost/1 from run {run.run_id}: .*check the tracking URI"):
        tracker.download("champion", tmp_path / "out" / "bundle", "lost")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_cannot_be_logged_is_refused(tracker: Tracker, tmp_path: Path) -> None:
    with tracker.run("refused") as run:
        with pytest.raises(TrackingError, match=r"no bundle folder at .*missing; save the bundle before registering it"):
            tracker.register(run, tmp_path / "missing")
        with pytest.raises(TrackingError, match=r"nothing at .*missing to log"):
            run.files(tmp_path / "missing")
        with pytest.raises(TrackingError, match="parameter 'columns' has 6001 characters, the store keeps 6000"):
            run.params({"columns": "x" * 6001})
        run.params({"trees": 300})
        with pytest.raises(TrackingError, match="cannot log the parameters: "):
            run.params({"trees": 301})


def test_a_store_that_cannot_be_opened_is_an_error_with_its_address(tmp_path: Path) -> None:
    with pytest.raises(KocError, match=r"cannot open the tracking store what://is-this: .*check the tracking URI"):
        Tracker("what://is-this", tmp_path).versions()


def test_importing_does_not_load_mlflow() -> None:
    code = "import sys, training.tracking; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPO, check=False).returncode == 0
