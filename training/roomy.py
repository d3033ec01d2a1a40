"""Arrays that need not fit into memory: larger ones lie in a file without a name, which ends with the array."""

import mmap
import os
import tempfile
from math import prod

import numpy as np
import numpy.typing as npt

from features.errors import EngineError

CELLS_IN_MEMORY = 20_000_000


def roomy(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """``shape`` of float32 to be filled: in memory up to ``CELLS_IN_MEMORY`` cells, beyond in the folder of temporary
    files, of which the system keeps in memory what it has room for.

    Raises:
        EngineError: the disk has no room for it.
    """
    if prod(shape) <= CELLS_IN_MEMORY:
        return np.empty(shape, np.float32)
    size = prod(shape) * np.dtype(np.float32).itemsize
    with tempfile.TemporaryFile(prefix="koc-") as file:
        try:
            # Now, since a file that grows while it is written to would end the process when the disk is full.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise _no_room(size, error) from error
        # The file has no name and stays until the array goes, so even a killed run leaves nothing behind.
        return np.memmap(file, np.float32, "r+", shape=shape)


class Rows:
    """Rows of ``width`` float32 that are appended, as many as come, and then read as a `roomy` array."""

    def __init__(self, width: int) -> None:
        self._width, self._size = width, 0
        self._file = tempfile.TemporaryFile(prefix="koc-")  # noqa: SIM115 - `whole` closes it

    def append(self, rows: npt.NDArray[np.float32]) -> None:
        """rows: (n, width).

        Raises:
            EngineError: the disk has no room for them.
        """
        try:
            self._file.write(np.ascontiguousarray(rows, np.float32).data)
        except OSError as error:
            raise _no_room(rows.nbytes, error) from error
        self._size += len(rows)

    def whole(self) -> npt.NDArray[np.float32]:
        """(n, width) all rows, in their order; nothing can be appended any more."""
        shape = self._size, self._width
        with self._file as file:
            file.flush()
            if prod(shape) > CELLS_IN_MEMORY:
                return np.memmap(file, np.float32, "r+", shape=shape)
            file.seek(0)
            return np.fromfile(file, np.float32).reshape(shape)


def let_go(x: npt.NDArray[np.float32]) -> None:
    """Take what was read or written of a large array out of the memory of this process; it can be read again."""
    if isinstance(x, np.memmap):
        x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _no_room(size: int, error: OSError) -> EngineError:
    return EngineError(
        f"{size / 1e9:.1f} GB for features do not fit into {tempfile.gettempdir()} ({error.strerror}); make room there, or "
        "name a folder on a larger disk by TMPDIR"
    )
