"""Working a list: who of staff has whom, and how far each person has come."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import pyarrow as pa
import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, Field

from features.errors import ConflictError, ListError
from serving.access.principal import Principal
from serving.lists.criteria import Text
from serving.lists.lists import CandidateList
from serving.lists.pages import Pages, Part
from serving.lists.states import State, refusal
from serving.outreach.people import shown, turns
from serving.outreach.suppressions import erased
from serving.state.tables import list_members, member_events

OWNERS = ("attribute_owner", "attribute_staff_owner")
"""Columns that may tell who of staff knows a person, the first that a list has."""

Staff = Annotated[list[Text], Field(min_length=1, max_length=1_000)]


class ByOwner(BaseModel):
    """Everybody to the member of staff that a column names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["owner"] = "owner"
    column: Text | None = Field(None, description="By default `attribute_owner`, else `attribute_staff_owner`.")


class ByRule(BaseModel):
    """By the value of a column, to the staff named for it in turn; ``"*"``: for all other values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["rule"] = "rule"
    column: Text
    staff: dict[Text, Staff]


class InTurn(BaseModel):
    """To each of ``staff`` in turn, best first: everybody, or by hand only ``user_ids``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    by: Literal["turn"] = "turn"
    staff: Staff
    user_ids: Annotated[list[Text], Field(min_length=1, max_length=100_000)] | None = None


How = Annotated[ByOwner | ByRule | InTurn, Field(discriminator="by")]


@dataclass(frozen=True)
class Assigned:
    """``staff``: how many each was given now. ``unassigned``: people to contact who still have nobody."""

    staff: Mapping[str, int]
    unassigned: int


@dataclass(frozen=True)
class Member:
    """Where a person on a list stands."""

    list_id: str
    user_id: str
    state: str
    state_reason: str | None
    staff: str | None
    changed_at: datetime


@dataclass(frozen=True)
class Event:
    """One step in the history of a member."""

    state: str
    reason: str | None
    staff: str | None
    at: datetime
    key_id: str


