"""One versioned folder with all that scoring needs, in formats that run no code, under a checksum manifest."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import lightgbm

from features.dataset import Dataset
from features.errors import BundleError
from training.calibrate import Calibration
from training.churn import ChurnModel
from training.ranker import Ranker

MANIFEST = "manifest.json"
FORMAT = 1
ALWAYS = ("dataset.json", "metrics.json", "training.json")
"""Files of every bundle; those of its models come and go with them."""


@dataclass(frozen=True)
class Bundle:
    """A trained model and what it was made from.

    ``as_of``: the models learned from what was known before this date. ``fingerprint``: SHA-256 of the training rows.
    ``metrics``: records of the backtest that was run before training. ``ranker`` is None without evidence of influence,
    ``churn`` without orders.
    """

    dataset: Dataset
    as_of: datetime
    settings: Mapping[str, Any]
    fingerprint: str
    metrics: Sequence[Mapping[str, Any]]
    ranker: Ranker | None
    churn: ChurnModel | None

    def save(self, folder: Path) -> Path:
        """Write the bundle into an empty or new folder; equal bundles give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BundleError(f"{folder} is not empty; choose a new folder for the bundle")
        texts = {
            "dataset.json": self.dataset.model_dump_json(indent=1),
            "metrics.json": _json(list(self.metrics)),
            "training.json": _json(
                {"as_of": self.as_of.isoformat(), "settings": dict(self.settings), "fingerprint": self.fingerprint}
            ),
        }
        if self.ranker:
            texts["ranker.json"] = _json({"columns": self.ranker.columns, "members": len(self.ranker.boosters)})
            for member, booster in enumerate(self.ranker.boosters):
                texts[f"ranker-{member}.txt"] = booster.model_to_string()
        if self.churn:
            texts["churn.json"] = _json({"columns": self.churn.columns})
            texts["churn.txt"] = self.churn.booster.model_to_string()
            texts["calibration.json"] = self.churn.calibration.to_json()
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
        checksums = {name: _sha256(folder / name) for name in sorted(texts)}
        (folder / MANIFEST).write_text(_json({"format": FORMAT, "files": checksums}), encoding="utf-8")
        return folder

    @classmethod
    def load(cls, folder: Path) -> "Bundle":
        """Read a bundle after checking every file against the manifest.

        Raises:
            BundleError: a file is missing, altered or of another format.
        """
        files = _checked(folder)
        training = json.loads(files["training.json"])
        ranker = churn = None
        if "ranker.json" in files:
            content = json.loads(files["ranker.json"])
            members = [files[f"ranker-{member}.txt"] for member in range(content["members"])]
            ranker = Ranker(tuple(content["columns"]), [lightgbm.Booster(model_str=text) for text in members])
        if "churn.json" in files:
            columns = tuple(json.loads(files["churn.json"])["columns"])
            calibration = Calibration.from_json(files["calibration.json"])
            churn = ChurnModel(columns, lightgbm.Booster(model_str=files["churn.txt"]), calibration)
        return cls(
            dataset=Dataset.model_validate_json(files["dataset.json"]),
            as_of=datetime.fromisoformat(training["as_of"]),
            settings=training["settings"],
            fingerprint=training["fingerprint"],
            metrics=json.loads(files["metrics.json"]),
            ranker=ranker,
            churn=churn,
        )


def bundle_checksum(folder: Path) -> str:
    """SHA-256 of the manifest, and through it of every file: the version of a bundle's content."""
    return _sha256(folder / MANIFEST)


def _checked(folder: Path) -> dict[str, str]:
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
    return {name: (folder / name).read_text(encoding="utf-8") for name in checksums}


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
