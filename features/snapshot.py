"""What was known at ``as_of``: the one place where time is cut from above."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from features.dataset import TimeSettings
from features.engine import Engine
from features.people import as_people, merged_accounts
from features.schema import RECORDED_AT, TABLES, TableSpec
from features.tables import Tables


@dataclass(frozen=True)
class Snapshot:
    """Tables as they were known at ``as_of``; feature blocks add lower bounds only.

    ``known``: name -> table, the mapped tables and what `features.prepare` derives from them. ``held``: name -> the lazy
    table that stood in ``known`` before `hold`.
    """

    as_of: datetime
    source: Tables
    known: Mapping[str, ir.Table]
    held: Mapping[str, ir.Table] = field(default_factory=dict)

    def __getitem__(self, table: str) -> ir.Table:
        return self.known[table]

    def __contains__(self, table: str) -> bool:
        return table in self.known

    @property
    def time(self) -> TimeSettings:
        return self.source.dataset.time

    @property
    def engine(self) -> Engine:
        return self.source.engine

    @property
    def windows(self) -> dict[str, datetime]:
        """Suffix of a feature's name -> the start of its window, shortest window first."""
        return {f"{window.days}d": self.as_of - window for window in self.time.feature_windows}

    def has(self, table: str, *columns: str) -> bool:
        """Whether ``table`` is here with all of ``columns`` given by its source."""
        return table in self.known and (table not in TABLES or self.source.has(table, *columns))

    def days_before(self, moment: ir.TimestampValue) -> ir.FloatingValue:
        """Days from ``moment`` to ``as_of``, > 0."""
        return (ibis.literal(self.as_of).epoch_seconds() - moment.epoch_seconds()) / 86_400

    def with_tables(self, **derived: ir.Table) -> "Snapshot":
        """This snapshot and tables derived from it."""
        return replace(self, known={**self.known, **derived})

    def hold(self, *names: str) -> "Snapshot":
        """This snapshot with some tables computed once, for many readers; give them back with `let_go`."""
        computed = {name: self.engine.materialise(self.known[name]) for name in names}
        return replace(self, known={**self.known, **computed}, held={name: self.known[name] for name in names})

    def let_go(self) -> "Snapshot":
        """This snapshot with lazy tables in the place of those that it held, which cannot be read any more."""
        self.engine.release(*(self.known[name] for name in self.held))
        return replace(self, known={**self.known, **self.held}, held={})

    def without_tables(self, *names: str) -> "Snapshot":
        """This snapshot without some of its tables."""
        return replace(self, known={name: table for name, table in self.known.items() if name not in names})


def take_snapshot(tables: Tables, as_of: datetime, *, people_as_of: datetime | None = None) -> Snapshot:
    """Cut every table at ``as_of`` in both clocks, blank what was known later than its row, and merge identities.

    ``people_as_of``: merge only the identities known by then (a label counts for the people known at its date).
    """
    known = {name: _cut(table, TABLES[name], as_of) for name, table in tables.tables.items()}
    if "identities" in known:
        accounts = tables.engine.from_arrow(accounts_known(tables, people_as_of or as_of))
        known = {name: as_people(table, name, accounts) for name, table in known.items()}
    return Snapshot(as_of, tables, known)


def accounts_known(tables: Tables, as_of: datetime) -> pa.Table:
    """Accounts that belong to a person under another id, by the identities known at ``as_of``; see `merged_accounts`."""
    return merged_accounts(_cut(tables.tables["identities"], TABLES["identities"], as_of), tables.engine)


def _cut(table: ir.Table, spec: TableSpec, as_of: datetime) -> ir.Table:
    moment = ibis.literal(as_of)
    for clock in (spec.event_time, RECORDED_AT if RECORDED_AT in spec else None):
        if clock is None:
            continue
        before = table[clock] < moment
        may_be_null = clock == RECORDED_AT or spec.timeless
        table = table.filter((before | table[clock].isnull()) if may_be_null else before)
    blanked = {
        column.name: ibis.ifelse(
            ibis.coalesce(*(table[revealer] for revealer in column.revealed_by)) < moment,
            table[column.name],
            ibis.null(column.kind.dtype),
        )
        for column in spec.columns
        if column.revealed_by
    }
    return table.mutate(**blanked) if blanked else table


def latest_attributes(snapshot: Snapshot) -> ir.Table:
    """Each user's attributes as of the date.

    Returns:
        user_id  string
        name     string  such as region or tier
        value    string  the latest value that was valid before ``as_of``; of several with one time, the largest
    """
    dated = snapshot["attributes"]
    latest = dated.group_by("user_id", "name").agg(valid_from=dated.valid_from.max())
    current = dated.join(latest, ["user_id", "name", "valid_from"])
    return current.group_by("user_id", "name").agg(value=current.value.max())