class Members:
    """The members of the lists of one operations database."""

    def __init__(self, pages: Pages) -> None:
        self.pages = pages
        self.lists = pages.lists

    def assign(
        self,
        principal: Principal,
        list_id: str,
        how: How,
        *,
        again: bool = False,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> Assigned:
        """Give people of the contact arm to staff; those who have somebody already only ``again``, or by hand.

        Raises:
            NotFoundError: no such list. ListError: it has no such column, or a person named is not among its contacts.
        """
        now = now or datetime.now(UTC)
        record = self.lists.get(principal, list_id)
        rows = self._contacts(principal, record, how, now)
        by_hand = isinstance(how, InTurn) and how.user_ids is not None
        with self.lists.database.alone("members") as connection:
            # As they stand now: somebody else may have assigned or moved them since.
            found = standing(connection, list_id, [row["user_id"] for row in rows])
            rows = [{**row, "state": found[row["user_id"]].state, "staff": found[row["user_id"]].staff} for row in rows]
            free = [row for row in rows if again or by_hand or row["staff"] is None]
            given = dict(_given(free, how))
            for staff in sorted(set(given.values())):
                of = [rank for rank, name in given.items() if name == staff]
                for some in turns(of):  # type: ignore[arg-type]
                    mine = (list_members.c.list_id == list_id) & list_members.c.rank.in_(some)
                    connection.execute(sa.update(list_members).where(mine).values(staff=staff, changed_at=now))
            events = [
                {"list_id": list_id, "user_id": row["user_id"], "state": row["state"], "reason": None,
                 "staff": given[row["rank"]], "at": now, "key_id": principal.key_id}
                for row in free if row["rank"] in given
            ]  # fmt: skip
            if events:
                connection.execute(sa.insert(member_events), events)
            self.lists.audit.write(
                principal, "list.assign", list_id, criteria=how.model_dump(mode="json"), rows=len(given),
                request_id=request_id, connection=connection, now=now,
            )  # fmt: skip
        left = sum(row["staff"] is None and row["rank"] not in given for row in rows)
        return Assigned(dict(sorted(Counter(given.values()).items())), left)

    def move(
        self,
        principal: Principal,
        list_id: str,
        user_ids: Sequence[str],
        state: State,
        reason: str | None = None,
        *,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> list[Member]:
        """All of ``user_ids`` into ``state``, or after an error nobody; those in it already stay as they are.

        Raises:
            NotFoundError: no such list. ListError: somebody is not on it. ConflictError: somebody cannot go there.
        """
        record, users = self.lists.get(principal, list_id), list(dict.fromkeys(user_ids))
        seen = self.seen(principal, record, users)
        if absent := [user for user in users if user not in seen]:
            raise ListError(f"not on list {list_id}: {shown(absent)}; leave them out, or check the ids")
        now = now or datetime.now(UTC)
        with self.lists.database.alone("members") as connection:
            found = standing(connection, list_id, users)
            for user in users:
                if said := refusal(State(found[user].state), state, reason):
                    raise ConflictError(f"{user} on list {list_id} {said}")
            changes = [(list_id, user, state, reason) for user in users if found[user].state != state]
            write(connection, principal, changes, now)
            self.lists.audit.write(
                # Without the reason, which may name people: nothing is ever erased from the log.
                principal, "list.move", list_id, criteria={"state": state}, rows=len(changes),
                request_id=request_id, connection=connection, now=now,
            )  # fmt: skip
            moved = standing(connection, list_id, users)
        return [moved[user] for user in users]

    def history(self, principal: Principal, list_id: str, user_id: str) -> list[Event]:
        """What happened to a person on a list, the earliest first; being listed is not among it.

        Raises:
            NotFoundError: no such list. ListError: the person is not on it.
        """
        record = self.lists.get(principal, list_id)
        if user_id not in self.seen(principal, record, [user_id]):
            raise ListError(f"not on list {list_id}: {user_id}; check the id")
        columns = (member_events.c[name] for name in ("state", "reason", "staff", "at", "key_id"))
        mine = (member_events.c.list_id == list_id) & (member_events.c.user_id == user_id)
        with self.lists.database.read() as connection:
            return [
                Event(*row) for row in connection.execute(sa.select(*columns).where(mine).order_by(member_events.c.event))
            ]

    def seen(self, principal: Principal, record: CandidateList, users: Sequence[str]) -> set[str]:
        """Those of ``users`` who are on the list, whom the principal sees, and who were not erased."""
        on = pa.array(self.lists.inside(principal, record))
        found = set(users) & set(self.lists.payload(record).user_ids.filter(on).to_pylist())
        with self.lists.database.read() as connection:
            return found - erased(connection, sorted(found))

    def _contacts(self, principal: Principal, record: CandidateList, how: How, now: datetime) -> list[dict[str, Any]]:
        """Rows of the contact arm that ``how`` is about, with the columns that it reads."""
        held = self.lists.payload(record)
        column = _column(how, held.columns, record.list_id)
        names = ["rank", "user_id", "state", "staff", *([column] if column else [])]
        rows: list[dict[str, Any]] = []
        for piece in self.pages.walk(principal, record, part=Part.CONTACT, now=now):
            rows += piece.rows.select(names).to_pylist()
        if isinstance(how, InTurn) and how.user_ids is not None:
            if absent := set(how.user_ids) - {row["user_id"] for row in rows}:
                raise ListError(f"not among the contacts of list {record.list_id}: {shown(sorted(absent))}; leave them out")
            rows = [row for row in rows if row["user_id"] in set(how.user_ids)]
        for row in rows:
            row["by"] = row.pop(column) if column else None
        return rows


def standing(connection: sa.Connection, list_id: str, users: Sequence[str]) -> dict[str, Member]:
    """User -> how the person stands on the list, of those of ``users`` who are on it."""
    columns = [list_members.c[name] for name in ("list_id", "user_id", "state", "state_reason", "staff", "changed_at")]
    found = {}
    for some in turns(users):
        mine = (list_members.c.list_id == list_id) & list_members.c.user_id.in_(some)
        for row in connection.execute(sa.select(*columns).where(mine)):
            found[row.user_id] = Member(*row)
    return found


def write(
    connection: sa.Connection, principal: Principal, changes: Iterable[tuple[str, str, State, str | None]], now: datetime
) -> None:
    """Carry out changes of (list, user, state, reason) that are allowed, and note them in the history."""
    made = list(changes)
    if not made:
        return
    change = (
        sa.update(list_members)
        .where(list_members.c.list_id == sa.bindparam("of_list"), list_members.c.user_id == sa.bindparam("of_user"))
        .values(state=sa.bindparam("new_state"), state_reason=sa.bindparam("new_reason"), changed_at=now)
    )
    connection.execute(
        change,
        [{"of_list": of, "of_user": user, "new_state": state, "new_reason": reason} for of, user, state, reason in made],
    )
    connection.execute(
        sa.insert(member_events),
        [
            {"list_id": of, "user_id": user, "state": state, "reason": reason, "staff": None, "at": now,
             "key_id": principal.key_id}
            for of, user, state, reason in made
        ],
    )  # fmt: skip


def _column(how: How, known: Sequence[str], list_id: str) -> str | None:
    """The column that ``how`` reads.

    Raises:
        ListError: the list does not have it.
    """
    if isinstance(how, InTurn):
        return None
    wanted = [how.column] if how.column else list(OWNERS)
    found = next((column for column in wanted if column in known), None)
    if found is None:
        raise ListError(
            f"list {list_id} has no column {' or '.join(wanted)} to assign by; choose from {', '.join(known)}, "
            "or assign in turn"
        )
    return found


def _given(rows: Sequence[Mapping[str, Any]], how: How) -> Iterable[tuple[int, str]]:
    """(rank, staff) of those who are given to somebody."""
    turn: Counter[str] = Counter()
    for row in rows:
        value = row["by"]
        if isinstance(how, ByOwner):
            if value:
                yield row["rank"], str(value)
            continue
        group = "" if isinstance(how, InTurn) else str(value) if str(value) in how.staff else "*"
        staff = how.staff if isinstance(how, InTurn) else how.staff.get(group, [])
        if staff:
            yield row["rank"], staff[turn[group] % len(staff)]
            turn[group] += 1
