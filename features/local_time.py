"""Local time of a dataset's zone, exact through clock changes, on any engine."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import ibis
import ibis.expr.types as ir

FIRST_YEAR, LAST_YEAR = 1990, 2100


def to_local(moment: ir.TimestampValue, zone: str, until: datetime) -> ir.TimestampValue:
    """UTC ``moment`` (before ``until``) in local time of ``zone``; exact from ``FIRST_YEAR`` to ``LAST_YEAR``."""
    *changes, last = clock_changes(zone, min(until.year, LAST_YEAR))
    branches = [(moment < ibis.literal(end), moment + ibis.interval(seconds=offset)) for end, offset in changes]
    current = moment + ibis.interval(seconds=last[1])
    return ibis.cases(*branches, else_=current) if branches else current


@lru_cache(maxsize=32)
def clock_changes(zone: str, last_year: int) -> tuple[tuple[datetime, int], ...]:
    """Spans of constant offset: (end of the span in UTC, seconds east of UTC), in order; the last one is open."""
    return tuple(_spans(ZoneInfo(zone), datetime(FIRST_YEAR, 1, 1), datetime(last_year + 1, 1, 1)))


def _spans(zone: ZoneInfo, start: datetime, end: datetime) -> Iterator[tuple[datetime, int]]:
    day, second = timedelta(days=1), timedelta(seconds=1)
    moment, offset = start, _offset(zone, start)
    while moment < end:
        if _offset(zone, moment + day) == offset:
            moment += day
            continue
        # Not every zone changes on a full hour of UTC (Tehran, Lord Howe): halve the day down to the second.
        before, after = 0, 86_400
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if _offset(zone, moment + middle * second) == offset else (before, middle)
        moment += after * second
        yield moment, offset
        offset = _offset(zone, moment)
    yield end, offset


def _offset(zone: ZoneInfo, moment: datetime) -> int:
    offset = moment.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds()) if offset else 0
