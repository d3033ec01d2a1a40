"""Small worlds written by hand, as the tables that snapshots are taken from."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from features.dataset import Dataset, TableSource, TimeSettings
from features.engine import DuckDB, Engine
from features.schema import TABLES
from features.tables import Tables, complete
from features.user_table import UserTable

Rows = Sequence[Mapping[str, Any]]


def day(number: float) -> datetime:
    """Moment ``number`` days after the start of 2024."""
    return datetime(2024, 1, 1) + timedelta(days=number)


def world(
    *,
    horizon: timedelta = timedelta(days=10),
    window: timedelta = timedelta(days=5),
    min_gap: timedelta = timedelta(0),
    until: datetime | None = None,
    credit: str = "item",
    engine: Engine | None = None,
    settings: Mapping[str, Any] | None = None,
    **tables: Rows,
) -> Tables:
    """Tables from rows of dicts; the columns that any row gives count as given by the source."""
    engine = engine or DuckDB(threads=1)
    built, given, latest = {}, {}, [day(0)]
    for name, rows in tables.items():
        spec = TABLES[name]
        columns = list(dict.fromkeys(column for row in rows for column in row)) or [
            column.name for column in spec.columns if column.required
        ]
        arrays = {}
        for column in columns:
            values = [row.get(column) for row in rows]
            arrays[column] = pa.array(values, type=spec[column].kind.dtype.to_pyarrow())
        built[name] = complete(engine.from_arrow(pa.table(arrays)), spec)
        given[name] = frozenset(columns)
        if spec.event_time in columns:
            latest += [row[spec.event_time] for row in rows if row.get(spec.event_time)]
    dataset = Dataset.model_validate(
        {
            "name": "world",
            "root": Path(),
            "credit": credit,
            "time": TimeSettings(horizon=horizon, window=window, min_gap=min_gap, **(settings or {})),
            "tables": {name: TableSource(source="memory") for name in tables},
        }
    )
    return Tables(dataset, engine, built, given, until or max(latest))


def rows_of(tables_engine: Tables, expression: Any, *by: str) -> pd.DataFrame:
    """The rows of an expression in memory, sorted by ``by``."""
    frame = tables_engine.engine.to_arrow(expression).to_pandas()
    return frame.sort_values(list(by)).reset_index(drop=True) if by else frame


def user_rows(built: UserTable, engine: Engine) -> pd.DataFrame:
    """All parts of a user table side by side, sorted by user; they can be told once."""
    rows = [engine.to_arrow(built.users.order_by("user_id")).to_pandas().set_index("user_id")]
    for part in built.parts:
        told = engine.to_arrow(part).to_pandas().set_index("user_id").reindex(rows[0].index)
        rows.append(told.assign(**{name: told[name].fillna(0).astype("int64") for name in told if name in built.counts}))
    return pd.concat(rows, axis=1).reset_index()
