from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
import numpy as np
import pyarrow as pa
import pytest

from features.engine import DuckDB
from features.local_time import clock_changes, to_local

UNTIL = datetime(2026, 7, 1)
ZONES = (
    "UTC",
    "Asia/Shanghai",  # summer time until 1991
    "Asia/Kolkata",
    "America/New_York",
    "Europe/Lisbon",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",  # half an hour of summer time, changing on half hours of UTC
    "Asia/Tehran",
    "America/St_Johns",  # changed at one minute past midnight
    "Asia/Pyongyang",
    "Pacific/Apia",  # crossed the date line in 2011
)


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


def around_changes(zone: str) -> list[datetime]:
    """The moments next to each change of the zone's clocks, found minute by minute within the days that hold one."""
    found = []
    day, info = datetime(1990, 1, 1), ZoneInfo(zone)
    while day < UNTIL - timedelta(days=1):
        if _offset(day, info) != _offset(day + timedelta(days=1), info):
            minute = day
            while _offset(minute + timedelta(minutes=1), info) == _offset(day, info):
                minute += timedelta(minutes=1)
            found += [minute, minute + timedelta(seconds=59.999999), minute + timedelta(minutes=1)]
        day += timedelta(days=1)
    return found


def _offset(moment: datetime, zone: ZoneInfo) -> timedelta | None:
    return moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()


@pytest.mark.parametrize("zone", ZONES)
def test_equals_zoneinfo(zone: str, engine: DuckDB) -> None:
    rng = np.random.default_rng(0)
    span_s = int((UNTIL - datetime(1990, 1, 1)).total_seconds()) - 1
    drawn = [datetime(1990, 1, 1) + timedelta(seconds=float(s)) for s in rng.uniform(0, span_s, 500)]
    moments = [*drawn, *around_changes(zone)]
    table = engine.from_arrow(pa.table({"moment": pa.array(moments, pa.timestamp("us"))}))
    rows = engine.to_arrow(table.select("moment", local=to_local(table.moment, zone, UNTIL))).to_pydict()
    info = ZoneInfo(zone)
    expected = [moment.replace(tzinfo=UTC).astimezone(info).replace(tzinfo=None) for moment in rows["moment"]]
    assert rows["local"] == expected


def test_a_zone_without_changes_is_one_span() -> None:
    assert clock_changes("Asia/Kolkata", 2025) == ((datetime(2026, 1, 1), 19_800),)


def test_changes_fall_on_their_second() -> None:
    # The clocks of New York went forward on 2024-03-10 at 07:00 UTC and back on 2024-11-03 at 06:00 UTC.
    spans = clock_changes("America/New_York", 2024)
    assert spans[-3:] == (
        (datetime(2024, 3, 10, 7), -18_000),
        (datetime(2024, 11, 3, 6), -14_400),
        (datetime(2025, 1, 1), -18_000),
    )


def test_a_moment_in_the_last_hours_of_a_year_is_inside(engine: DuckDB) -> None:
    late = datetime(2024, 12, 31, 23, 30)
    table = engine.from_arrow(pa.table({"moment": pa.array([late], pa.timestamp("us"))}))
    rows = engine.to_arrow(table.select(local=to_local(table.moment, "Asia/Shanghai", datetime(2025, 1, 1))))
    assert rows["local"].to_pylist() == [datetime(2025, 1, 1, 7, 30)]


def test_the_end_of_time_is_no_obstacle() -> None:
    moment = datetime(2024, 7, 1, 12)
    table = ibis.memtable({"at": [moment]}, schema={"at": "timestamp"})
    local = table.select(at=to_local(table.at, "Asia/Shanghai", datetime(9999, 1, 1)))
    assert ibis.duckdb.connect().to_pyarrow(local)["at"][0].as_py() == datetime(2024, 7, 1, 20)
