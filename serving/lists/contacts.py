"""What operations know of people at a moment: who was contacted lately, how often, and who is reserved or listed."""

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from serving.state.tables import candidate_lists, list_members, outreach, reservations

MONTH = timedelta(days=30)


def contacted(connection: sa.Connection, now: datetime, days: int, user_id: str | None = None) -> list[str]:
    """Who was contacted within ``days`` before ``now``; ``user_id``: only whether this person was."""
    if not days:
        return []
    at = outreach.c.contacted_at
    asked = sa.select(outreach.c.user_id).distinct().where(at > now - timedelta(days=days), at <= now)
    return _ids(connection, asked, outreach.c.user_id, user_id)


def at_cap(connection: sa.Connection, now: datetime, most: int, user_id: str | None = None) -> list[str]:
    """Who was contacted ``most`` times or more within 30 days, over all lists."""
    at = outreach.c.contacted_at
    asked = sa.select(outreach.c.user_id).where(at > now - MONTH, at <= now)
    return _ids(connection, asked.group_by(outreach.c.user_id).having(sa.func.count() >= most), outreach.c.user_id, user_id)


def reserved(connection: sa.Connection, now: datetime) -> list[str]:
    """Who is reserved for a list that still runs."""
    return _ids(connection, sa.select(reservations.c.user_id).where(reservations.c.until > now), reservations.c.user_id)


def listed(connection: sa.Connection, lists: Collection[str], user_id: str | None = None) -> list[str]:
    """Who stands on one of ``lists``, in either arm."""
    if not lists:
        return []
    asked = sa.select(list_members.c.user_id).distinct().where(list_members.c.list_id.in_(lists))
    return _ids(connection, asked, list_members.c.user_id, user_id)


def reserved_by(connection: sa.Connection, moment: datetime, user_id: str, besides: str = "") -> str | None:
    """The list that ``user_id`` was reserved for at ``moment``, other than ``besides``; None without one."""
    return connection.execute(
        sa.select(candidate_lists.c.list_id)
        .join(list_members, list_members.c.list_id == candidate_lists.c.list_id)
        .where(
            list_members.c.user_id == user_id,
            candidate_lists.c.list_id != besides,
            candidate_lists.c.created_at <= moment,
            candidate_lists.c.expires_at > moment,
        )
        .order_by(candidate_lists.c.created_at)
        .limit(1)
    ).scalar_one_or_none()


def _ids(connection: sa.Connection, asked: sa.Select[str], column: sa.Column[str], user_id: str | None = None) -> list[str]:
    if user_id is not None:
        asked = asked.where(column == user_id)
    return list(connection.execute(asked).scalars())
