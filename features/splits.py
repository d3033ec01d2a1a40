"""Which past dates a model may learn from, for a date that it is to be judged on."""

from datetime import datetime, timedelta


def training_dates(as_of: datetime, horizon: timedelta, first_event: datetime, *, most: int = 6) -> list[datetime]:
    """Dates one horizon apart, latest first, whose label windows end before or at ``as_of``.

    The earliest leaves at least half a horizon of history; at most ``most`` dates. Empty if there is no such date.
    """
    earliest = first_event + horizon / 2
    dates = (as_of - horizon * step for step in range(1, most + 1))
    return [date for date in dates if date >= earliest]
