"""Arrays that need not fit into memory: larger ones lie in a file without a name, which ends with the array."""

import mmap
import tempfile
from math import prod

import numpy as np
import numpy.typing as npt

CELLS_IN_MEMORY = 20_000_000


def roomy(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """``shape`` of float32 to be filled: in memory up to ``CELLS_IN_MEMORY`` cells, beyond in the folder of temporary
    files, of which the system keeps in memory what it has room for."""
    if prod(shape) <= CELLS_IN_MEMORY:
        return np.empty(shape, np.float32)
    with tempfile.TemporaryFile(prefix="koc-") as file:
        # The file has no name and stays until the array goes, so even a killed run leaves nothing behind.
        return np.memmap(file, np.float32, "w+", shape=shape)


def let_go(x: npt.NDArray[np.float32]) -> None:
    """Take what was read or written of a large array out of the memory of this process; it can be read again."""
    if isinstance(x, np.memmap):
        x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]
