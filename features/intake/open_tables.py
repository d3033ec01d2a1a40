"""Validated tables and a data-quality report out of the sources that a dataset file names."""

import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir

from features.dataset import Dataset
from features.engine import Engine
from features.errors import ValidationError
from features.intake.checks import is_event
from features.intake.landing import land, map_table
from features.intake.quality import NeedsTables, QualityReport, assess
from features.intake.validate import Checked, Validator, check_columns
from features.schema import TABLES
from features.tables import Tables, complete


def open_tables(
    dataset: Dataset,
    engine: Engine,
    *,
    quarantine: Path | None = None,
    progress: Callable[[str], None] | None = None,
    blocks: Sequence[NeedsTables] = (),
) -> tuple[Tables, QualityReport]:
    """Read, check and complete every table of ``dataset``.

    ``quarantine``: folder for rows set aside; with it, defects of severity ``error`` set rows aside instead of stopping.
    ``progress``: told what happens next. ``blocks``: feature blocks, for the report on what is switched off.
    The tables lie in a scratch folder that lives as long as ``engine``.

    Raises:
        DatasetError: a source cannot be read as the dataset file says.
        ValidationError: required columns are not mapped, rows have defects of severity ``error``, or no event is left.
    """
    tell = progress or (lambda _: None)
    scratch = tempfile.TemporaryDirectory(prefix="koc-tables-")
    weakref.finalize(engine, scratch.cleanup)
    folder = Path(scratch.name)
    mapped = {name: map_table(dataset, name) for name in dataset.tables}
    given = {name: source.given for name, source in mapped.items()}
    check_columns(given)
    validator = Validator(dataset, engine, folder, quarantine)
    for name in Validator.order(mapped):
        tell(f"reading {name} from {mapped[name].source.place}")
        landed = land(dataset, mapped[name], folder)
        tell(f"checking {landed.rows:,} rows of {name}")
        validator.check(name, landed)
    validator.raise_errors()
    checked = {name: validator.checked[name] for name in dataset.tables}
    rows = {name: complete(result.rows, TABLES[name]) for name, result in checked.items()}
    if "ties" in rows and dataset.tables["ties"].undirected:
        engine.write_parquet(_both_directions(rows["ties"]), folder / "ties-both.parquet")
        rows["ties"] = engine.read_parquet(folder / "ties-both.parquet")
    tables = Tables(dataset, engine, rows, given, dataset.time.until or _last_event(engine, checked))
    tell("writing the data-quality report")
    return tables, assess(tables, checked, blocks)


def _both_directions(ties: ir.Table) -> ir.Table:
    turned = ties.mutate(user_id=ties.influencer_id, influencer_id=ties.user_id)
    return ibis.union(ties, turned.select(*ties.columns), distinct=True)


def _last_event(engine: Engine, checked: Mapping[str, Checked]) -> datetime:
    latest: list[datetime | None] = []
    for name, result in checked.items():
        spec = TABLES[name]
        if is_event(spec):
            times = result.rows[spec.event_time]
            latest.append(engine.to_arrow(result.rows.aggregate(last=times.max())).column("last")[0].as_py())
    found = [moment for moment in latest if moment]
    if not found:
        counts = ", ".join(f"{name}: {result.read} read, {result.set_aside} set aside" for name, result in checked.items())
        raise ValidationError(f"no event is left ({counts}); correct the sources, or the columns mapped to event times")
    return max(found)
