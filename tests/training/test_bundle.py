import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from tests.conftest import Scored
from training.bundle import Bundle, bundle_checksum
from training.pipeline import Trained
from training.timeline import Timeline


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.bundle.save(tmp_path_factory.mktemp("bundles") / "koc")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def assert_equal_scores(one: Bundle, other: Bundle, timeline: Timeline) -> None:
    matrix = timeline.matrix(one.as_of)
    assert one.ranker
    assert other.ranker
    assert one.churn
    assert other.churn
    x = matrix.select(one.ranker.columns)
    np.testing.assert_array_equal(one.ranker.margin(x), other.ranker.margin(matrix.select(other.ranker.columns)))
    np.testing.assert_array_equal(one.ranker.contributions(x), other.ranker.contributions(x))
    x = matrix.select(one.churn.columns)
    np.testing.assert_array_equal(one.churn.probability(x), other.churn.probability(matrix.select(other.churn.columns)))


def test_a_loaded_bundle_scores_bit_for_bit_as_before(trained: Trained, folder: Path, timeline: Timeline) -> None:
    loaded = Bundle.load(folder)
    assert_equal_scores(trained.bundle, loaded, timeline)
    assert (loaded.as_of, loaded.fingerprint) == (trained.bundle.as_of, trained.bundle.fingerprint)
    assert loaded.dataset == trained.bundle.dataset
    assert loaded.settings == trained.bundle.settings
    assert loaded.metrics == trained.bundle.metrics


def test_a_registered_bundle_scores_bit_for_bit_as_before(
    trained: Trained, folder: Path, scored: Scored, timeline: Timeline, tmp_path: Path
) -> None:
    downloaded = scored.tracker.download(1, tmp_path / "downloaded")
    assert bundle_checksum(downloaded) == bundle_checksum(folder)
    assert_equal_scores(trained.bundle, Bundle.load(downloaded), timeline)


def test_equal_bundles_give_equal_bytes(trained: Trained, folder: Path, tmp_path: Path) -> None:
    again = Bundle.load(folder).save(tmp_path / "again")
    assert bundle_checksum(again) == bundle_checksum(folder)
    assert {p.name: p.read_bytes() for p in again.iterdir()} == {p.name: p.read_bytes() for p in folder.iterdir()}
    other = replace(trained.bundle, fingerprint="0" * 64).save(tmp_path / "other")
    assert bundle_checksum(other) != bundle_checksum(folder)


def test_a_bundle_is_text_alone(folder: Path) -> None:
    names = {path.name for path in folder.iterdir()}
    assert {"dataset.json", "ranker-0.txt", "ranker-1.txt", "churn.txt", "calibration.json", "manifest.json"} <= names
    for path in folder.iterdir():
        assert path.suffix in {".json", ".txt"}
        # A pickle starts with byte 0x80, which no UTF-8 text does.
        text = path.read_text(encoding="utf-8")
        assert path.suffix == ".txt" or json.loads(text) is not None


def test_every_altered_and_every_missing_file_is_found(copy: Path) -> None:
    for path in sorted(copy.glob("*[!m]*")):
        if path.name == "manifest.json":
            continue
        content = path.read_bytes()
        path.write_bytes(content.replace(b"1", b"2", 1) if b"1" in content else content + b" ")
        with pytest.raises(BundleError, match=f"{path.name} does not match its checksum in manifest.json; download"):
            Bundle.load(copy)
        path.unlink()
        with pytest.raises(BundleError, match=f"{path.name} is missing; download the bundle again"):
            Bundle.load(copy)
        path.write_bytes(content)
    assert Bundle.load(copy)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "manifest.json is not the manifest of a bundle"),
        ("[1]", "manifest.json is not the manifest of a bundle"),
        ('{"format": 1}', "manifest.json is not the manifest of a bundle"),
        ('{"format": 2, "files": {}}', "has format 2, this version reads 1; train again"),
        ('{"format": 1, "files": {}}', "does not list dataset.json, metrics.json, training.json"),
    ],
)
def test_a_spoilt_manifest_is_refused(copy: Path, text: str, message: str) -> None:
    (copy / "manifest.json").write_text(text)
    with pytest.raises(BundleError, match=message):
        Bundle.load(copy)


def test_a_folder_without_manifest_is_no_bundle(copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").unlink()
    for folder in (copy, tmp_path / "nowhere"):
        with pytest.raises(
            BundleError, match=r"no manifest.json in .*; it is not a bundle, or it was not written to the end"
        ):
            Bundle.load(folder)


def test_a_bundle_is_never_written_over_files(trained: Trained, copy: Path) -> None:
    with pytest.raises(BundleError, match="is not empty; choose a new folder"):
        trained.bundle.save(copy)


def test_a_bundle_may_lack_either_model(trained: Trained, tmp_path: Path) -> None:
    churn_only = Bundle.load(replace(trained.bundle, ranker=None).save(tmp_path / "churn"))
    assert churn_only.ranker is None
    assert churn_only.churn
    ranker_only = Bundle.load(replace(trained.bundle, churn=None).save(tmp_path / "ranker"))
    assert ranker_only.churn is None
    assert ranker_only.ranker
