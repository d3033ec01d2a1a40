"""Arrays that need not fit into memory: larger ones lie in a file without a name, which ends with the array."""

import mmap
import os
import tempfile
from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from features.errors import EngineError

CELLS_IN_MEMORY = 20_000_000

BYTES_IN_MEMORY = 32 << 20
"""Of one column, of which there are many; a file for each smaller one would take more descriptors than a process has."""


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


class Appended:
    """Rows that are appended, as many as come, and then read as one array that need not fit into memory.

    ``width``: numbers of ``dtype`` in each; None for rows that are numbers themselves.
    """

    def __init__(self, width: int | None = None, dtype: npt.DTypeLike = np.float32) -> None:
        self._tail, self._dtype, self._size = () if width is None else (width,), np.dtype(dtype), 0
        self._file = tempfile.TemporaryFile(prefix="koc-")  # noqa: SIM115 - `whole` closes it

    def append(self, rows: npt.NDArray[Any]) -> None:
        """rows: (n, width) or (n,).

        Raises:
            EngineError: the disk has no room for them.
        """
        try:
            self._file.write(np.ascontiguousarray(rows, self._dtype).data)
        except OSError as error:
            raise _no_room(rows.nbytes, error) from error
        self._size += len(rows)

    def whole(self) -> npt.NDArray[Any]:
        """(n, width) or (n,) all rows, in their order; nothing can be appended any more.

        Raises:
            EngineError: the disk has no room for the last of them.
        """
        shape = self._size, *self._tail
        with self._file as file:
            try:
                file.flush()
            except OSError as error:
                raise _no_room(prod(shape) * self._dtype.itemsize, error) from error
            if prod(shape) * self._dtype.itemsize > BYTES_IN_MEMORY:
                return np.memmap(file, self._dtype, "r+", shape=shape)
            file.seek(0)
            return np.fromfile(file, self._dtype).reshape(shape)


def laid_out(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same values, where they are large in a file instead of memory.

    Raises:
        EngineError: the disk has no room for them.
    """
    if values.nbytes <= BYTES_IN_MEMORY:
        return values
    rows = Appended(values.shape[1] if values.ndim == 2 else None, values.dtype)
    rows.append(values)
    return rows.whole()


def column_laid_out(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same column, where it is large in a file instead of memory.

    Raises:
        EngineError: the disk has no room for it.
    """
    if column.nbytes <= BYTES_IN_MEMORY:
        return column
    table = pa.table({"column": column.combine_chunks()})
    with tempfile.TemporaryFile(prefix="koc-") as file:
        try:
            with pa.ipc.new_file(file, table.schema) as writer:
                writer.write_table(table)
            file.flush()
        except OSError as error:
            raise _no_room(table.nbytes, error) from error
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return pa.ipc.open_file(pa.py_buffer(mapped)).read_all()["column"]


def spooled(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> pa.RecordBatchReader:
    """The same batches, of ``schema``, to be read once and later than they are told: a file holds them until then.

    Raises:
        EngineError: the disk has no room for them.
    """
    file, size = tempfile.TemporaryFile(prefix="koc-"), 0  # noqa: SIM115 - it goes with the reader
    try:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in batches:
                size += batch.nbytes
                writer.write_batch(batch.cast(schema))
    except OSError as error:
        if error.errno is None:
            # Of whoever tells the batches, which no disk has to do with.
            raise
        raise _no_room(size, error) from error
    return pa.RecordBatchReader.from_batches(schema, pq.ParquetFile(file).iter_batches())


def let_go(x: npt.NDArray[np.float32]) -> None:
    """Take what was read or written of a large array out of the memory of this process; it can be read again."""
    if isinstance(x, np.memmap):
        x._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def _no_room(size: int, error: OSError) -> EngineError:
    return EngineError(
        f"{size / 1e9:.1f} GB for features do not fit into {tempfile.gettempdir()} ({error.strerror}); make room there, or "
        "name a folder on a larger disk by TMPDIR"
    )
