"""Lists as they are read: page by page, without whoever withdrew consent, was suppressed or erased since they were made."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.errors import FilterError, ScoresError
from serving.access.principal import Principal, Scope
from serving.lists import payload
from serving.lists.holdout import CONTACT, HOLDOUT
from serving.lists.lists import CandidateList, Lists
from serving.lists.scope import Mask, seen_in
from serving.outreach.people import turns
from serving.outreach.suppressions import Cause, blocked
from serving.state.tables import list_members, roster
from serving.store.batch import Batch

STATE_COLUMNS = ("state", "state_reason", "staff")
LONGEST_PAGE = 1_000


class Part(StrEnum):
    """Which arm of a list is read."""

    CONTACT = CONTACT
    HOLDOUT = HOLDOUT
    ALL = "all"


@dataclass(frozen=True)
class Piece:
    """Some rows of a list in order of rank, with the state columns, and how many were taken out on the way to them.

    ``after``: the last rank that was looked at. ``more``: whether any come after it.
    """

    rows: pa.Table
    after: int
    more: bool
    taken_out: Mapping[str, int]


@dataclass(frozen=True)
class Page:
    """``rows``: as of `Piece`, with ``external_ids`` (kind -> ids) for keys that may see them.

    ``next_cursor``: None at the end. ``taken_out``: cause -> people who would stand between these rows.
    """

    rows: list[dict[str, Any]]
    next_cursor: str | None
    taken_out: Mapping[str, int]


class Pages:
    """Reads the lists of one operations database."""

    def __init__(self, lists: Lists) -> None:
        self.lists = lists

    def page(
        self,
        principal: Principal,
        list_id: str,
        *,
        after: str | None = None,
        limit: int = 100,
        part: Part = Part.CONTACT,
        request_id: str | None = None,
        now: datetime | None = None,
    ) -> Page:
        """Up to ``limit`` rows after a cursor; from cursor to cursor no row comes twice and none is missed.

        Raises:
            NotFoundError: there is no such list. ListError: the cursor is not one of it.
        """
        record = self.lists.get(principal, list_id)
        rank = payload.rank_of(after, list_id) if after else 0
        rows: list[dict[str, Any]] = []
        taken_out: Counter[str] = Counter()
        more = True
        while more and len(rows) < limit:
            # Never more than there is room for, so that the cursor stands behind all that was looked at.
            piece = next(self.walk(principal, record, part=part, after=rank, at_once=limit - len(rows), now=now), None)
            if piece is None:
                break
            rows += piece.rows.to_pylist()
            taken_out.update(piece.taken_out)
            rank, more = piece.after, piece.more
        if principal.may(Scope.IDENTIFY):
            self._identify(rows)
        told = {"part": part, "after_rank": payload.rank_of(after, list_id) if after else 0}
        self.lists.audit.write(
            principal, "list.read", list_id, model_version=record.model_version, criteria=told, rows=len(rows),
            request_id=request_id, now=now,
        )  # fmt: skip
        return Page(rows, payload.cursor(list_id, rank) if more and rows else None, dict(taken_out))

    def counts(
        self, principal: Principal, record: CandidateList, *, part: Part = Part.ALL, now: datetime | None = None
    ) -> tuple[int, dict[str, int]]:
        """How many people of the list, among those the principal sees, are shown now, and by cause how many are not."""
        places = self._places(principal, record, part, 0)
        users = self._inside(principal, self.lists.payload(record).user_ids.take(pa.array(places)).to_pylist())
        stopped = self.stopped(record, users, now or datetime.now(UTC))
        return len(users) - len(stopped), _counted(stopped)

    def walk(
        self,
        principal: Principal,
        record: CandidateList,
        *,
        part: Part = Part.CONTACT,
        after: int = 0,
        at_once: int = LONGEST_PAGE,
        now: datetime | None = None,
    ) -> Iterator[Piece]:
        """The rows after rank ``after`` that the principal sees, about ``at_once`` at a time."""
        now = now or datetime.now(UTC)
        held = self.lists.payload(record)
        places = self._places(principal, record, part, after)
        for start in range(0, len(places), at_once):
            some = places[start : start + at_once]
            users = held.user_ids.take(pa.array(some)).to_pylist()
            inside = set(self._inside(principal, users))
            stopped = self.stopped(record, sorted(inside), now)
            kept = np.array([user in inside and user not in stopped for user in users], dtype=bool)
            more = start + at_once < len(places)
            yield Piece(self._with_states(record, held.rows(some[kept])), int(some[-1]) + 1, more, _counted(stopped))

    def stopped(self, record: CandidateList, users: Sequence[str], now: datetime) -> dict[str, str]:
        """User -> why no read shows them: an entry in the suppressions, or a consent that the newer scores do not know."""
        channel = record.criteria.channel
        with self.lists.database.read() as connection:
            entries = blocked(connection, users, now, channel)
        found = dict(zip(entries["user_id"].to_pylist(), entries["cause"].to_pylist(), strict=True))
        batch = self._newer(record)
        if channel is not None and batch is not None:
            reachable = self._reachable(batch, channel)
            if reachable is not None:
                for user, row in zip(users, batch.rows_of(list(users)).tolist(), strict=True):
                    if row >= 0 and not reachable[row]:
                        found.setdefault(user, Cause.CONSENT_WITHDRAWN.value)
        return found

    def external_ids(self, users: Sequence[str]) -> dict[str, dict[str, list[str]]]:
        """User -> kind -> ids of the roster, sorted; only for keys that may see them."""
        found: dict[str, dict[str, list[str]]] = {}
        with self.lists.database.read() as connection:
            for some in turns(users):
                wanted = sa.select(roster.c.user_id, roster.c.kind, roster.c.external_id).distinct()
                for user, kind, value in connection.execute(wanted.where(roster.c.user_id.in_(some))):
                    found.setdefault(user, {}).setdefault(kind, []).append(value)
        return {user: {kind: sorted(kinds[kind]) for kind in sorted(kinds)} for user, kinds in found.items()}

    def _identify(self, rows: list[dict[str, Any]]) -> None:
        known = self.external_ids([row["user_id"] for row in rows])
        for row in rows:
            row["external_ids"] = known.get(row["user_id"], {})

    def _places(self, principal: Principal, record: CandidateList, part: Part, after: int) -> "np.ndarray[Any, Any]":
        """Places (rank - 1) after ``after`` of the arm whom the principal saw when the list was made."""
        held = self.lists.payload(record)
        mask = np.arange(len(held)) >= after
        if part is not Part.ALL:
            mask &= pc.equal(held.arms, part.value).to_numpy(zero_copy_only=False)
        if principal.row_scope:
            mask &= seen_in(held.table([column for column in principal.row_scope if column in held.columns]), principal)
        return np.flatnonzero(mask)

    def _inside(self, principal: Principal, users: Sequence[str]) -> list[str]:
        """Those whom the principal sees now too."""
        inside = self.lists.people.inside(principal, users)
        return [user for user in users if user in inside]

    def _with_states(self, record: CandidateList, rows: pa.Table) -> pa.Table:
        of: dict[int, Sequence[str | None]] = {}
        wanted = sa.select(list_members.c.rank, *(list_members.c[name] for name in STATE_COLUMNS))
        with self.lists.database.read() as connection:
            for some in turns(rows["rank"].to_pylist()):
                mine = wanted.where(list_members.c.list_id == record.list_id, list_members.c.rank.in_(some))
                of |= {rank: told for rank, *told in connection.execute(mine)}
        for place, name in enumerate(STATE_COLUMNS):
            told = [of[rank][place] for rank in rows["rank"].to_pylist()]
            rows = rows.add_column(3 + place, name, pa.array(told, pa.string()))
        return rows

    def _newer(self, record: CandidateList) -> Batch | None:
        """The batch that is served now, if it is another one than the list's."""
        try:
            batch = self.lists.served.batch
        except ScoresError:
            return None
        return None if batch.manifest.batch == record.batch else batch

    @staticmethod
    def _reachable(batch: Batch, channel: str) -> Mask | None:
        """(rows,) who consents to the channel by ``batch``; None where it knows nothing of that."""
        try:
            return batch.mask({"reachable": channel})
        except FilterError:
            return None


def _counted(stopped: Mapping[str, str]) -> dict[str, int]:
    return dict(sorted(Counter(stopped.values()).items()))
