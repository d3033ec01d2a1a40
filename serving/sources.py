"""What the sources of a dataset look like from outside: a token that changes when any of them does, without reading rows."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from features.dataset import Dataset

FILE_DATABASES = ("duckdb", "sqlite")
"""Databases that are a file, which tells itself when it has changed."""


def sources_token(dataset: Dataset, now: datetime, stale_after: timedelta) -> str:
    """Hexadecimal; equal as long as the dataset says the same and no file of it has another name, size or time.

    Nothing tells cheaply whether a table on a database server has changed: with one among the sources, the token also
    changes every ``stale_after``.
    """
    parts = [dataset.model_dump_json()]
    for name in sorted(dataset.tables):
        source = dataset.tables[name].source
        scheme, found, rest = source.partition("://")
        if found and scheme not in FILE_DATABASES:
            parts.append(f"{name} {int(now.timestamp() // stale_after.total_seconds())}")
            continue
        for file in _files(dataset.root / (rest if found else source)):
            seen = file.stat()
            parts.append(f"{name} {file} {seen.st_size} {seen.st_mtime_ns}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _files(path: Path) -> Iterator[Path]:
    """The files behind a source, of a database also its journal; none where nothing is there."""
    if path.is_dir():
        yield from sorted(file for file in path.rglob("*") if file.is_file())
        return
    beside = (path.with_name(path.name + ending) for ending in ("", ".wal", "-wal", "-journal"))
    yield from (file for file in beside if file.is_file())
