"""The files of a batch, open for reading, each after its checksum."""

import hashlib
import mmap
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import pyarrow as pa

from features.errors import ScoresError
from serving.store.manifest import Manifest


class Files:
    """The files that the manifest names, or ``only`` some; they stay readable when the folder is removed.

    A file's checksum is compared when it is first asked for, then never again.

    Raises:
        ScoresError: one is missing.
    """

    def __init__(self, folder: Path, manifest: Manifest, only: Collection[str] | None = None) -> None:
        self._folder, self._checksums = folder, manifest.checksums
        self._intact: set[str] = set()
        try:
            self._open = {name: (folder / name).open("rb") for name in only or manifest.checksums}
        except OSError as error:
            raise self._spoilt(Path(error.filename).name) from None
        self._locks = {name: Lock() for name in self._open}

    def __getitem__(self, name: str) -> BinaryIO:
        """A file whose content is as it was written.

        Raises:
            ScoresError: it was altered.
        """
        if name not in self._open:
            raise self._spoilt(name)
        with self._locks[name]:
            if name not in self._intact:
                try:
                    self._open[name].seek(0)
                    found = hashlib.file_digest(self._open[name], "sha256").hexdigest()
                except OSError:
                    raise self._spoilt(name) from None
                if found != self._checksums[name]:
                    raise self._spoilt(name)
                self._intact.add(name)
        return self._open[name]

    def mapped(self, name: str) -> pa.Buffer:
        """The content of a file, which the system reads from disk as it is touched.

        Raises:
            ScoresError: it was altered.
        """
        return pa.py_buffer(map_file(self[name]))

    def verify(self) -> None:
        """Compare all checksums.

        Raises:
            ScoresError: a file was altered.
        """
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self.__getitem__, self._open))

    def _spoilt(self, name: str) -> ScoresError:
        return ScoresError(f"{self._folder / name} is missing or does not match its checksum; score again with `koc score`")


def map_file(file: BinaryIO, most: int | None = None) -> mmap.mmap | bytes:
    """The first ``most`` bytes of a file, by default all; an empty file cannot be mapped."""
    size = file.seek(0, 2)
    size = size if most is None else min(size, most)
    return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) if size else b""
