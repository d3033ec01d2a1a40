"""What a member of staff has to do today: people of running lists, each with an item, the reason and words to say."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import sqlalchemy as sa

from serving.access.principal import Principal, Scope
from serving.lists.contacts import at_cap
from serving.lists.lists import CandidateList
from serving.lists.members import Members
from serving.lists.states import DONE, NEXT, State
from serving.lists.words import suggested
from serving.outreach.people import turns
from serving.state.tables import candidate_lists, list_members, outreach

_MEMBER = ("list_id", "rank", "user_id", "state", "state_reason", "staff")


@dataclass(frozen=True)
class Task:
    """One person to work on. ``next_states``: where the person can go from ``state``.

    ``words_zh``: what may be said; ``last_contact_at``: of any list. ``external_ids``: None for keys that may not see them.
    """

    list_id: str
    list_name: str | None
    expires_at: datetime
    rank: int
    user_id: str
    state: str
    state_reason: str | None
    next_states: tuple[str, ...]
    item: str | None
    item_because: str | None
    item_because_zh: str | None
    reason: str | None
    reason_zh: str | None
    words_zh: str
    last_contact_at: datetime | None
    external_ids: Mapping[str, Sequence[str]] | None


@dataclass(frozen=True)
class Worklist:
    """``tasks``: those of the list that ends first, best first. ``open``: how many there are in all before ``taken_out``.

    ``taken_out``: cause -> people among those looked at who may not be contacted now.
    """

    staff: str
    tasks: tuple[Task, ...]
    open: int
    taken_out: Mapping[str, int]


class Worklists:
    """Daily work out of the lists of one operations database."""

    def __init__(self, members: Members) -> None:
        self.pages = members.pages
        self.lists = members.lists

    def of(
        self,
        principal: Principal,
        staff: str,
        *,
        list_id: str | None = None,
        limit: int = 50,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> Worklist:
        """Up to ``limit`` people of ``staff`` on lists that still run, who are neither active nor unsuitable yet."""
        now = now or datetime.now(UTC)
        tasks: list[Task] = []
        taken_out: Counter[str] = Counter()
        open_ = 0
        for record, members in self._open(principal, staff, list_id, now):
            open_ += len(members)
            users = [member.user_id for member in members] if len(tasks) < limit else []
            stopped = self.pages.stopped(record, users, now)
            with self.lists.database.read() as connection:
                capped = set(at_cap(connection, now, self.lists.settings.contacts_per_month)) if users else set()
            causes = {user: "contact_cap" for user in users if user in capped} | stopped
            taken_out.update(causes.values())
            free = [member for member in members if member.user_id not in causes][: limit - len(tasks)]
            tasks += self._tasks(principal, record, free)
        self.lists.audit.write(principal, "worklist.view", staff, rows=len(tasks), request_id=request_id, now=now)
        return Worklist(staff, tuple(tasks), open_, dict(sorted(taken_out.items())))

    def staff(self, principal: Principal, now: datetime | None = None) -> dict[str, int]:
        """Member of staff -> people to work on who the principal sees, of all running lists."""
        now = now or datetime.now(UTC)
        found: Counter[str] = Counter()
        for _, members in self._open(principal, None, None, now):
            found.update(member.staff for member in members)
        return dict(sorted(found.items()))

    def _open(
        self, principal: Principal, staff: str | None, list_id: str | None, now: datetime
    ) -> list[tuple[CandidateList, list[Any]]]:
        """Running lists, the one that ends first before others, with their open members that the principal sees."""
        wanted = (
            sa.select(*(list_members.c[name] for name in _MEMBER))
            .join(candidate_lists, candidate_lists.c.list_id == list_members.c.list_id)
            .where(candidate_lists.c.expires_at > now, list_members.c.state.not_in([str(state) for state in DONE]))
            .order_by(candidate_lists.c.expires_at, candidate_lists.c.list_id, list_members.c.rank)
        )
        wanted = wanted.where(list_members.c.staff.is_not(None) if staff is None else list_members.c.staff == staff)
        if list_id is not None:
            wanted = wanted.where(list_members.c.list_id == self.lists.get(principal, list_id).list_id)
        by_list: dict[str, list[Any]] = {}
        with self.lists.database.read() as connection:
            for row in connection.execute(wanted):
                by_list.setdefault(row.list_id, []).append(row)
        found = []
        for of, members in by_list.items():
            record = self.lists.find(principal, of)
            if record is not None:
                inside = self.lists.inside(principal, record)
                found.append((record, [member for member in members if inside[member.rank - 1]]))
        return [(record, members) for record, members in found if members]

    def _tasks(self, principal: Principal, record: CandidateList, members: Sequence[Any]) -> list[Task]:
        if not members:
            return []
        users = [member.user_id for member in members]
        held = self.lists.payload(record).rows(np.array([member.rank - 1 for member in members], dtype=np.int64))
        external = self.pages.external_ids(users) if principal.may(Scope.IDENTIFY) else None
        contacts = self._last_contacts(users)
        return [
            Task(
                list_id=record.list_id,
                list_name=record.name,
                expires_at=record.expires_at,
                rank=member.rank,
                user_id=member.user_id,
                state=member.state,
                state_reason=member.state_reason,
                next_states=tuple(str(state) for state in NEXT[State(member.state)]),
                item=row["next_item"],
                item_because=row["next_item_because"],
                item_because_zh=row["next_item_because_zh"],
                reason=row.get("reason"),
                reason_zh=row.get("reason_zh"),
                words_zh=suggested(row),
                last_contact_at=contacts.get(member.user_id),
                external_ids=None if external is None else external.get(member.user_id, {}),
            )
            for member, row in zip(members, _dicts(held), strict=True)
        ]

    def _last_contacts(self, users: Sequence[str]) -> dict[str, datetime]:
        found: dict[str, datetime] = {}
        latest = sa.select(outreach.c.user_id, sa.func.max(outreach.c.contacted_at).label("at")).group_by(outreach.c.user_id)
        with self.lists.database.read() as connection:
            for some in turns(users):
                found |= {row.user_id: row.at for row in connection.execute(latest.where(outreach.c.user_id.in_(some)))}
        return found


def _dicts(rows: pa.Table) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = rows.to_pylist()
    return found
