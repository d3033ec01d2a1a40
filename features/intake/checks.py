"""What can be wrong with the rows of a table: one check for each kind of defect, as an expression over the table."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from operator import and_, or_

import ibis
import ibis.expr.types as ir

from features.dataset import Dataset, Defect
from features.engine import Engine
from features.intake.landing import ROUNDED, UNREADABLE, Landed
from features.intake.sources import ROW
from features.schema import RECORDED_AT, TABLES, Kind, TableSpec

Bad = Callable[[ir.Table], ir.BooleanValue]
NOTES = (ROW, UNREADABLE, ROUNDED)
_MAY_BE_NEGATIVE = {("items", "margin")}


@dataclass(frozen=True)
class Check:
    """``bad(table)`` is true, and never null, where ``columns`` have ``defect``; ``shown(table)`` is the text for a message.

    ``note``: the column of the landed table that already says what is wrong.
    """

    defect: Defect
    columns: tuple[str, ...]
    bad: Bad
    note: str | None = None

    @property
    def column(self) -> str:
        return ", ".join(self.columns)

    def shown(self, table: ir.Table) -> ir.StringValue:
        if self.note:
            return table[self.note]
        return ibis.literal(", ").join([table[column].cast("string").fill_null("null") for column in self.columns])

    def reason(self, table: ir.Table) -> ir.StringValue:
        """Why a row was set aside; null for rows without the defect."""
        text = table[self.note] if self.note else ibis.literal(self.column)
        return ibis.ifelse(self.bad(table), ibis.literal(f"{self.defect.value} ") + text, ibis.null("string"))


def is_event(spec: TableSpec) -> bool:
    """Whether rows happen: each has an event time that is not the start of a lasting state."""
    return spec.event_time is not None and not spec.timeless and spec.name != "attributes"


def user_ids(kept: Mapping[str, ir.Table]) -> ir.Table | None:
    """Everybody (``user_id``) in a row of an event table; None without event tables."""
    parts = [
        rows.group_by(user_id=rows[column.name]).agg().filter(ibis._.user_id.notnull())
        for name, rows in kept.items()
        if is_event(TABLES[name])
        for column in TABLES[name].of_kind(Kind.USER)
        if column.name in rows.columns
    ]
    return ibis.union(*parts, distinct=True) if parts else None


def row_checks(
    dataset: Dataset, spec: TableSpec, given: Sequence[str], landed: Landed, kept: Mapping[str, ir.Table]
) -> Iterator[Check]:
    """Checks that need one row, and the kept rows of the tables that it refers to."""
    for name in sorted(landed.unreadable):
        yield Check(Defect.UNREADABLE, (name,), _noted(UNREADABLE, name), UNREADABLE)
    for name in sorted(landed.rounded):
        yield Check(Defect.ROUNDED_ID, (name,), _noted(ROUNDED, name), ROUNDED)
    for column in spec.columns:
        if column.name not in given:
            continue
        if column.required:
            yield Check(Defect.NULL_KEY, (column.name,), _null(column.name))
        if column.kind in (Kind.MONEY, Kind.COUNT) and (spec.name, column.name) not in _MAY_BE_NEGATIVE:
            yield Check(Defect.NEGATIVE_AMOUNT, (column.name,), _negative(column.name))
        if column.name in (spec.event_time, RECORDED_AT):
            yield Check(Defect.FUTURE_TIME, (column.name,), _future(column.name, dataset.time.until))
    if spec.name == "ties":
        yield Check(Defect.SELF_TIE, ("user_id", "influencer_id"), _self_tie)
    if spec.name == "share_responses":
        yield Check(Defect.UNKNOWN_SHARE, ("share_id",) if "share_id" in given else ("sharer_id",), _sharer_unknown(kept))
    yield from _references(spec, given, kept)
    if spec.name == "users" and (seen := user_ids(kept)) is not None:
        yield Check(Defect.USER_WITHOUT_EVENT, ("user_id",), _absent("user_id", lambda _: seen.user_id))


def repeat_checks(engine: Engine, spec: TableSpec, table: ir.Table) -> tuple[ir.Table, list[Check]]:
    """Checks that need all rows of a table, and the table with the columns that they read.

    A key is looked at where all of its columns are given; rows without one are events, which repeat when they are equal
    in every column. Of repeats the one that was known first stays (then the earliest, then the first by number), so that
    a later record never takes an earlier one out of a snapshot.
    """
    values = [column for column in table.columns if column not in NOTES]
    key = list(spec.key) if set(spec.key) <= set(values) else []
    checks: list[Check] = []
    keyless = table.filter(reduce(or_, [table[column].isnull() for column in key])) if key else table
    if key:
        keyed = table.filter([table[column].notnull() for column in key])
        table, repeats = _with_first(engine, spec, table, keyed, key, "_first_of_key")
        checks += [Check(Defect.DUPLICATE_KEY, spec.key, bad) for bad in repeats]
    if is_event(spec):
        table, repeats = _with_first(engine, spec, table, keyless, values, "_first_of_row")
        shown = [column.name for column in spec.columns if column.kind is Kind.USER or column.name == spec.event_time]
        columns = tuple(name for name in shown if name in values)
        checks += [Check(Defect.DUPLICATE_EVENT, columns, bad) for bad in repeats]
    return table, checks


def _with_first(
    engine: Engine, spec: TableSpec, table: ir.Table, among: ir.Table, columns: Sequence[str], name: str
) -> tuple[ir.Table, list[Bad]]:
    """``table`` with the number of the first row ``among`` those equal in ``columns``, and what tells repeats, if any."""
    groups = among.group_by(columns).agg(_rows=among.count())
    keys = engine.materialise(groups.filter(groups["_rows"] > 1).drop("_rows"))
    if not engine.to_arrow(keys.limit(1)).num_rows:
        return table, []
    rows = among.semi_join(keys, [among[column].identical_to(keys[column]) for column in columns])
    recorded = [rows[RECORDED_AT].notnull(), rows[RECORDED_AT]] if RECORDED_AT in rows.columns else []
    happened = [rows[spec.event_time]] if spec.event_time in rows.columns else []
    known_first = ibis.window(group_by=columns, order_by=[*recorded, *happened, rows[ROW]])
    placed = rows.mutate(_place=ibis.row_number().over(known_first))
    repeated = engine.materialise(placed.filter(placed["_place"] == 0).select(*columns, **{name: placed[ROW]}))
    right = repeated.rename({f"_key_{column}": column for column in columns})
    same = [table[column].identical_to(right[f"_key_{column}"]) for column in columns]
    joined = table.left_join(right, same).select(*table.columns, name)
    return joined, [lambda t: (t[ROW] != t[name]).fill_null(False)]


def _noted(note: str, name: str) -> Bad:
    return lambda t: (ibis.literal("; ") + t[note]).contains(f"; {name}: '").fill_null(False)


def _null(name: str) -> Bad:
    unreadable = _noted(UNREADABLE, name)
    return lambda t: t[name].isnull() & ~unreadable(t)


def _negative(name: str) -> Bad:
    return lambda t: (t[name] < 0).fill_null(False)


def _future(name: str, until: datetime | None) -> Bad:
    if until is not None:
        return lambda t: (t[name] >= until).fill_null(False)
    now = datetime.now(UTC).replace(tzinfo=None)
    return lambda t: (t[name] > now).fill_null(False)


def _self_tie(table: ir.Table) -> ir.BooleanValue:
    return (table.user_id == table.influencer_id).fill_null(False)


def _absent(name: str, where: Callable[[ir.Table], ir.Column]) -> Bad:
    return lambda t: t[name].notnull() & ~t[name].isin(where(t)).fill_null(False)


def _sharer_unknown(kept: Mapping[str, ir.Table]) -> Bad:
    """A response without sharer_id, the share of which does not tell the sharer either."""

    def bad(table: ir.Table) -> ir.BooleanValue:
        unnamed = [table.sharer_id.isnull()] if "sharer_id" in table.columns else []
        if "share_id" in table.columns and "shares" in kept:
            unnamed.append(~table.share_id.isin(kept["shares"].share_id).fill_null(False))
        return reduce(and_, unnamed, table[ROW].notnull())

    return bad


def _references(spec: TableSpec, given: Sequence[str], kept: Mapping[str, ir.Table]) -> Iterator[Check]:
    for column in spec.columns:
        table, _, referred = (column.refers_to or "").partition(".")
        if column.name not in given or table not in (spec.name, *kept):
            continue
        absent = _absent(column.name, _column_of(kept.get(table), referred))
        if column.refers_to == "shares.share_id" and spec.name == "share_responses":
            absent = _but_not(absent, _sharer_unknown(kept))
        yield Check(Defect.DANGLING_ID, (column.name,), absent)


def _column_of(table: ir.Table | None, column: str) -> Callable[[ir.Table], ir.Column]:
    """A column of ``table``, or of the table under check itself."""
    return lambda t: t.view()[column] if table is None else table[column]


def _but_not(bad: Bad, other: Bad) -> Bad:
    return lambda t: bad(t) & ~other(t)
