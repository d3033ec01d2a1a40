"""Tables whose rows keep the contract, and every defect met on the way: counted, shown, set aside with its reason.

Pandera checks the shape of a table (``check_columns``). Defects of rows are expressions of our own (``checks``):
pandera's ibis backend runs one query a check, hands back values without the number of their row, knows neither other
tables nor severities, and takes bad rows out by a positional join, which needs an order of rows that no engine promises.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from pathlib import Path

import ibis
import ibis.expr.types as ir

from features.dataset import Dataset, Defect, Severity
from features.engine import Engine, rows_in
from features.errors import ValidationError
from features.intake.checks import NOTES, Check, repeat_checks, row_checks
from features.intake.landing import Landed
from features.intake.sources import ROW
from features.schema import TABLES, Kind

EXAMPLES = 3
_WORDS_AND_REMEDY = {
    Defect.UNREADABLE: ("values that cannot be read", "correct them, or map another column"),
    Defect.ROUNDED_ID: ("ids rounded by a spreadsheet", "export the column as text: numbers keep only 15 digits"),
    Defect.NULL_KEY: ("empty keys", "fill the column in the source"),
    Defect.DUPLICATE_KEY: ("duplicate keys", "export each key once; the first row counts"),
    Defect.NEGATIVE_AMOUNT: ("negative amounts", "give refunds as refund_amount, and amounts without a sign"),
    Defect.FUTURE_TIME: ("times in the future", "correct the times or their zone, or move time.until"),
    Defect.SELF_TIE: ("ties of people with themselves", "remove them"),
    Defect.UNKNOWN_SHARE: ("responses to unknown shares", "map the sharer (sharer_id), or export the missing shares"),
    Defect.DUPLICATE_EVENT: ("duplicate events", "map a key, which tells a repeated export from a repeated event"),
    Defect.DANGLING_ID: ("dangling ids", "export the missing rows of the table that they refer to"),
    Defect.USER_WITHOUT_EVENT: ("users without any event", "check that no event table is missing"),
}


@dataclass(frozen=True)
class Example:
    """One row that shows a defect: the number of its source row, and the value met."""

    row: int
    value: str


@dataclass(frozen=True)
class Finding:
    """``rows`` rows of a table have a defect in ``column`` (of a key: all its columns, joined by commas)."""

    table: str
    column: str
    defect: Defect
    severity: Severity
    rows: int
    examples: tuple[Example, ...]

    @property
    def words(self) -> str:
        """The kind of defect in words."""
        return _WORDS_AND_REMEDY[self.defect][0]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        remedy = _WORDS_AND_REMEDY[self.defect][1]
        if self.defect is Defect.UNREADABLE and TABLES[self.table][self.column].kind is Kind.MONEY:
            return f'{remedy}, or set money = "major" where amounts are in yuan and not in fen'
        return remedy

    @property
    def shown(self) -> str:
        """The examples in words."""
        return ", ".join(f"row {example.row}: {example.value}" for example in self.examples)


@dataclass(frozen=True)
class Checked:
    """A table's rows that stay (columns of the contract only), and what became of the others.

    ``read`` = ``repeats`` (equal rows of a ``distinct`` table beyond the first) + ``kept`` + ``set_aside``.
    """

    rows: ir.Table
    read: int
    repeats: int
    kept: int
    set_aside: int
    findings: tuple[Finding, ...]


def check_columns(given: Mapping[str, frozenset[str]]) -> None:
    """See that every table has its required columns; ``given``: table -> the columns that the dataset maps.

    Raises:
        ValidationError: names all that are missing.
    """
    import pandera.ibis as pandera  # a second of imports
    from pandera.errors import SchemaErrors

    missing = []
    for name, columns in given.items():
        spec = TABLES[name]
        contract = {c.name: pandera.Column(c.kind.dtype, nullable=True, required=c.required) for c in spec.columns}
        table = ibis.table({c.name: c.kind.dtype for c in spec.columns if c.name in columns}, name=name)
        try:
            pandera.DataFrameSchema(contract, strict=True).validate(table, lazy=True)
        except SchemaErrors as errors:
            absent = ", ".join(f"{name}.{column}" for column in errors.failure_cases["failure_case"])
            missing.append(f"{absent}: name the source's columns in [tables.{name}.columns], or give constants")
        if name == "share_responses" and not columns & {"share_id", "sharer_id"}:
            missing.append(f"{name}.share_id or {name}.sharer_id: without either, nobody is known to have shared")
    if missing:
        raise ValidationError("required columns are not mapped:\n  " + "\n  ".join(missing))


class Validator:
    """Checks the tables of one dataset in the order that ``order`` gives; ``checked`` holds the results.

    ``scratch``: a folder that lives as long as the results. ``quarantine``: a folder for the rows set aside, as
    ``<table>.parquet`` with ``_row``, ``_reason`` and the values; with it, rows with defects of severity ``error`` are
    set aside too, and the rest goes on.
    """

    def __init__(self, dataset: Dataset, engine: Engine, scratch: Path, quarantine: Path | None = None) -> None:
        self._dataset = dataset
        self._engine = engine
        self._scratch = scratch
        self._quarantine = quarantine
        self.checked: dict[str, Checked] = {}

    @staticmethod
    def order(names: Iterable[str]) -> list[str]:
        """Tables that others refer to first, ``users`` last."""
        referred = {c.refers_to.partition(".")[0] for spec in TABLES.values() for c in spec.columns if c.refers_to}
        return sorted(names, key=lambda name: (name == "users", name not in referred, list(TABLES).index(name)))

    def check(self, name: str, landed: Landed) -> Checked:
        """Check the rows of one table.

        Raises:
            ValidationError: the rows read are not those kept and set aside; this would be a fault of ours.
        """
        spec, distinct = TABLES[name], self._dataset.tables[name].distinct
        table = self._engine.read_parquet(landed.path)
        values = [column for column in table.columns if column not in NOTES]
        if distinct:
            first = table.group_by([column for column in table.columns if column != ROW]).agg(**{ROW: table[ROW].min()})
            table = self._engine.materialise(first)
        kept_so_far = {other: checked.rows for other, checked in self.checked.items()}
        checks = list(row_checks(self._dataset, spec, values, landed, kept_so_far))
        rows, found, aside, table = self._apply(name, table, checks)
        table, checks = repeat_checks(self._engine, spec, table)
        _, repeated, aside_repeats, table = self._apply(name, table, checks)

        kept_rows = table.select(values)
        bad = [part.select(ROW, "_reason", *values) for part in (aside, aside_repeats) if part is not None]
        if bad or distinct:
            path = self._scratch / f"{name}-kept.parquet"
            self._engine.write_parquet(kept_rows, path)
            kept_rows = self._engine.read_parquet(path)
        kept = rows_in(kept_rows, self._engine)
        set_aside = self._put_aside(name, bad)
        if rows != kept + set_aside or (rows != landed.rows and not distinct):
            raise ValidationError(
                f"{name}: {landed.rows} rows of {landed.place} were read, but {kept} kept and {set_aside} set aside; "
                f"please report this fault of kocscout"
            )
        self.checked[name] = Checked(kept_rows, landed.rows, landed.rows - rows, kept, set_aside, (*found, *repeated))
        return self.checked[name]

    def raise_errors(self) -> None:
        """Stop when any table has a defect of severity ``error``.

        Raises:
            ValidationError: names table, column, number of rows, examples and remedy of each.
        """
        lines = [
            f"{found.table}.{found.column}: {found.words} in {found.rows:,} row{'s' if found.rows > 1 else ''}, "
            f"such as {found.shown}; {found.remedy}"
            for checked in self.checked.values()
            for found in checked.findings
            if found.severity is Severity.ERROR
        ]
        if lines:
            raise ValidationError("\n".join([*lines, "or go on without these rows: --quarantine DIR keeps them apart"]))

    def _severity(self, table: str, defect: Defect) -> Severity:
        severity = self._dataset.severity_of(table, defect)
        return Severity.SET_ASIDE if severity is Severity.ERROR and self._quarantine else severity

    def _apply(
        self, name: str, table: ir.Table, checks: Sequence[Check]
    ) -> tuple[int, list[Finding], ir.Table | None, ir.Table]:
        """Number of rows, findings, the rows set aside with ``_reason`` (None: none), and the rows that stay."""
        severity = {check.defect: self._severity(name, check.defect) for check in checks}
        removing = [check for check in checks if severity[check.defect] is not Severity.WARN]
        sums = {f"check{i}": check.bad(table).sum() for i, check in enumerate(checks)}
        if removing:
            out = reduce(or_, [check.bad(table) for check in removing])
            sums["out"] = out.sum()
        counts = self._engine.to_arrow(table.aggregate(rows=table.count(), **sums)).to_pylist()[0]
        findings = [
            Finding(name, check.column, check.defect, severity[check.defect], count, self._examples(table, check))
            for i, check in enumerate(checks)
            if (count := counts[f"check{i}"])
        ]
        if not counts.get("out"):
            return counts["rows"], findings, None, table
        reason = ibis.literal("; ").join([check.reason(table).fill_null("") for check in removing])
        reason = reason.re_replace("(; )+", "; ").re_replace("^; |; $", "")
        return counts["rows"], findings, table.filter(out).mutate(_reason=reason), table.filter(~out)

    def _examples(self, table: ir.Table, check: Check) -> tuple[Example, ...]:
        bad = table.filter(check.bad(table))
        first = bad.select(row=bad[ROW], value=check.shown(bad)).order_by("row", "value").limit(EXAMPLES)
        return tuple(Example(**row) for row in self._engine.to_arrow(first).to_pylist())

    def _put_aside(self, name: str, parts: Sequence[ir.Table]) -> int:
        """Write the rows set aside, replacing those of an earlier run; how many they are."""
        if self._quarantine:
            self._quarantine.mkdir(parents=True, exist_ok=True)
            path = self._quarantine / f"{name}.parquet"
            path.unlink(missing_ok=True)
        if not parts:
            return 0
        rows = ibis.union(*parts) if len(parts) > 1 else parts[0]
        if self._quarantine:
            self._engine.write_parquet(rows, path)
        return rows_in(rows, self._engine)
