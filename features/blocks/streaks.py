"""Check-ins of each user by local days: how many, how many in a row, and how many of the last week."""

import ibis
import ibis.expr.types as ir

from features.blocks.block import block
from features.local_time import to_local
from features.snapshot import Snapshot

CHECK_IN = ("check_in", "checkin", "sign_in")
"""Kinds of engagement that are a check-in, in lower case, with ``_`` for any other sign between words."""

WEEK = 7
DAY_S = 86_400


@block({"engagements": ("kind",)})
def check_ins(snapshot: Snapshot) -> ir.Table:
    """Days with a check-in, in local days; several on one day are one.

    checkin_days_{w}      int64  days  with a check-in in the window
    checkin_days_all      int64  days  with a check-in in all history
    checkin_week          int64  days  with a check-in among the last seven local days that had begun before as_of
    checkin_streak        int64  days  in a row with a check-in, up to the last local day or the one before; 0 if broken
    checkin_streak_max    int64  days  longest row of days with a check-in
    """
    rows, zone = snapshot["engagements"], snapshot.source.dataset.zone
    kind = rows.kind.lower().replace("-", "_").replace(" ", "_")
    rows = rows.filter(kind.isin(CHECK_IN))
    dated = rows.select("user_id", "happened_at", day_number=_day_number(rows.happened_at, zone, snapshot))
    days = dated.group_by("user_id", "day_number").agg(at=dated.happened_at.max())
    # The last moment that a snapshot knows lies before as_of.
    today = _day_number(ibis.literal(snapshot.as_of) - ibis.interval(seconds=1), zone, snapshot)
    counted = days.group_by("user_id").agg(
        **{f"checkin_days_{w}": days.count(where=days["at"] >= start) for w, start in snapshot.windows.items()},
        checkin_days_all=days.count(),
        checkin_week=days.count(where=days.day_number > today - WEEK),
    )
    order = ibis.window(group_by="user_id", order_by="day_number")
    # Days in a row rise as fast as their places, so that the difference names the row of days.
    rowed = days.mutate(place=ibis.row_number().over(order).cast("int64"))
    rowed = rowed.mutate(run=rowed.day_number - rowed.place)
    runs = rowed.group_by("user_id", "run").agg(length=rowed.count(), last_day=rowed.day_number.max())
    longest = runs.group_by("user_id").agg(
        checkin_streak=runs.length.max(where=runs.last_day >= today - 1).fill_null(0).cast("int64"),
        checkin_streak_max=runs.length.max().cast("int64"),
    )
    joined = counted.join(longest, "user_id")
    names = (*(f"checkin_days_{w}" for w in snapshot.windows), "checkin_days_all", "checkin_week")
    return joined.select("user_id", *names, "checkin_streak", "checkin_streak_max")


def _day_number(moment: ir.TimestampValue, zone: str, snapshot: Snapshot) -> ir.IntegerValue:
    """Local days since 1970."""
    local = to_local(moment, zone, snapshot.as_of)
    return (local.truncate("D").epoch_seconds() // DAY_S).cast("int64")
