"""Random rows for every table of the contract, drawn from the schema, and what may happen to them after a date."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from features.engine import DuckDB
from features.schema import RECORDED_AT, TABLES, Column, Kind, TableSpec
from features.tables import Tables
from tests.worlds import day, world

Row = dict[str, Any]
Rows = dict[str, list[Row]]

AS_OF = day(30)
LAST_DAY = 45
SIZES = {"orders": 260, "ties": 90, "share_responses": 80, "engagements": 60, "identities": 14, "items": 12}
IDS = {
    "item_id": 14,
    "share_id": 40,
    "group_buy_id": 25,
    "community_id": 8,
    "order_id": 500,
    "parent_share_id": 40,
    "value": 60,
}
WORDS = {
    "orders.channel": ("app", "live"),
    "share_responses.action": ("click", "buy", "join"),
    "ties.kind": ("friend", "follow", "trust", "invite", "co-member"),
    "attributes.name": ("tier", "region", "level", "distributor_grant", "compound"),
    "attributes.value": ("V1", "V2", "normal", "premium", "yes"),
    "communities.space": ("offline", "community", "online"),
    "memberships.role": ("member", "owner"),
    "rewards.kind": ("points", "coupon"),
    "rewards.source": ("spending", "check_in", "sharing", "posting"),
    "identities.kind": ("phone", "unionid"),
    "items.category": ("tea", "toys", "shoes"),
}


def random_rows(seed: int, *, users: int = 40, scale: int = 1) -> Rows:
    """Rows of every table with every column; ids may dangle, clocks may be null, late or equal."""
    random = Random(seed)
    people = [f"u{number}" for number in range(users)]
    rows = {name: [_row(spec, people, random) for _ in range(scale * SIZES.get(name, 30))] for name, spec in TABLES.items()}
    return {name: _unique(TABLES[name], table) for name, table in rows.items()}


def as_tables(rows: Mapping[str, list[Row]], engine: DuckDB, **settings: Any) -> Tables:
    """Tables whose sources give every column, also where no row is left."""
    built = world(engine=engine, until=day(LAST_DAY), **settings, **rows)
    return replace(built, given={name: frozenset(TABLES[name].by_name) for name in rows})


def shuffled(rows: Rows, seed: int) -> Rows:
    random = Random(seed)
    return {name: random.sample(table, len(table)) for name, table in rows.items()}


def known(spec: TableSpec, row: Row, as_of: datetime) -> bool:
    """Whether both clocks of the row, where it has them, are before ``as_of``."""
    clocks = [clock for clock in (spec.event_time, RECORDED_AT) if clock in row]
    return all(row[clock] is None or row[clock] < as_of for clock in clocks)


def later(rows: Rows, as_of: datetime, seed: int) -> Rows:
    """The same world as a later export might tell it: only what was not known at ``as_of`` differs.

    Rows at or after ``as_of`` in either clock are deleted, changed or added, and columns that are known later than their
    row are changed where ``as_of`` could not see them.
    """
    random = Random(seed)
    people = sorted({row["user_id"] for row in rows["orders"]} | {"somebody new"})
    return {name: _later_table(TABLES[name], table, people, as_of, random) for name, table in rows.items()}


def _later_table(spec: TableSpec, rows: list[Row], people: list[str], as_of: datetime, random: Random) -> list[Row]:
    past = [_revealed_later(spec, row, as_of, random) for row in rows if known(spec, row, as_of)]
    future = [row for row in rows if not known(spec, row, as_of)]
    kept = [row for row in future if random.random() < 0.3]
    added = [_future_row(spec, people, as_of, random) for _ in range(max(10, len(future)))]
    # A row of the past keeps its key; ids that it only refers to may still come into being.
    return _unique(spec, [*past, *kept, *added])


def _future_row(spec: TableSpec, people: list[str], as_of: datetime, random: Random) -> Row:
    row = _row(spec, people, random)
    after = as_of + random.choice((timedelta(0), timedelta(microseconds=1), timedelta(days=random.randint(0, 10))))
    if RECORDED_AT in spec and random.random() < 0.5:
        # Learned of late: the event itself may lie long before the date.
        return row | {RECORDED_AT: after}
    if spec.event_time:
        return row | {spec.event_time: after}
    return row | {column: f"new {row[column]}" for column in spec.key}


def _revealed_later(spec: TableSpec, row: Row, as_of: datetime, random: Random) -> Row:
    changed = dict(row)
    for column in spec.columns:
        revealed_at = next((row[revealer] for revealer in column.revealed_by if row[revealer] is not None), None)
        if not column.revealed_by or (revealed_at is not None and revealed_at < as_of):
            continue
        if column.kind != Kind.TIME:
            changed[column.name] = _value(spec, column, [], random)
        elif revealed_at is not None or not _seen_by_another(spec, column, row, as_of):
            hidden = as_of + timedelta(hours=random.randint(0, 99))
            # What was to be revealed must not come to light earlier by another column.
            changed[column.name] = hidden if _seen_by_another(spec, column, row, as_of) else random.choice((None, hidden))
    return changed


def _seen_by_another(spec: TableSpec, clock: Column, row: Row, as_of: datetime) -> bool:
    """Whether a column that ``clock`` reveals would be known at ``as_of`` by another revealer, were ``clock`` null."""
    others = {
        other
        for column in spec.columns
        if clock.name in column.revealed_by
        for other in column.revealed_by
        if other != clock.name
    }
    return any(row[other] is not None and row[other] < as_of for other in others)


def _row(spec: TableSpec, people: list[str], random: Random) -> Row:
    row = {column.name: _value(spec, column, people, random) for column in spec.columns}
    if row.get(RECORDED_AT) is not None and random.random() < 0.5:
        row[RECORDED_AT] = None
    return row


def _value(spec: TableSpec, column: Column, people: list[str], random: Random) -> Any:
    if not column.required and random.random() < 0.2:
        return None
    drawn: dict[Kind, Callable[[], Any]] = {
        # Some people are met far more often than others.
        Kind.USER: lambda: people[min(random.randrange(len(people)), random.randrange(len(people)))],
        Kind.ID: lambda: f"{column.name[0]}{random.randrange(IDS.get(column.name, 6))}",
        Kind.TEXT: lambda: random.choice(WORDS.get(f"{spec.name}.{column.name}", ("one", "two", "three"))),
        # Eighths of a day, so that clocks meet each other and the date.
        Kind.TIME: lambda: day(random.randint(0, 8 * LAST_DAY) / 8),
        Kind.FLAG: lambda: random.random() < 0.5,
    }
    return drawn.get(column.kind, lambda: random.randint(0, 5_000))()


def _unique(spec: TableSpec, rows: list[Row]) -> list[Row]:
    """The first row of each key, as validation would leave them."""
    if not spec.key:
        return rows
    first: dict[tuple[Any, ...], Row] = {}
    for row in rows:
        first.setdefault(tuple(row[column] for column in spec.key), row)
    return list(first.values())
