"""Landed files of a folder that grows by a file a day: each is read once and kept for later runs."""

import hashlib
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from features.dataset import Dataset
from features.intake.landing import Landed, Mapped, Tally, landed_at, write_rows
from features.intake.sources import Part

FORMAT = 1
"""Another number where landed rows come to mean something else: what was kept before is read anew."""

_SEEN = ("unreadable", "rounded")
_COUNTED = ("long", "zeros", "zero_digits")


def land_kept(dataset: Dataset, mapped: Mapped, folder: Path, kept: Path) -> Landed:
    """As `features.intake.landing.land`, of a source with parts, of which only those that ``kept`` does not have are read.

    A part is known by its content, the number of its first row and how the dataset maps it: a file that is written anew is
    landed anew, and so are the files behind it if its number of rows changed. Parts that are no more are forgotten.

    Raises:
        DatasetError: as `land`.
    """
    shelf = kept / mapped.spec.name
    shelf.mkdir(parents=True, exist_ok=True)
    digests = [_digest(part.path) for part in mapped.source.parts]
    files, tally = _land_parts(dataset, mapped, shelf, digests, frozenset())
    used = set(files)
    if rounded := tally.rounded_by_spreadsheet():
        files, tally = _land_parts(dataset, mapped, shelf, digests, rounded)
        used |= set(files)
    path = folder / mapped.spec.name
    path.mkdir()
    for number, file in enumerate(files):
        # This run reads names of its own, since another one may forget parts meanwhile.
        _link(file, path / f"{number:06}.parquet")
    for file in shelf.glob("*.parquet"):
        if file not in used:
            file.unlink(missing_ok=True)
            file.with_suffix(".json").unlink(missing_ok=True)
    return landed_at(path, tally, mapped)


def _land_parts(
    dataset: Dataset, mapped: Mapped, shelf: Path, digests: Sequence[str], rounded: frozenset[str]
) -> tuple[list[Path], Tally]:
    """The landed file of each part, and what all of them show."""
    meaning = [FORMAT, mapped.table.model_dump(mode="json", exclude={"source"}), dict(mapped.columns)]
    meaning += [dataset.zone, sorted(mapped.given), mapped.source.names, sorted(rounded)]
    files, tally, first = [], Tally(), 1
    for part, digest in zip(mapped.source.parts, digests, strict=True):
        # Columns told by the names of folders, such as day=2024-06-01, are not in the content.
        place = os.path.relpath(part.path.parent, mapped.source.place)
        key = json.dumps([*meaning, digest, place, first], sort_keys=True)
        file = shelf / f"{hashlib.sha256(key.encode()).hexdigest()}.parquet"
        if not file.exists():
            _land_part(dataset, mapped, part, first, rounded, file)
        tally.add(_tally(json.loads(file.with_suffix(".json").read_text())))
        files.append(file)
        first += part.rows
    return files, tally


def _land_part(dataset: Dataset, mapped: Mapped, part: Part, first: int, rounded: frozenset[str], file: Path) -> None:
    """Its rows and what they show; the file of rows appears last, so that a run that was killed leaves none by halves."""
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        rows, seen = Path(scratch) / "rows", Path(scratch) / "seen"
        tally = write_rows(dataset, mapped, rows, rounded, lambda names: part.batches(names, first))
        lists = {name: sorted(getattr(tally, name)) for name in _SEEN}
        seen.write_text(json.dumps({"rows": tally.rows, **lists, **{name: getattr(tally, name) for name in _COUNTED}}))
        seen.replace(file.with_suffix(".json"))
        rows.replace(file)


def _tally(content: dict[str, Any]) -> Tally:
    unreadable, rounded = (set(content[name]) for name in _SEEN)
    long, zeros, zero_digits = (Counter(content[name]) for name in _COUNTED)
    return Tally(content["rows"], unreadable, rounded, long, zeros, zero_digits)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link(file: Path, to: Path) -> None:
    try:
        os.link(file, to)
    except OSError:  # another disk
        shutil.copyfile(file, to)
