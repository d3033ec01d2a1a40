"""One versioned folder with all that scoring needs, in formats that run no code, under a checksum manifest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from features.dataset import Dataset
from features.errors import BundleError
from training.calibrate import Calibration
from training.churn import ChurnModel, ChurnTrees
from training.ensemble_files import as_json, ensemble_files, ensemble_of
from training.extras.all import EXTRAS
from training.extras.contract import Extras, load_extras
from training.gnn import Gnn
from training.hybrid import Hybrid
from training.profile import Profile
from training.ranker import Ranker
from training.stack import Stack
from training.tie_model import TieModel

MANIFEST = "manifest.json"
FORMAT = 5
ALWAYS = ("dataset.json", "gnn.json", "gnn.safetensors", "metrics.json", "profile.json", "training.json")
"""Files of every bundle; those of its models come and go with them."""


@dataclass(frozen=True)
class Bundle:
    """A trained model and what it was made from.

    ``as_of``: the models learned from what was known before this date. ``fingerprint``: SHA-256 of the training rows.
    ``metrics``: records of the backtest that was run before training. ``profile``: how features and scores were
    distributed at ``as_of``, to tell how far later ones have moved. ``extras``: see `training.extras.contract`.
    """

    dataset: Dataset
    as_of: datetime
    settings: Mapping[str, Any]
    fingerprint: str
    metrics: Sequence[Mapping[str, Any]]
    hybrid: Hybrid
    profile: Profile
    extras: Extras = field(default_factory=Extras)

    def save(self, folder: Path) -> Path:
        """Write the bundle into an empty or new folder; equal bundles give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BundleError(f"{folder} is not empty; choose a new folder for the bundle")
        texts = {
            "dataset.json": self.dataset.without_passwords().model_dump_json(indent=1),
            "metrics.json": as_json(list(self.metrics)),
            "profile.json": self.profile.to_json(),
            "training.json": as_json(
                {"as_of": self.as_of.isoformat(), "settings": dict(self.settings), "fingerprint": self.fingerprint}
            ),
        }
        texts["gnn.json"] = as_json(self.hybrid.gnn.to_dict())
        if ranker := self.hybrid.ranker:
            texts |= ensemble_files("ranker", {"columns": ranker.columns}, ranker.boosters)
        if ties := self.hybrid.ties:
            texts |= ensemble_files(
                "ties", {"tie_columns": ties.tie_columns, "end_columns": ties.end_columns}, ties.boosters
            )
        if churn := self.hybrid.churn:
            texts["churn.json"] = as_json({"trees": len(churn.trees)})
            texts["calibration.json"] = churn.calibration.to_json()
            for number, trees in enumerate(churn.trees):
                content = {"columns": trees.columns, "standing": trees.standing}
                texts |= ensemble_files(f"churn-{number}", content, trees.boosters)
        if stack := self.hybrid.stack:
            texts["stack.json"] = as_json(asdict(stack))
        texts |= self.extras.files()
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        (folder / "gnn.safetensors").write_bytes(self.hybrid.gnn.weights())
        checksums = {name: _sha256(folder / name) for name in sorted([*texts, "gnn.safetensors"])}
        (folder / MANIFEST).write_text(as_json({"format": FORMAT, "files": checksums}), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a bundle after checking every file against the manifest.

        Raises:
            BundleError: a file is missing, altered or of another format.
        """
        found = _checked(folder)
        tensors = found.pop("gnn.safetensors")
        files = {name: content.decode() for name, content in found.items()}
        training = json.loads(files["training.json"])
        ranker = ties = churn = stack = None
        if "ranker.json" in files:
            content, boosters = ensemble_of("ranker", files)
            ranker = Ranker(tuple(content["columns"]), boosters)
        if "ties.json" in files:
            content, boosters = ensemble_of("ties", files)
            ties = TieModel(tuple(content["tie_columns"]), tuple(content["end_columns"]), boosters)
        if "churn.json" in files:
            trees = []
            for number in range(json.loads(files["churn.json"])["trees"]):
                content, boosters = ensemble_of(f"churn-{number}", files)
                trees.append(ChurnTrees(tuple(content["columns"]), boosters, content["standing"]))
            calibration = Calibration.from_json(files["calibration.json"])
            churn = ChurnModel(tuple(trees), calibration)
        if "stack.json" in files:
            content = json.loads(files["stack.json"])
            views, weights, centre = (tuple(content[name]) for name in ("views", "weights", "centre"))
            stack = Stack(views, weights, centre, content["bias"])
        gnn = Gnn.load(json.loads(files["gnn.json"]), tensors)
        return cls(
            dataset=Dataset.model_validate_json(files["dataset.json"]),
            as_of=datetime.fromisoformat(training["as_of"]),
            settings=training["settings"],
            fingerprint=training["fingerprint"],
            metrics=json.loads(files["metrics.json"]),
            hybrid=Hybrid(ranker, ties, gnn, stack, churn),
            profile=Profile.from_json(files["profile.json"]),
            extras=load_extras(EXTRAS, files),
        )


def bundle_checksum(folder: Path) -> str:
    """SHA-256 of the manifest, and through it of every file: the version of a bundle's content."""
    return _sha256(folder / MANIFEST)


def _checked(folder: Path) -> dict[str, bytes]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"no {MANIFEST} in {folder}; it is not a bundle, or it was not written to the end: train again")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version, checksums = manifest["format"], dict(manifest["files"])
    except (ValueError, KeyError, TypeError):
        raise BundleError(f"{path} is not the manifest of a bundle; download the bundle again") from None
    if version != FORMAT:
        raise BundleError(f"{path} has format {version}, this version reads {FORMAT}; train again")
    if absent := {*ALWAYS} - {*checksums}:
        raise BundleError(f"{path} does not list {', '.join(sorted(absent))}; download the bundle again")
    for name, checksum in checksums.items():
        if not (folder / name).is_file():
            raise BundleError(f"{folder / name} is missing; download the bundle again")
        if _sha256(folder / name) != checksum:
            raise BundleError(f"{folder / name} does not match its checksum in {MANIFEST}; download the bundle again")
    return {name: (folder / name).read_bytes() for name in checksums}


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
