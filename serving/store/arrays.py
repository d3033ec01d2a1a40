"""Named arrays in one Arrow file, mapped into memory: one row, an array a column."""

from collections.abc import Iterable, Mapping, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from serving.store.checked import Checked
from training.roomy import let_go


def write_arrays(arrays: Mapping[str, NDArray[Any] | Sequence[str]], path: Path) -> None:
    """Write arrays of numbers, one- or two-dimensional, and lists of strings."""
    columns, widths = {}, {}
    for name, values in arrays.items():
        if isinstance(values, np.ndarray):
            flat = pa.array(np.ascontiguousarray(values).reshape(-1))
            widths[name] = str(values.shape[1]) if values.ndim == 2 else ""
        else:
            flat = pa.array(values, pa.string())
        columns[name] = pa.LargeListArray.from_arrays(pa.array([0, len(flat)], pa.int64()), flat)
    row = pa.record_batch(columns).replace_schema_metadata(widths)
    large = [values for values in arrays.values() if isinstance(values, np.ndarray)]
    with _LettingGo(path, large) as sink, pa.ipc.new_file(sink, row.schema) as writer:
        writer.write_batch(row)


class _LettingGo(FileIO):
    """A file to write ``arrays`` to, which are let go after each: one row is one step of Arrow's writer, in which all of
    them would come into memory together."""

    def __init__(self, path: Path, arrays: Iterable[NDArray[Any]]) -> None:
        super().__init__(path, "w")
        self._arrays = arrays

    def write(self, values: Any, /) -> int:
        view, written = memoryview(values).cast("B"), 0
        # The system takes at most 2 GB in one go.
        while written < len(view):
            written += super().write(view[written:])
        for array in self._arrays:
            let_go(array)
        return written


class Arrays:
    """The arrays of a file, without a copy; what was altered in it is a `SpoiltScoresError`."""

    def __init__(self, file: Checked) -> None:
        self._file, self._row = file, file.table
        self._widths = {name.decode(): width.decode() for name, width in (self._row.schema.metadata or {}).items()}

    def get(self, name: str, absent: NDArray[Any]) -> NDArray[Any]:
        """The array, or ``absent`` where the file holds none of that name."""
        return self[name] if name in self._row.schema.names else absent

    def length(self, name: str) -> int:
        """How many numbers an array holds, without a look at them."""
        return len(self._row[name].chunk(0).values)

    def __getitem__(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._values(name).to_numpy(zero_copy_only=True)
        width = self._widths.get(name)
        return values.reshape(-1, int(width)) if width else values

    def strings(self, name: str) -> list[str]:
        """A list of strings."""
        found: list[str] = self._values(name).to_pylist()
        return found

    def _values(self, name: str) -> pa.Array:
        column = self._row[name]
        self._file.require_values(column)
        return column.chunk(0).values
