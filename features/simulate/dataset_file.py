"""The ``dataset.toml`` of a simulated market: its tables, its clocks and its test dates."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq

from features.simulate.settings import ZONE, MarketSettings

HORIZON_DAYS = 42
WINDOW_DAYS = 28
_TEST_DATES = 3
_HISTORY_DAYS = 2 * HORIZON_DAYS


def test_dates(settings: MarketSettings, origin: datetime) -> list[datetime]:
    """Up to three local midnights, one horizon apart, oldest first, in UTC without tzinfo.

    The last one's label window ends with the data; the first one has two horizons of history.
    """
    days = range(settings.days - HORIZON_DAYS, _HISTORY_DAYS - 1, -HORIZON_DAYS)[:_TEST_DATES]
    return [origin + timedelta(days=day) for day in reversed(days)]


def write_dataset_file(folder: Path, settings: MarketSettings, origin: datetime, tables: Sequence[str]) -> Path:
    """Describe ``tables`` in ``folder``; their columns, read from the Parquet files, have our own names already."""
    until = origin + timedelta(days=settings.days)
    dates = ", ".join(_local(date) for date in test_dates(settings, origin))
    lines = [
        'name = "simulated-market"',
        f'zone = "{ZONE}"',
        'currency = "CNY"',
        f'caution = "simulated market, {settings.users} users, seed {settings.seed}: no finding here is one about people"',
        "",
        "[time]",
        f'horizon = "{HORIZON_DAYS}d"',
        f'window = "{WINDOW_DAYS}d"',
        f"until = {_local(until)}",
        f"test_dates = [{dates}]",
    ]
    for table in tables:
        lines += ["", f"[tables.{table}]", f'source = "{table}.parquet"', 'zone = "UTC"', "", f"[tables.{table}.columns]"]
        lines += [f'{column} = "{column}"' for column in pq.read_schema(folder / f"{table}.parquet").names]
    path = folder / "dataset.toml"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _local(moment: datetime) -> str:
    return moment.replace(tzinfo=UTC).astimezone(ZoneInfo(ZONE)).isoformat()
