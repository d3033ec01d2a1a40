"""Erases a person: what operations keep of them is deleted, and nobody contacts or trains on them any more."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from features.dataset import read_dataset, without_password
from features.errors import DatasetError
from features.schema import TABLES, Kind
from serving.access.audit import Audit
from serving.access.principal import Principal
from serving.outreach.suppressions import Cause
from serving.state.database import Database
from serving.state.tables import (
    application_persons,
    applications,
    list_members,
    member_events,
    reservations,
    roster,
    suppressions,
)
from serving.state.views import VIEWS

WRITERS = ("applications", "lists", "members", "roster", "suppressions")
"""Whoever else writes what an erasure deletes; one that has asked whether the person was erased finishes before."""


@dataclass(frozen=True)
class TableToClear:
    """A table of the deployment that may still hold the person: ``columns`` ours -> theirs."""

    table: str
    source: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Erased:
    """``deleted``: table -> rows. ``clear``: what the deployment must remove itself before the next training."""

    user_id: str
    erased_at: datetime
    deleted: Mapping[str, int]
    clear: tuple[TableToClear, ...]
    remedy: str


class Erasures:
    """``dataset``: the dataset file, which names the deployment's own tables."""

    def __init__(self, database: Database, dataset: Path) -> None:
        self.database = database
        self.dataset = dataset
        self.audit = Audit(database)

    def erase(
        self, principal: Principal, user_id: str, code: str, *, now: datetime | None = None, request_id: str | None = None
    ) -> Erased:
        """Delete the person's applications, roster rows, reservation and the notes about them, and mark them as erased.

        Contacts and outcomes stay under the bare id, so that results of lists go on adding up; trainings do not read them,
        and no list shows the person. Once is as good as twice.
        """
        now = now or datetime.now(UTC)
        with self.database.alone(*WRITERS) as connection:
            deleted = _delete(connection, user_id)
            marked = (suppressions.c.user_id == user_id) & (suppressions.c.kind == Cause.ERASED)
            erased_at = connection.execute(sa.select(suppressions.c.starts_at).where(marked)).scalar()
            if erased_at is None:
                erased_at = now
                values = {"user_id": user_id, "kind": Cause.ERASED, "code": code, "starts_at": now}
                connection.execute(sa.insert(suppressions).values(**values, key_id=principal.key_id))
            self.audit.write(
                principal,
                "user.erase",
                user_id,
                criteria={"code": code, "deleted": deleted},
                rows=1,
                request_id=request_id,
                connection=connection,
                now=now,
            )
        clear, remedy = self._tables_to_clear(user_id)
        return Erased(user_id, erased_at, deleted, clear, remedy)

    def _tables_to_clear(self, user_id: str) -> tuple[tuple[TableToClear, ...], str]:
        try:
            sources = read_dataset(self.dataset).tables
        except DatasetError:
            every = tuple(TableToClear(name, "", _user_columns(name)) for name in TABLES if _user_columns(name))
            return every, (
                f"{self.dataset} cannot be read, so these are all tables that may name somebody: remove {user_id} from "
                "yours, then train and score again"
            )
        clear = []
        for name, source in sources.items():
            if source.table in VIEWS:
                continue
            theirs = {ours: source.columns.get(ours, ours) for ours in _user_columns(name)}
            # Columns that are not mapped are not read.
            mapped = {ours: column for ours, column in theirs.items() if not source.columns or ours in source.columns}
            if mapped:
                clear.append(TableToClear(name, without_password(source.source), mapped))
        return tuple(clear), (
            f"remove {user_id} from these tables, then train and score again; until then models may still rest on their "
            "past, while no list, export or score card shows them"
        )


def _delete(connection: sa.Connection, user_id: str) -> dict[str, int]:
    """Table -> rows deleted. Notes that staff wrote about the person are blanked, since they may name them."""
    own = sa.select(applications.c.application_id).where(applications.c.user_id == user_id)
    connection.execute(sa.delete(application_persons).where(application_persons.c.application_id.in_(own)))
    deleted = {
        table.name: connection.execute(sa.delete(table).where(table.c.user_id == user_id)).rowcount
        for table in (applications, roster, reservations)
    }
    blanks = (
        (roster, roster.c.inviter_id == user_id, {"inviter_id": None}),
        (list_members, list_members.c.user_id == user_id, {"state_reason": None}),
        (member_events, member_events.c.user_id == user_id, {"reason": None}),
        (suppressions, suppressions.c.user_id == user_id, {"evidence": None, "lifted_because": None}),
    )
    for table, condition, values in blanks:
        connection.execute(sa.update(table).where(condition).values(**values))
    return deleted


def _user_columns(table: str) -> dict[str, str]:
    return {column.name: column.name for column in TABLES[table].of_kind(Kind.USER)}
