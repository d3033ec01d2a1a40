"""Applications from a sign-up form: what people can do, apart from who they are."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from features.errors import ConflictError, ForbiddenError, ListError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.outreach.people import People, outside_scope
from serving.outreach.posted import SKEW, Moment, Note, Text
from serving.outreach.suppressions import Cause, entries_of
from serving.state.database import Database
from serving.state.tables import application_persons, applications


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Account(_Frozen):
    """An account that the person has elsewhere."""

    platform: Text
    account: Text | None = None
    fans: Annotated[int, Field(strict=True, ge=0, le=10**10)] | None = None


class Answers(_Frozen):
    """What the person can do and reaches; nothing here says who they are."""

    talents: Annotated[list[Text], Field(max_length=50)] = []
    accounts: Annotated[list[Account], Field(max_length=50)] = []


class Person(_Frozen):
    """Who the person is: kept apart, in no export and no feature, and shown to keys that may identify people only."""

    name: Text
    phone: Text | None = None
    address: Note | None = None
    identity_number: Text | None = None


class Application(_Frozen):
    """One filled-in form. The same ``application_id`` is the same form, however often it is sent."""

    application_id: Text | None = Field(None, description="The sender's own; made up where it is left out.")
    user_id: Text | None = Field(None, description="The customer, where the form knows them.")
    person: Person
    answers: Answers = Answers()
    applied_at: Moment | None = Field(None, description="By default now.")


@dataclass(frozen=True)
class Applied:
    """An application without the person. ``repeated``: it was kept already."""

    application_id: str
    user_id: str | None
    answers: Answers
    applied_at: datetime
    repeated: bool = False


class Applications:
    """The applications of one operations database."""

    def __init__(self, database: Database, people: People) -> None:
        self.database = database
        self.people = people
        self.audit = Audit(database)

    def add(
        self, principal: Principal, application: Application, *, now: datetime | None = None, request_id: str | None = None
    ) -> Applied:
        """Keep an application, the person apart.

        Raises:
            ConflictError: its id is kept with other content. ForbiddenError: the person is outside of the row scope.
            ListError: the person was erased, or the moment has not come yet.
        """
        now = now or datetime.now(UTC)
        user = application.user_id
        if application.applied_at is not None and application.applied_at > now + SKEW:
            raise ListError(f"applied_at {application.applied_at.isoformat()} has not come yet; check its zone")
        if principal.row_scope and (user is None or not self.people.inside(principal, [user])):
            raise ForbiddenError(f"{outside_scope(principal)}; name the user_id of one, or use another key")
        application_id = application.application_id or uuid.uuid4().hex
        row: dict[str, Any] = {
            "application_id": application_id,
            "user_id": user,
            "answers": application.answers.model_dump(),
            "applied_at": application.applied_at or now,
        }
        person = application.person.model_dump(exclude_none=True)
        with self.database.alone("applications") as connection:
            if user is not None and any(one.kind is Cause.ERASED for one in entries_of(connection, [user]).get(user, ())):
                raise ListError(f"{user} was erased, and nothing is kept of them any more; send the form without user_id")
            kept = self._kept(connection, application_id)
            if kept is not None:
                told = {
                    name: row[name] for name in ("user_id", "answers", *(["applied_at"] if application.applied_at else []))
                }
                if kept["person"] != person or any(kept[name] != value for name, value in told.items()):
                    raise ConflictError(
                        f"application {application_id!r} is kept with other content; send a new one under a new id"
                    )
                return _applied(kept, repeated=True)
            connection.execute(sa.insert(applications).values(**row))
            connection.execute(sa.insert(application_persons).values(application_id=application_id, person=person))
            self.audit.write(
                principal,
                "application.create",
                application_id,
                rows=1,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return _applied(row)

    def all(self, principal: Principal, *, limit: int = 100, after: str = "") -> list[Applied]:
        """Applications of people whom the principal sees by id from above ``after`` on, without the persons."""
        wanted = sa.select(applications).order_by(applications.c.application_id)
        found: list[Applied] = []
        with self.database.read() as connection:
            while len(found) < limit:
                page = connection.execute(wanted.where(applications.c.application_id > after).limit(limit)).mappings().all()
                found += [_applied(row) for row in self._seen(principal, page)]
                if len(page) < limit:
                    break
                after = page[-1]["application_id"]
        return found[:limit]

    def get(self, principal: Principal, application_id: str) -> Applied:
        """One application, without the person.

        Raises:
            NotFoundError: there is none among those that the principal sees.
        """
        with self.database.read() as connection:
            return _applied(self._required(connection, principal, application_id))

    def person(
        self, principal: Principal, application_id: str, *, now: datetime | None = None, request_id: str | None = None
    ) -> Person:
        """Who applied; the audit log keeps who asked.

        Raises:
            ForbiddenError: the principal may not identify people.
            NotFoundError: as `get`.
        """
        principal.require(Scope.IDENTIFY)
        with self.database.write() as connection:
            kept = self._required(connection, principal, application_id)
            self.audit.write(
                principal,
                "application.identify",
                application_id,
                rows=1,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        return Person.model_validate(kept["person"])

    def _required(self, connection: sa.Connection, principal: Principal, application_id: str) -> Mapping[Any, Any]:
        kept = self._kept(connection, application_id)
        if kept is None or not self._seen(principal, [kept]):
            raise NotFoundError(f"no application {application_id!r}; GET /v1/applications lists those there are")
        return kept

    def _seen(self, principal: Principal, rows: Any) -> list[Mapping[Any, Any]]:
        """Of keys with a row scope, applications of customers inside of it only."""
        if not principal.row_scope:
            return list(rows)
        inside = self.people.inside(principal, [row["user_id"] for row in rows if row["user_id"]])
        return [row for row in rows if row["user_id"] in inside]

    @staticmethod
    def _kept(connection: sa.Connection, application_id: str) -> Mapping[Any, Any] | None:
        joined = applications.join(
            application_persons, application_persons.c.application_id == applications.c.application_id
        )
        wanted = sa.select(applications, application_persons.c.person).select_from(joined)
        return connection.execute(wanted.where(applications.c.application_id == application_id)).mappings().first()


def _applied(row: Mapping[Any, Any], *, repeated: bool = False) -> Applied:
    answers = Answers.model_validate(row["answers"])
    return Applied(row["application_id"], row["user_id"], answers, row["applied_at"], repeated)
