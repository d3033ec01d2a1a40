"""States that come back in a spreadsheet: an export that staff filled in, row by row taken or refused with the remedy."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from features.errors import ListError
from features.intake.parse import as_text
from features.intake.sources import ROW, Source, open_file
from serving.access.principal import Principal
from serving.lists.exports import DANGEROUS
from serving.lists.lists import CandidateList
from serving.lists.members import Member, Members, standing, write
from serving.lists.people_file import require_table
from serving.lists.states import IN_CHINESE, State, refusal, state_of

KEYS = ("list_id", "user_id", "state")
REASON = "state_reason"
MOST_TEXT = 2_000
"""Characters of a reason."""


@dataclass(frozen=True)
class BadRow:
    """``row``: its number in the file, the header being row 1. ``remedy``: what was met and what to do."""

    row: int
    list_id: str | None
    user_id: str | None
    remedy: str


@dataclass(frozen=True)
class Returned:
    """Rows that moved a person, that named the state they were in, that named none, and that were refused."""

    moved: int
    unchanged: int
    empty: int
    bad: tuple[BadRow, ...]


@dataclass(frozen=True)
class _Row:
    row: int
    list_id: str
    user_id: str
    state: str
    reason: str | None


def take_back(
    members: Members, principal: Principal, path: Path, *, request_id: str | None = None, now: datetime | None = None
) -> Returned:
    """Carry out every row of the file that can be; the others are told with their number and change nothing.

    Columns ``list_id``, ``user_id``, ``state`` (in English or Chinese) and ``state_reason``; others are not read. Where a
    person comes several times, the rows follow one another.

    Raises:
        ListError: the file has no such columns, or is none that can be read. DatasetError: it is spoilt.
    """
    require_table(path)
    now = now or datetime.now(UTC)
    rows = list(_rows(open_file(path)))
    bad: list[BadRow] = []
    counts = {"moved": 0, "unchanged": 0, "empty": 0}
    lists = {name: members.lists.find(principal, name) for name in {row.list_id for row in rows if row.list_id}}
    known = {name: _seen(members, principal, record, rows) for name, record in lists.items() if record is not None}
    with members.lists.database.alone("members") as connection:
        found = {name: standing(connection, name, sorted(users)) for name, users in known.items()}
        changes = []
        for row in rows:
            if not row.state:
                counts["empty"] += 1
                continue
            member = found.get(row.list_id, {}).get(row.user_id)
            state = state_of(row.state)
            if remedy := _remedy(row, lists.get(row.list_id), member, state):
                bad.append(BadRow(row.row, row.list_id or None, row.user_id or None, remedy))
            elif member is not None and state is not None and member.state != state:
                changes.append((row.list_id, row.user_id, state, row.reason))
                found[row.list_id][row.user_id] = Member(row.list_id, row.user_id, state, row.reason, member.staff, now)
                counts["moved"] += 1
            else:
                counts["unchanged"] += 1
        write(connection, principal, changes, now)
        members.lists.audit.write(
            principal, "list.return", path.name, criteria={**counts, "bad": len(bad)}, rows=counts["moved"],
            request_id=request_id, connection=connection, now=now,
        )  # fmt: skip
    return Returned(**counts, bad=tuple(bad))


def _rows(source: Source) -> Iterator[_Row]:
    """Raises:
    ListError: a column is missing.
    """
    if absent := [name for name in KEYS if name not in source.names]:
        raise ListError(
            f"{source.place} has no column {', '.join(absent)}; "
            f"return an export of the list with state and {REASON} filled in"
        )
    names = [*KEYS, *([REASON] if REASON in source.names else [])]
    for batch in source.batches(names):
        texts = {name: as_text(batch[name]).to_pylist() for name in names}
        for place, number in enumerate(batch[ROW].to_pylist()):
            told = {name: _clean(values[place]) for name, values in texts.items()}
            yield _Row(number, told["list_id"], told["user_id"], told["state"], told.get(REASON) or None)


def _clean(text: str | None) -> str:
    """The text without what keeps spreadsheets from computing it; see `serving.lists.exports.harmless`."""
    found = (text or "").strip()
    return found[1:] if found.startswith("'") and re.match(DANGEROUS, found[1:]) else found


def _seen(members: Members, principal: Principal, record: CandidateList, rows: list[_Row]) -> set[str]:
    return members.seen(principal, record, [row.user_id for row in rows if row.list_id == record.list_id])


def _remedy(row: _Row, record: CandidateList | None, member: Member | None, state: State | None) -> str | None:
    """What is wrong with a row and what to do; None where nothing is."""
    if record is None:
        return f"no list {row.list_id!r}; copy list_id from the export"
    if member is None:
        return (
            f"{row.user_id!r} is not on list {row.list_id}; copy user_id from the export, as text so that it is not rounded"
        )
    if state is None or state is State.HELD_OUT:
        known = ", ".join(f"{one.value} ({said})" for one, said in IN_CHINESE.items() if one is not State.HELD_OUT)
        return f"{row.state!r} is no state; choose from {known}"
    if row.reason is not None and (len(row.reason) > MOST_TEXT or "\0" in row.reason):
        return f"the reason has {len(row.reason):,} characters or a zero byte; use at most {MOST_TEXT:,}"
    said = refusal(State(member.state), state, row.reason)
    return said and f"{row.user_id} {said}"
