"""Settings of a draft: zone, currency, and how the data's length and rhythm suggest to cut time."""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd

from features.draft.guess import Guess
from features.draft.parts import Asker, TableDraft
from features.draft.seen import SourceFile
from features.errors import DatasetError
from features.schema import TABLES, Kind

_CURRENCY = {"¥": "CNY", "$": "USD", "€": "EUR", "£": "GBP"}
_HORIZONS = (7, 14, 28, 42, 56, 84)
_USUAL = 42
_TEST_DATES = 3
_JOINT_VISITS = ("check-in",)


def dataset_settings(sources: Sequence[SourceFile], tables: Sequence[TableDraft], asker: Asker) -> dict[str, Guess]:
    """Zone, and where money is mapped, currency.

    Raises:
        DatasetError: the zone that a person answered does not exist.
    """
    chinese = next(
        (one.header for source in sources for one in source.seen if any("一" <= c <= "鿿" for c in one.header)), None
    )
    zone = (
        Guess("Asia/Shanghai", 0.85, f"headers are Chinese ({chinese})") if chinese else Guess("UTC", 0.5, "no file tells")
    )
    choices = ("UTC", "Asia/Shanghai", "Europe/London", "America/New_York")
    zone = asker.settle("zone", "In which time zone are times written that do not name one?", choices, zone, open_=True)
    try:
        ZoneInfo(zone.value)
    except (ZoneInfoNotFoundError, ValueError):
        raise DatasetError(f"unknown zone {zone.value!r}; answer with a name such as 'Asia/Shanghai'") from None
    settings = {"zone": zone}
    amounts = [
        table.source[table.columns[column.name].value]
        for table in tables
        for column in TABLES[table.table].of_kind(Kind.MONEY)
        if column.name in table.columns
    ]
    if amounts:
        signed = next(((one.header, one.symbol) for one in amounts if one.symbol), None)
        if signed:
            told = Guess(_CURRENCY[signed[1]], 0.9, f"{signed[0]} has the sign {signed[1]}")
        elif chinese:
            told = Guess("CNY", 0.8, "headers are Chinese")
        else:
            told = Guess("CNY", 0.5, "no amount has a currency sign")
        settings["currency"] = asker.settle(
            "currency", "Which currency are the amounts in?", tuple(_CURRENCY.values()), told, open_=True
        )
    return settings


def time_settings(tables: Sequence[TableDraft], zone: str, asker: Asker) -> tuple[dict[str, Guess], str]:
    """Settings of [time], and the local day of the last event.

    The horizon is ``_USUAL`` days, longer where people come back slowly and shorter where the data is short; the window
    is two thirds of it.

    Raises:
        DatasetError: the time column of the orders or share responses holds no times.
    """
    events = next(table for name in ("orders", "share_responses") for table in tables if table.table == name)
    spec = TABLES[events.table]
    moments = events.source[events.columns[spec.event_time or ""].value].times
    if moments is None or not len(moments := moments.dropna()):
        raise DatasetError(f"{events.source.label} has no readable {spec.event_time}; correct the column and run again")
    first, last = moments.min().to_pydatetime(), moments.max().to_pydatetime()
    person = next(column.name for column in spec.of_kind(Kind.USER) if column.name in events.columns)
    gap_days = _typical_gap_days(events.source[events.columns[person].value].values, moments)
    span_days = (last - first) / timedelta(days=1)
    fitting = [days for days in _HORIZONS if days <= span_days / 6] or [_HORIZONS[0]]
    horizon = next((days for days in fitting if days >= max(_USUAL, 2 * (gap_days or 0))), fitting[-1])
    told = f"{span_days:.0f} days of data"
    if gap_days is not None:
        told += f"; half of those who come back do so within {gap_days:.0f} days"
    sure = 0.6 if events.source.cut_short else 0.8
    settings = {
        "horizon": Guess(f"{horizon}d", sure, told),
        "window": Guess(f"{horizon * 2 // 3}d", 0.8, "two thirds of the horizon"),
    }
    if events.stands_for in _JOINT_VISITS:
        gap = Guess("6h", 0.6, "two visits within hours are an outing together, not a follow-up")
        text = "How long after a friend's visit does a visit count as a follow-up?"
        settings["min_gap"] = asker.settle("min_gap", text, ("0h", "6h", "1d"), gap)
    if dates := _test_dates(moments, horizon):
        shown = ", ".join(_moment(date, zone) for date in dates)
        told = f"label windows of {horizon} days that are closed and busy; the data ends {last:%Y-%m-%d}"
        settings["test_dates"] = Guess(shown, sure, told)
    return settings, f"{last:%Y-%m-%d}"


def _test_dates(moments: pd.Series, horizon: int) -> list[datetime]:
    """The last dates, a horizon apart, with a closed and busy label window, history and training labels before it.

    Busy: at least a quarter of the events of the 90th percentile of windows, so that a tail in which the data runs out
    is passed over. Before a date lie two horizons of history and one of training labels.
    """
    last = moments.max().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0)
    seconds: pd.Series = (pd.Timestamp(last) - moments).dt.total_seconds()
    back = (seconds / (horizon * 86_400)).apply(math.ceil)
    per_window = back[back >= 1].value_counts()
    busy = per_window[per_window >= per_window.quantile(0.9) / 4]
    starts = [last - timedelta(days=horizon * int(number)) for number in sorted(busy.index)]
    usable = [date for date in starts if date - timedelta(days=3 * horizon) >= moments.min()]
    return sorted(usable[:_TEST_DATES])


def _typical_gap_days(people: pd.Series, moments: pd.Series) -> float | None:
    """Median days between one person's events on different days; None where hardly anybody comes back."""
    days = pd.DataFrame({"person": people, "day": moments.dt.floor("D")}).dropna().drop_duplicates()
    gaps = days.sort_values(["person", "day"]).groupby("person")["day"].diff().dropna()
    return float(gaps.dt.days.median()) if len(gaps) >= 20 else None


def _moment(date: datetime, zone: str) -> str:
    """Local midnight as the dataset file writes it: with its offset, or as a plain day where the zone is UTC."""
    if zone == "UTC":
        return f"{date:%Y-%m-%d}"
    return date.replace(tzinfo=ZoneInfo(zone)).isoformat()
