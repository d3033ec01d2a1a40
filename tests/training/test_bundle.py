import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from features.errors import BundleError
from tests.conftest import Scored
from training.bundle import Bundle, bundle_checksum
from training.explain import reason_contributions
from training.pipeline import Trained
from training.stack import Stack
from training.timeline import Timeline


@pytest.fixture(scope="module")
def folder(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.bundle.save(tmp_path_factory.mktemp("bundles") / "koc")


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "copy"))


def assert_equal_scores(one: Bundle, other: Bundle, timeline: Timeline) -> None:
    frame = timeline.frame(one.as_of)
    mine, theirs = one.hybrid.said(frame), other.hybrid.said(frame)
    assert set(mine.views) == {"lightgbm", "ties", "gnn"}
    for view, margin in mine.views.items():
        np.testing.assert_array_equal(margin, theirs.views[view])
    for said, told in ((mine.margin, theirs.margin), (mine.churn, theirs.churn), (mine.follow_ups, theirs.follow_ups)):
        assert said is not None
        assert told is not None
        np.testing.assert_array_equal(said, told)
    rows = range(20)
    parts = [reason_contributions(bundle.hybrid, frame, said, rows) for bundle, said in ((one, mine), (other, theirs))]
    np.testing.assert_array_equal(*parts)


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
    assert {p.name: p.read_bytes() for p in files_of(again)} == {p.name: p.read_bytes() for p in files_of(folder)}
    other = replace(trained.bundle, fingerprint="0" * 64).save(tmp_path / "other")
    assert bundle_checksum(other) != bundle_checksum(folder)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_a_bundle_is_text_and_numbers_alone(trained: Trained, folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in files_of(folder)} - {*trained.bundle.extras.files()}
    ensembles = {f"{name}-{member}.txt" for name in ("ranker", "ties", "churn-0", "churn-1") for member in (0, 1)}
    assert names == ensembles | {f"{name}.json" for name in (
        "dataset", "manifest", "metrics", "training", "gnn", "ranker", "ties", "churn", "churn-0", "churn-1", "calibration",
        "stack", "profile",
    )} | {"gnn.safetensors"}  # fmt: skip
    for path in files_of(folder):
        if path.suffix == ".safetensors":
            # The length of a header in JSON, the header, and numbers: nothing that runs.
            content = path.read_bytes()
            assert json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
            continue
        # A pickle starts with byte 0x80, which no UTF-8 text does.
        text = path.read_text(encoding="utf-8")
        assert path.suffix == ".txt" or json.loads(text) is not None


def test_every_altered_and_every_missing_file_is_found(copy: Path) -> None:
    for path in files_of(copy):
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
        ('{"format": 5}', "manifest.json is not the manifest of a bundle"),
        ('{"format": 4, "files": {}}', "has format 4, this version reads 5; train again"),
        (
            '{"format": 5, "files": {}}',
            "does not list dataset.json, gnn.json, gnn.safetensors, metrics.json, profile.json, training.json",
        ),
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


@pytest.mark.parametrize("lacking", [("ranker", "ties", "stack"), ("ties",), ("churn",)])
def test_a_bundle_may_lack_models(trained: Trained, timeline: Timeline, tmp_path: Path, lacking: tuple[str, ...]) -> None:
    hybrid = replace(trained.bundle.hybrid, **dict.fromkeys(lacking))
    if hybrid.stack and "ties" in lacking:
        hybrid = replace(hybrid, stack=Stack(("lightgbm", "gnn"), (0.5, 0.5), (0.0, 0.0), 0.0))
    loaded = Bundle.load(replace(trained.bundle, hybrid=hybrid).save(tmp_path / "less")).hybrid
    for name in ("ranker", "ties", "stack", "churn"):
        assert (getattr(loaded, name) is None) == (name in lacking)
    said = loaded.said(timeline.frame(trained.bundle.as_of))
    assert (said.margin is None) == ("stack" in lacking)
    assert (said.churn is None) == ("churn" in lacking)
