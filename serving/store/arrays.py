"""Named arrays in one Arrow file, mapped into memory: one row, an array a column."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray


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
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, row.schema) as writer:
        writer.write_batch(row)


class Arrays:
    """The arrays of a file's content, without a copy."""

    def __init__(self, content: pa.Buffer) -> None:
        self._row = pa.ipc.open_file(content).get_batch(0)
        self._widths = {name.decode(): width.decode() for name, width in (self._row.schema.metadata or {}).items()}

    def get(self, name: str, absent: NDArray[Any]) -> NDArray[Any]:
        """The array, or ``absent`` where the file holds none of that name."""
        return self[name] if name in self._row.schema.names else absent

    def __getitem__(self, name: str) -> NDArray[Any]:
        values: NDArray[Any] = self._row.column(name).values.to_numpy(zero_copy_only=True)
        width = self._widths.get(name)
        return values.reshape(-1, int(width)) if width else values

    def strings(self, name: str) -> list[str]:
        """A list of strings."""
        found: list[str] = self._row.column(name).values.to_pylist()
        return found
