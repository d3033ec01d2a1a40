"""Which past dates a model may learn from, for a date that it is to be judged on."""

from datetime import datetime, timedelta


def training_dates(
    as_of: datetime, horizon: timedelta, first_event: datetime, *, most: int = 6, per_horizon: int = 1
) -> list[datetime]:
    """Dates ``horizon / per_horizon`` apart, latest first, whose label windows end before or at ``as_of``.

    The earliest leaves at least half a horizon of history; at most ``most`` dates. Empty if there is no such date.
    """
    earliest, step = first_event + horizon / 2, horizon / per_horizon
    dates = (as_of - horizon - step * number for number in range(most))
    return [date for date in dates if date >= earliest]
