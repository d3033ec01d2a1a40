"""A file whose content is compared with checksums before any of it is told, a block at a time."""

import hashlib
import mmap
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from features.errors import SpoiltScoresError

BLOCK = 65_536
"""Bytes with a checksum of their own, in files that are asked for a little here and there."""

DIGEST = hashlib.sha256().digest_size


def write_blocks(path: Path, blocks: Path) -> None:
    """Write the SHA-256 of each ``BLOCK`` of the file ``path`` into the file ``blocks``, one after the other."""
    with path.open("rb") as file, blocks.open("wb") as digests:
        while block := file.read(BLOCK):
            digests.write(hashlib.sha256(block).digest())


class Checked:
    """The content of ``file``; a block is compared with its checksum when it is first required, then never again.

    digests: SHA-256 of each block, one after the other; block: how long they are, by default the whole file is one.

    Raises:
        SpoiltScoresError: the file is shorter or longer than its checksums tell.
    """

    def __init__(self, file: BinaryIO, digests: bytes, block: int | None = None) -> None:
        self.file = file
        self.size = file.seek(0, 2)
        # An empty file cannot be mapped.
        self.mapped = pa.py_buffer(mmap.mmap(file.fileno(), self.size, access=mmap.ACCESS_READ) if self.size else b"")
        """The whole content, which the system reads from disk as it is touched; what was required of it is intact."""
        self._block = max(self.size, 1) if block is None else block
        self._digests = [digests[start : start + DIGEST] for start in range(0, len(digests), DIGEST)]
        if block is not None and len(self._digests) != -(-self.size // block):
            raise spoilt(file.name)
        self._intact = np.zeros(len(self._digests), dtype=bool)
        self._whole = not self._digests

    @cached_property
    def table(self) -> pa.Table:
        """The content as Arrow wrote it, over ``mapped``; the values of a column are intact once they were required.

        Raises:
            SpoiltScoresError: where they lie was altered.
        """
        self.require(0, 1)
        self.require(self.size - 1)
        try:
            table = pa.ipc.open_file(self.mapped).read_all()
        except (pa.ArrowException, OSError):
            raise spoilt(self.file.name) from None
        # What is around the values tells where they lie.
        places = [place for column in table.columns for place in self._places(column)]
        self.require(0, min((start for start, _ in places), default=self.size))
        self.require(max((stop for _, stop in places), default=0))
        return table

    def require(self, start: int = 0, stop: int | None = None) -> None:
        """Compare the blocks that bytes ``start`` to ``stop`` lie in, by default all.

        Raises:
            SpoiltScoresError: one was altered.
        """
        if not self._whole:
            first, last = start // self._block, -(-(self.size if stop is None else stop) // self._block)
            for block in range(first, min(max(last, first + 1), len(self._digests))):
                self._compare(block)
            self._whole = bool(self._intact.all())

    def require_pieces(self, starts: Sequence[int], stops: Sequence[int]) -> None:
        """As `require`, for bytes ``starts`` to ``stops`` of each piece."""
        if not self._whole:
            for start, stop in zip(starts, stops, strict=True):
                self.require(start, stop)

    def require_values(self, column: pa.ChunkedArray) -> None:
        """As `require`, for a column of ``table``."""
        if not self._whole:
            for start, stop in self._places(column):
                self.require(start, stop)

    def _places(self, column: pa.ChunkedArray) -> list[tuple[int, int]]:
        """Where the buffers of a column start and stop."""
        buffers = [buffer for chunk in column.chunks for buffer in chunk.buffers() if buffer is not None and buffer.size]
        starts = [buffer.address - self.mapped.address for buffer in buffers]
        places = [(start, start + buffer.size) for start, buffer in zip(starts, buffers, strict=True)]
        if any(start < 0 or stop > self.size for start, stop in places):
            raise spoilt(self.file.name)
        return places

    def _compare(self, block: int) -> None:
        if not self._intact[block]:
            if self._digest(block) != self._digests[block]:
                raise spoilt(self.file.name)
            self._intact[block] = True

    def _digest(self, block: int) -> bytes:
        found, stop = hashlib.sha256(), min((block + 1) * self._block, self.size)
        try:
            for start in range(block * self._block, stop, BLOCK):
                found.update(os.pread(self.file.fileno(), min(BLOCK, stop - start), start))
        except OSError:
            raise spoilt(self.file.name) from None
        return found.digest()


def spoilt(path: str | Path) -> SpoiltScoresError:
    """What is raised of a file that is not as it was written."""
    return SpoiltScoresError(f"{path} is missing or does not match its checksum; score again with `koc score`")
