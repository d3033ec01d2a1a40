"""What a batch is, as written beside its files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from features.errors import ScoresError

MANIFEST, OWN = "manifest.json", "checksum"


@dataclass(frozen=True)
class Manifest:
    """What a batch is: ``rows`` users scored at ``as_of`` by ``model``; ``checksums``: file -> SHA-256.

    ``as_of``: ISO, UTC without an offset. ``written_at``: ISO, UTC with its offset. ``trained_until``: the end of the data
    that the model was trained on, as ``as_of``; None where that was not told.
    """

    batch: str
    dataset: str
    model: str
    as_of: str
    rows: int
    columns: tuple[str, ...]
    checksums: Mapping[str, str]
    written_at: str
    trained_until: str | None = None

    def write(self, folder: Path) -> Path:
        """The file written into the folder of the batch, with a checksum of its own content."""
        path, content = folder / MANIFEST, asdict(self)
        path.write_text(json.dumps({**content, OWN: _digest(content)}, indent=1), encoding="utf-8")
        return path


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the batch in ``folder``.

    Raises:
        ScoresError: there is none, or it is spoilt.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content.pop(OWN) == _digest(content):
            return Manifest(**{**content, "columns": tuple(content["columns"])})
    except OSError:
        raise ScoresError(f"batch {folder.name} has no {path}; score again with `koc score`") from None
    except (ValueError, LookupError, TypeError, AttributeError):
        pass
    raise ScoresError(f"{path} is not the manifest of a batch; score again with `koc score`")


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def sha256(path: Path) -> str:
    """The hexadecimal checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
