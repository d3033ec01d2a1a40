"""The data-quality report: what was read, kept and set aside, what is wrong with it, and what the data cannot tell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Protocol

import ibis
from rich.console import Console
from rich.table import Column
from rich.table import Table as Grid

from features.dataset import Severity
from features.engine import rows_in
from features.intake.checks import user_ids
from features.intake.validate import Checked, Finding
from features.schema import TABLES
from features.tables import Tables

HUBS = 5


class NeedsTables(Protocol):
    """What the report asks of a feature block: its name, and table -> columns without all of ``needs``, or without each of
    ``any_of``, it is switched off."""

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Mapping[str, tuple[str, ...]]: ...

    @property
    def any_of(self) -> Sequence[Mapping[str, tuple[str, ...]]]: ...


@dataclass(frozen=True)
class TableQuality:
    """Rows of one table: ``read`` = ``repeats`` (of a ``distinct`` table) + ``kept`` + ``set_aside``. Times are UTC.

    ``absent``: columns of the contract that the source does not give.
    """

    read: int
    repeats: int
    kept: int
    set_aside: int
    first: datetime | None
    last: datetime | None
    absent: tuple[str, ...]


@dataclass(frozen=True)
class QualityReport:
    """What validation found in one dataset.

    ``users``: people with an event or a row in ``users``; ``users_with_ties``: the share of them with a tie, in [0, 1];
    ``hubs``: the users whom most others may be influenced by, with the number of these. ``switched_off``: feature block ->
    the tables and columns that it misses. ``cautions``: what every reader of results must know.
    """

    dataset: str
    observed_until: datetime
    tables: dict[str, TableQuality]
    findings: tuple[Finding, ...]
    users: int
    users_with_ties: float
    hubs: tuple[tuple[str, int], ...]
    absent_tables: tuple[str, ...]
    switched_off: dict[str, tuple[str, ...]]
    cautions: tuple[str, ...]

    @property
    def set_aside(self) -> int:
        """Rows of all tables that take no part."""
        return sum(table.set_aside for table in self.tables.values())

    @property
    def clean(self) -> bool:
        """Whether no row has a defect of any severity."""
        return not self.findings

    def to_json(self) -> str:
        """The report as a JSON object; times in ISO 8601, UTC."""
        return json.dumps(asdict(self), default=lambda moment: moment.isoformat(), ensure_ascii=False, indent=2)


def assess(tables: Tables, checked: Mapping[str, Checked], blocks: Sequence[NeedsTables] = ()) -> QualityReport:
    """The report on validated tables; ``blocks``: the feature blocks that may be switched off."""
    users, tied, hubs = _people(tables, checked)
    return QualityReport(
        dataset=tables.dataset.name,
        observed_until=tables.observed_until,
        tables={name: _table_quality(tables, name, result) for name, result in checked.items()},
        findings=tuple(finding for result in checked.values() for finding in result.findings),
        users=users,
        users_with_ties=tied / users if users else 0.0,
        hubs=hubs,
        absent_tables=tuple(name for name in TABLES if name not in tables.given),
        switched_off={block.name: lacking for block in blocks if (lacking := _lacking(tables, block))},
        cautions=tuple(_cautions(tables)),
    )


def _table_quality(tables: Tables, name: str, result: Checked) -> TableQuality:
    spec, first, last = TABLES[name], None, None
    if spec.event_time in tables.given[name]:
        times = result.rows[spec.event_time]
        range_ = result.rows.aggregate(first=times.min(), last=times.max())
        first, last = tables.engine.to_arrow(range_).to_pylist()[0].values()
    absent = tuple(column.name for column in spec.columns if column.name not in tables.given[name])
    return TableQuality(result.read, result.repeats, result.kept, result.set_aside, first, last, absent)


def _people(tables: Tables, checked: Mapping[str, Checked]) -> tuple[int, int, tuple[tuple[str, int], ...]]:
    """Number of users, of users with ties, and the hubs."""
    engine = tables.engine
    seen = user_ids({name: result.rows for name, result in checked.items()})
    parts = [seen] if seen is not None else []
    if "users" in checked:
        parts.append(checked["users"].rows.select("user_id"))
    everybody = engine.materialise(ibis.union(*parts, distinct=True) if len(parts) > 1 else parts[0])
    users = rows_in(everybody, engine)
    if "ties" not in checked:
        return users, 0, ()
    ties = tables.tables["ties"]
    ends = ibis.union(ties.select("user_id"), ties.select(user_id=ties.influencer_id), distinct=True)
    tied = rows_in(everybody.semi_join(ends, "user_id"), engine)
    degrees = ties.group_by("influencer_id").agg(followers=ties.user_id.nunique())
    top = degrees.order_by(ibis.desc("followers"), "influencer_id").limit(HUBS)
    return users, tied, tuple((row["influencer_id"], row["followers"]) for row in engine.to_arrow(top).to_pylist())


def _lacking(tables: Tables, block: NeedsTables) -> tuple[str, ...]:
    lacking = _absent(tables, block.needs)
    ways = [_absent(tables, needs) for needs in block.any_of]
    if ways and all(ways):
        lacking = (*lacking, " or ".join(" and ".join(way) for way in ways))
    return lacking


def _absent(tables: Tables, needs: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(
        name if name not in tables.given else f"{name}.{column}"
        for name, columns in needs.items()
        for column in (columns if name in tables.given else ("",))
        if name not in tables.given or not tables.has(name, column)
    )


def _cautions(tables: Tables) -> list[str]:
    dataset, found = tables.dataset, []
    if dataset.caution:
        found.append(dataset.caution)
    if tables.has("ties") and not tables.has("ties", "since"):
        found.append("ties have no dates: features from them may know ties that were made later")
    if lonely := _lonely_end(tables):
        found.append(lonely)
    if tables.has("identities") and not tables.has("identities", "valid_from"):
        found.append("identities have no dates: accounts are merged at all dates, also before it was known")
    if "attributes" in tables.given and "valid_from" in dataset.tables["attributes"].constants:
        found.append("attributes have one date: they are known from the export's date on, and history is blind to them")
    for name, spec in TABLES.items():
        for column in spec.columns:
            if column.revealed_by and tables.has(name, column.name) and not tables.given[name] & set(column.revealed_by):
                times = " or ".join(column.revealed_by)
                found.append(f"{name}.{column.name} is never used: without {times} nobody knows when it was known")
    return found


def _lonely_end(tables: Tables) -> str | None:
    """A mistyped year makes the data seem to go on for longer than it does, and labels of empty time."""
    name = "orders" if "orders" in tables.tables else "share_responses"
    rows, horizon, until = tables.tables[name], tables.dataset.time.horizon, tables.observed_until
    at = rows[TABLES[name].event_time]
    seen = tables.engine.to_arrow(
        rows.aggregate(first=at.min(), rows=rows.count(), last=rows.count(where=at >= until - horizon))
    )
    first, total, last = (seen[column][0].as_py() for column in ("first", "rows", "last"))
    if first is None or until - first < 2 * horizon or last * 20 >= total * (horizon / (until - first)):
        return None
    return (
        f"only {last:,} of {total:,} rows of {name} lie in the last {horizon.days} days before {until:%Y-%m-%d}: "
        "is the last time mistyped? correct it, or set time.until"
    )


def render(report: QualityReport, console: Console) -> None:
    """Print the report for people."""
    console.print(f"[bold]{report.dataset}[/bold], observed until {report.observed_until:%Y-%m-%d %H:%M} UTC")
    grid = Grid("table", *(_right(title) for title in ("read", "repeats", "kept", "set aside")), "first", "last")
    for name, table in report.tables.items():
        numbers = (f"{number:,}" for number in (table.read, table.repeats, table.kept, table.set_aside))
        grid.add_row(name, *numbers, _day(table.first), _day(table.last))
    console.print(grid)
    hubs = ", ".join(f"{user} ({followers:,})" for user, followers in report.hubs)
    console.print(
        f"{report.users:,} users, {report.users_with_ties:.1%} with ties" + (f"; largest hubs: {hubs}" if hubs else "")
    )
    if report.findings:
        grid = Grid("defect", "column", _right("rows"), "what happens", "examples", "remedy")
        for found in report.findings:
            where = f"{found.table}.{found.column}"
            grid.add_row(found.words, where, f"{found.rows:,}", _FATE[found.severity], found.shown, found.remedy)
        console.print(grid)
    else:
        console.print("No defects found.")
    if report.absent_tables:
        console.print(f"Not mapped: {', '.join(report.absent_tables)}")
    for name, table in report.tables.items():
        if table.absent:
            console.print(f"{name} without {', '.join(table.absent)}")
    for block, lacking in report.switched_off.items():
        console.print(f"[yellow]switched off[/yellow] {block} features: no {', '.join(lacking)}")
    for caution in report.cautions:
        console.print(f"[yellow]caution[/yellow] {caution}")


_FATE = {Severity.ERROR: "stops", Severity.SET_ASIDE: "set aside", Severity.WARN: "kept"}


def _right(title: str) -> Column:
    return Column(title, justify="right")


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d}" if moment else "-"
