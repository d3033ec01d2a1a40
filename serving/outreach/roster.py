"""External contacts as staff have added them, such as those of WeCom: who they are, who invited them, where they joined."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.outreach.people import People, outside_scope, turns
from serving.outreach.posted import SKEW, Moment, Posted, Refused, Text, Why
from serving.outreach.suppressions import erased
from serving.state.database import Database
from serving.state.tables import roster

KIND = "external_userid"
"""What WeCom calls its ids of contacts."""


class ExternalContact(BaseModel):
    """One person as one member of staff added them; a person in several communities has a record for each."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    external_id: Text
    kind: Text = Field(KIND, description="What sort of id it is; the `kind` of `identities`.")
    user_id: Text | None = Field(None, description="The customer, once known; a later import may tell.")
    staff: Text | None = Field(None, description="Who added the contact.")
    inviter_id: Text | None = Field(None, description="The customer who invited them, by user id or external id.")
    join_scene: Text | None = Field(None, description="How they joined, such as a scanned code.")
    community_id: Text | None = None
    added_at: Moment

    @property
    def key(self) -> str:
        return json.dumps([self.kind, self.external_id, self.staff, self.community_id], ensure_ascii=False)


class Roster:
    """The external contacts of one operations database."""

    def __init__(self, database: Database, people: People) -> None:
        self.database = database
        self.people = people
        self.audit = Audit(database)

    def bring_in(
        self,
        principal: Principal,
        records: Sequence[ExternalContact],
        *,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> Posted:
        """Add contacts, or bring them up to date; the same record again changes nothing and counts as repeated.

        What a record leaves out stays as it was known. A changed record counts as learned now.
        """
        now = now or datetime.now(UTC)
        posted = Posted()
        with self.database.alone("roster") as connection:
            kept = _kept(connection, [record.key for record in records])
            users = _users(connection, records)
            named = list({*users.values(), *(record.user_id for record in records if record.user_id)})
            inside = self.people.inside(principal, named)
            gone = erased(connection, [*named, *{record.inviter_id for record in records if record.inviter_id}])
            linked = {external: user for external, user in users.items() if user in inside and user not in gone}
            new: dict[str, dict[str, Any]] = {}
            for place, record in enumerate(records):
                user = record.user_id or users.get(record.external_id)
                why = self._refusal(principal, record, user, user in inside, user in gone, users, now)
                if why is not None:
                    posted.rejected.append(Refused(place, record.external_id, record.user_id or "", *why))
                    continue
                row = {**record.model_dump(), "key": record.key, "user_id": user}
                inviter = linked.get(record.inviter_id or "", record.inviter_id)
                row["inviter_id"] = None if inviter in gone else inviter
                old = new.get(record.key) or kept.get(record.key)
                told = {name: value for name, value in row.items() if value is not None}
                if old is not None and all(old[name] == value for name, value in told.items()):
                    posted.repeated += 1
                    continue
                new[record.key] = {**row, **dict(old or {}), **told, "recorded_at": now}
                posted.accepted += 1
            _store(connection, list(new.values()), kept)
            _spread(connection, linked, now)
            self.audit.write(
                principal,
                "roster.import",
                f"{len(records)} contacts",
                criteria=posted.to_dict(),
                rows=posted.accepted,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return posted

    @staticmethod
    def _refusal(
        principal: Principal,
        record: ExternalContact,
        user: str | None,
        is_inside: bool,
        is_erased: bool,
        users: Mapping[str, str],
        now: datetime,
    ) -> Why | None:
        if record.added_at > now + SKEW:
            return "in_future", f"added_at {record.added_at.isoformat()} has not come yet; check the zone of the times"
        if principal.row_scope and not is_inside:
            return "outside_scope", f"{outside_scope(principal)}; give the user_id of one, or use another key"
        if is_erased:
            return "erased", f"{user} was erased, and nothing is kept of them any more; remove them on your side too"
        if record.user_id is not None and users.get(record.external_id) != record.user_id:
            # Whom a key does not see, or may not identify, it is not told of here either.
            told = not principal.row_scope and principal.may(Scope.IDENTIFY)
            other = f"user {users[record.external_id]}" if told else "another user"
            return "other_user", (
                f"{record.external_id} is {other}, not {record.user_id}; correct the record, or merge the two in identities"
            )
        return None


def _kept(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Mapping[Any, Any]]:
    found: dict[str, Mapping[Any, Any]] = {}
    for some in turns(list(dict.fromkeys(keys))):
        found |= {row["key"]: row for row in connection.execute(sa.select(roster).where(roster.c.key.in_(some))).mappings()}
    return found


def _users(connection: sa.Connection, records: Sequence[ExternalContact]) -> dict[str, str]:
    """External id -> user, of the contacts and their inviters, as kept or else as told first."""
    ids = {name for record in records for name in (record.external_id, record.inviter_id) if name}
    found: dict[str, str] = {}
    for some in turns(sorted(ids)):
        wanted = sa.select(roster.c.external_id, roster.c.user_id).where(
            roster.c.external_id.in_(some), roster.c.user_id.is_not(None)
        )
        found |= {external: user for external, user in connection.execute(wanted) if user is not None}
    for record in records:
        if record.user_id is not None:
            found.setdefault(record.external_id, record.user_id)
    return found


def _store(connection: sa.Connection, rows: Sequence[Mapping[str, Any]], kept: Mapping[str, Any]) -> None:
    for row in rows:
        if row["key"] in kept:
            connection.execute(sa.update(roster).where(roster.c.key == row["key"]).values(**row))
    if added := [row for row in rows if row["key"] not in kept]:
        connection.execute(sa.insert(roster), added)


def _spread(connection: sa.Connection, users: Mapping[str, str], now: datetime) -> None:
    """Let the other rows of a contact, and those whom it invited, know the user that is known now."""
    changes = [{"external": external, "user": user} for external, user in users.items()]
    if not changes:
        return
    values = {"user_id": sa.bindparam("user"), "recorded_at": now}
    of = (roster.c.external_id == sa.bindparam("external")) & roster.c.user_id.is_(None)
    connection.execute(sa.update(roster).where(of).values(**values), changes)
    invited = roster.c.inviter_id == sa.bindparam("external")
    connection.execute(sa.update(roster).where(invited).values(inviter_id=sa.bindparam("user"), recorded_at=now), changes)
