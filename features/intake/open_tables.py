"""Validated tables and a data-quality report out of the sources that a dataset file names."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import ibis
import ibis.expr.types as ir

from features.dataset import Dataset
from features.engine import Engine
from features.errors import ValidationError
from features.intake.kept import land_kept
from features.intake.landing import land, map_table
from features.intake.quality import NeedsTables, QualityReport, assess
from features.intake.validate import Checked, Validator, check_columns
from features.schema import TABLES
from features.scratch import scratch_folder
from features.tables import Tables, complete

DAY_S = 86_400


def open_tables(
    dataset: Dataset,
    engine: Engine,
    *,
    quarantine: Path | None = None,
    progress: Callable[[str], None] | None = None,
    blocks: Sequence[NeedsTables] = (),
    kept: Path | None = None,
) -> tuple[Tables, QualityReport]:
    """Read, check and complete every table of ``dataset``.

    ``quarantine``: folder for rows set aside; with it, defects of severity ``error`` set rows aside instead of stopping.
    ``progress``: told what happens next. ``blocks``: feature blocks, for the report on what is switched off.
    ``kept``: folder that keeps what was read of folders of files, so that a later run reads new files only.
    The tables lie in a scratch folder that lives as long as ``engine``.

    Raises:
        DatasetError: a source cannot be read as the dataset file says.
        ValidationError: required columns are not mapped, rows have defects of severity ``error``, or no event is left.
    """
    tell = progress or (lambda _: None)
    folder = scratch_folder(engine)
    mapped = {name: map_table(dataset, name) for name in dataset.tables}
    given = {name: source.given for name, source in mapped.items()}
    check_columns(given)
    validator = Validator(dataset, engine, folder, quarantine)
    for name in Validator.order(mapped):
        tell(f"reading {name} from {mapped[name].source.place}")
        if kept is not None and mapped[name].source.parts:
            landed = land_kept(dataset, mapped[name], folder, kept)
        else:
            landed = land(dataset, mapped[name], folder)
        tell(f"checking {landed.rows:,} rows of {name}")
        validator.check(name, landed)
    validator.raise_errors()
    checked = {name: validator.checked[name] for name in dataset.tables}
    rows = {name: complete(result.rows, TABLES[name]) for name, result in checked.items()}
    if "ties" in rows and dataset.tables["ties"].undirected:
        engine.write_parquet(_both_directions(rows["ties"]), folder / "ties-both.parquet")
        rows["ties"] = engine.read_parquet(folder / "ties-both.parquet")
    tables = Tables(dataset, engine, rows, given, dataset.time.until or _observed_until(engine, checked))
    tell("writing the data-quality report")
    return tables, assess(tables, checked, blocks)


def _both_directions(ties: ir.Table) -> ir.Table:
    turned = ties.mutate(user_id=ties.influencer_id, influencer_id=ties.user_id)
    return ibis.union(ties, turned.select(*ties.columns), distinct=True)


def _observed_until(engine: Engine, checked: Mapping[str, Checked]) -> datetime:
    """The end of the data: just after the last order (without orders: response), since labels are told by these.

    Other tables may go on for longer, and do not close a window of which orders are not there yet. Where all times are one
    time of day the table counts days, and the last day is over.
    """
    name = "orders" if "orders" in checked else "share_responses"
    times = checked[name].rows[TABLES[name].event_time]
    seconds = times.epoch_seconds()
    ends = checked[name].rows.aggregate(last=times.max(), times_of_day=(seconds % DAY_S).nunique())
    found = engine.to_arrow(ends).to_pylist()[0]
    if found["last"] is None:
        counts = ", ".join(f"{name}: {result.read} read, {result.set_aside} set aside" for name, result in checked.items())
        raise ValidationError(f"no event is left ({counts}); correct the sources, or the columns mapped to event times")
    last: datetime = found["last"].replace(microsecond=0)
    return last + (timedelta(days=1) if found["times_of_day"] == 1 else timedelta(seconds=1))
