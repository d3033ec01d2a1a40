"""Users as JSON, encoded when the batch is written: a line each, so that an answer is cut and joined."""

import os
from pathlib import Path

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving.store.checked import Checked

BYTES = pa.large_binary()
CHUNK = 65_536
"""Rows encoded at a time."""

MAPPED = 64 << 20
"""Bytes read through the mapping, from the best user on; the few asked for beyond are read from the file, since touching the
whole of it would hold as much memory as it is long."""


def write_records(users: pa.Table, path: Path) -> NDArray[np.int64]:
    """Write one JSON object a line; (rows + 1,) where each line starts."""
    keys = [_text(name) + b":" for name in users.column_names]
    keys[0] = b"{" + keys[0]
    starts = [np.zeros(1, np.int64)]
    with path.open("wb") as file:
        for start in range(0, len(users), CHUNK):
            # Whole columns at a time, since a million lines formatted one by one take longer than the scores.
            columns = [_encoded(column.combine_chunks()) for column in users.slice(start, CHUNK).columns]
            columns[-1] = pc.binary_replace_slice(columns[-1], -1, np.iinfo(np.int64).max, b"}\n")
            parts = [part for key, column in zip(keys, columns, strict=True) for part in (pa.scalar(key, BYTES), column)]
            lines = pc.binary_join_element_wise(*parts, pa.scalar(b"", BYTES))
            ends = np.frombuffer(lines.buffers()[1], np.int64)[: len(lines) + 1]
            starts.append(ends[1:] + starts[-1][-1])
            file.write(memoryview(lines.buffers()[2])[: ends[-1]])
    return np.concatenate(starts)


class Records:
    """The lines of a file that `write_records` made."""

    def __init__(self, file: Checked, starts: NDArray[np.int64]) -> None:
        self._file, self._starts = file, starts
        self._top = memoryview(file.mapped)[:MAPPED]

    def array(self, rows: NDArray[np.int64]) -> bytes:
        """A JSON array of the objects of ``rows``, in their order.

        Raises:
            SpoiltScoresError: one of them was altered.
        """
        top, size, file = self._top, len(self._top), self._file.file.fileno()
        starts, stops = self._starts[rows].tolist(), self._starts[rows + 1].tolist()
        self._file.require_pieces(starts, stops)
        parts = [
            top[start : stop - 1] if stop <= size else os.pread(file, stop - start - 1, start)
            for start, stop in zip(starts, stops, strict=True)
        ]
        return b"[" + b",".join(parts) + b"]"


def _text(value: object) -> bytes:
    return orjson.dumps(value, default=str)


def _encoded(column: pa.Array) -> pa.Array:
    """Each value as JSON and a comma; what JSON cannot say, such as an infinite number, as null."""
    if pa.types.is_floating(column.type):
        numbers = np.ascontiguousarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
        # One text of all, cut after each comma; its brackets are the first byte and the last.
        text = orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b","
        cuts = np.flatnonzero(np.frombuffer(text, np.uint8) == ord(",")) + 1
        offsets = np.concatenate([np.zeros(1, np.int64), cuts.astype(np.int64)])
        return pa.Array.from_buffers(BYTES, len(numbers), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        coded = column.dictionary_encode(null_encoding="encode")
        return pa.array([_text(value) + b"," for value in coded.dictionary.to_pylist()], BYTES).take(coded.indices)
    return pa.array([_text(value) + b"," for value in column.to_pylist()], BYTES)
