"""Writes columns of numbers as Parquet tables with string ids and UTC times, a million rows at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.simulate.events import NOBODY
from features.simulate.lifetime import NEVER
from features.simulate.network import ALWAYS
from features.simulate.settings import ZONE, MarketSettings

Values = NDArray[np.int64]
Build = Callable[[slice], pa.Array]

_ROWS = 1_000_000


@dataclass(frozen=True)
class Writer:
    """Where tables go and when second 0 is; ``column`` builders below are called for one slice of rows after another."""

    folder: Path
    origin: datetime

    def write(self, name: str, rows: int, columns: Mapping[str, Build]) -> None:
        """One file ``name``.parquet; equal columns give equal bytes."""
        path = self.folder / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = (slice(low, min(low + _ROWS, rows)) for low in range(0, max(rows, 1), _ROWS))
        first = _table(columns, next(parts))
        with pq.ParquetWriter(path, first.schema, compression="zstd") as file:
            file.write_table(first)
            for part in parts:
                file.write_table(_table(columns, part))

    def times(self, seconds: Values) -> Build:
        """Timestamps in UTC; null for ``NEVER`` and ``ALWAYS``."""
        origin = int(np.datetime64(self.origin, "us").astype(np.int64))

        def build(part: slice) -> pa.Array:
            values = seconds[part]
            missing = (values == NEVER) | (values == ALWAYS)
            moments = origin + np.where(missing, 0, values) * 1_000_000
            return pa.array(moments, mask=missing).cast(pa.timestamp("us"))

        return build


def utc_origin(settings: MarketSettings) -> datetime:
    """Local midnight of the first day, in UTC without tzinfo."""
    local = datetime.combine(settings.start, datetime.min.time(), ZoneInfo(ZONE))
    return local.astimezone(UTC).replace(tzinfo=None)


def ids(prefix: str, numbers: Values, count: int) -> Build:
    """``prefix`` and a number as wide as the largest of ``count``, so that ids sort as text; null for ``NOBODY``."""
    width = len(str(max(count - 1, 0)))

    def build(part: slice) -> pa.Array:
        values = numbers[part]
        text = pc.utf8_lpad(pa.array(values, mask=values == NOBODY).cast(pa.string()), width, "0")
        return pc.binary_join_element_wise(prefix, text, "")

    return build


def names(labels: Sequence[str], codes: Values) -> Build:
    """The label of each code."""
    known = pa.array(labels, pa.string())
    return lambda part: known.take(pa.array(codes[part]))


def numbers(values: NDArray[np.int64] | NDArray[np.float64], *, missing: NDArray[np.bool_] | None = None) -> Build:
    """Values as they are, null where ``missing``."""
    return lambda part: pa.array(values[part], mask=None if missing is None else missing[part])


def _table(columns: Mapping[str, Build], part: slice) -> pa.Table:
    return pa.table({name: build(part) for name, build in columns.items()})
