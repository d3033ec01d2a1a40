"""Contacts with people: refused where a rule speaks against them, kept once where they happened."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

import sqlalchemy as sa
from pydantic import Field

from serving.access.audit import Audit
from serving.access.principal import Principal
from serving.lists.contacts import MONTH
from serving.lists.holdout import HOLDOUT
from serving.lists.members import standing, write
from serving.lists.states import State
from serving.outreach.people import People, turns
from serving.outreach.posted import Amount, Known, Moment, Posted, Record, Text, Why, take
from serving.outreach.suppressions import strongest
from serving.state.database import Database
from serving.state.tables import outreach

HELD_OUT, LIST_ENDED, RESERVED, ABOVE_CAP = "held_out", "list_ended", "reserved", "above_cap"


class Contact(Record):
    """One contact with one person, about to be made or made already."""

    moment_of: ClassVar[str] = "contacted_at"

    channel: Text | None = Field(None, description="Such as `sms`; consent is held against it.")
    incentive: Text | None = Field(None, description="What was offered.")
    cost: Amount | None = Field(None, description="Of contact and incentive: minor units of the dataset's currency.")
    staff: Text | None = None
    contacted_at: Moment | None = Field(None, description="By default now.")
    already_happened: bool = Field(
        False,
        strict=True,
        description="Keep the contact although a rule speaks against it: it cannot be undone, and cool-downs count it.",
    )


class Outreach:
    """The contacts kept in one operations database; ``per_month``: most with one person in 30 days, over all lists."""

    def __init__(self, database: Database, people: People, per_month: int) -> None:
        self.database = database
        self.people = people
        self.per_month = per_month
        self.audit = Audit(database)

    def record(
        self,
        principal: Principal,
        records: Sequence[Contact],
        *,
        idempotency_key: str | None = None,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> Posted:
        """Keep contacts that may be made, and those that happened; say why others are refused. All in one transaction."""
        now = now or datetime.now(UTC)
        with self.database.alone("outreach") as connection:
            known = Known.of(connection, self.people, principal, records, now)
            rules = _Rules(known, _contacted(connection, records, now), self.per_month)
            posted = take(connection, outreach, records, idempotency_key, known, row=rules.row, judge=rules.judge)
            posted.against.update(rules.broken)
            _move_on(connection, principal, posted.kept, now)
            self.audit.write(
                principal,
                "outreach.create",
                posted.campaigns,
                criteria=posted.to_dict(),
                rows=posted.accepted,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return posted


class _Rules:
    """What speaks against contacts, while they are taken one after the other."""

    def __init__(self, known: Known, contacted: dict[str, list[datetime]], per_month: int) -> None:
        self.known = known
        self.contacted = contacted
        self.per_month = per_month
        self.broken: list[str] = []

    def row(self, record: Contact) -> Mapping[str, Any]:
        arm = self.known.arms.get((record.list_id, record.user_id)) if record.list_id else None
        why = self._against(record)
        return {
            "list_id": record.list_id,
            "campaign_id": record.campaign,
            "user_id": record.user_id,
            "arm": HOLDOUT if arm == HOLDOUT else "contacted",
            "against": why[0] if why else None,
            "channel": record.channel,
            "incentive": record.incentive,
            "cost": record.cost,
            "staff": record.staff,
            "contacted_at": record.contacted_at or self.known.now,
        }

    def judge(self, record: Contact) -> Why | None:
        """Also counts the contact, if it is not refused."""
        why = self._against(record)
        if why is not None and not record.already_happened:
            return why[0], f"{why[1]}; if it has happened, post it with already_happened"
        if why is not None:
            self.broken.append(why[0])
        self.contacted[record.user_id].append(record.contacted_at or self.known.now)
        return None

    def _against(self, record: Contact) -> Why | None:
        user, moment = record.user_id, record.contacted_at or self.known.now
        arm = self.known.arms.get((record.list_id, user)) if record.list_id else None
        # Who is to be contacted by the list named is not held out by another one: the lists have agreed on their people.
        by = record.list_id if arm == HOLDOUT else self.known.held_out_by.get(user) if arm is None else None
        if by is not None:
            return HELD_OUT, f"{user} is held out by list {by}, so that its effect can be told; contact somebody else"
        standing = [one for one in self.known.suppressions.get(user, ()) if one.stands(moment, record.channel)]
        if standing:
            cause = strongest(standing)[user]
            return cause, f"{user} may not be contacted ({cause}); GET /v1/users/{user}/suppressions tells why"
        if record.list_id is not None and (end := self.known.lists.get(record.list_id)) is not None and end <= moment:
            return LIST_ENDED, f"list {record.list_id} ended {end.isoformat()}; make a new one, or post what happened before"
        others = self.known.reservations.get(user, ())
        taken = (name for name, begin, end in others if name != record.list_id and begin <= moment < end)
        if (other := next(taken, None)) is not None:
            return RESERVED, f"{user} is reserved for list {other}; contact them for it, or once it has ended or is closed"
        if most_in_a_month(self.contacted[user], moment) > self.per_month:
            often = f"more than {self.per_month} times in {MONTH.days} days"
            return ABOVE_CAP, f"{user} would be contacted {often}; wait, or choose somebody else"
        return None


def _move_on(connection: sa.Connection, principal: Principal, contacts: Sequence[Record], now: datetime) -> None:
    """Whoever was only selected for a list has been asked by it now."""
    asked: dict[str, list[str]] = defaultdict(list)
    for contact in contacts:
        if contact.list_id is not None:
            asked[contact.list_id].append(contact.user_id)
    for list_id, users in asked.items():
        found = standing(connection, list_id, list(dict.fromkeys(users)))
        changes = [(list_id, user, State.SURVEYED, None) for user, one in found.items() if one.state == State.SELECTED]
        write(connection, principal, changes, now)


def most_in_a_month(moments: Sequence[datetime], moment: datetime) -> int:
    """Contacts in the fullest 30 days that hold one more contact at ``moment``, itself among them, in whatever order."""
    ends = [moment, *(other for other in moments if moment <= other < moment + MONTH)]
    return max(1 + sum(end - MONTH < other <= end for other in moments) for end in ends)


def _contacted(connection: sa.Connection, records: Sequence[Contact], now: datetime) -> dict[str, list[datetime]]:
    """User -> the moments of contacts that may stand in one month with those of ``records``."""
    found: dict[str, list[datetime]] = defaultdict(list)
    moments = [record.contacted_at or now for record in records]
    if not moments:
        return found
    near = outreach.c.contacted_at.between(min(moments) - MONTH, max(moments) + MONTH)
    for some in turns(list({record.user_id for record in records})):
        wanted = sa.select(outreach.c.user_id, outreach.c.contacted_at).where(outreach.c.user_id.in_(some), near)
        for user, moment in connection.execute(wanted):
            found[user].append(moment)
    return found
