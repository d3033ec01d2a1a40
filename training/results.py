"""Backtest records as tables for people: models by metrics, with 95 % intervals."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Column, Table

from training.intervals import POOLED, Record
from training.metrics import METRICS

TITLES = {"koc": "KOC: influence within the horizon", "churn": "Churn: no order within the horizon"}

LEGEND = 'Each cell: value, then the low and high end of its 95 % interval over users. "a - b": a minus b on the same users.'


def render(records: Sequence[Record], console: Console) -> None:
    """Print one table for each task and place: every date, every dataset pooled over dates, and all datasets pooled."""
    datasets = {record.dataset for record in records} - {POOLED}
    for task in TITLES:
        places = dict.fromkeys((r.dataset, r.as_of) for r in records if r.task == task)
        for place in places:
            # Over one dataset, pooling over datasets repeats its own pooled rows.
            if not (place[0] == POOLED and len(datasets) == 1):
                _print_place([r for r in records if r.task == task and (r.dataset, r.as_of) == place], console)
    console.print(LEGEND)


def _print_place(records: Sequence[Record], console: Console) -> None:
    first = records[0]
    metrics = [name for name, metric in METRICS.items() if metric.task == first.task and _known(records, name)]
    where = "all datasets" if first.dataset == POOLED else first.dataset
    when = "all dates" if first.as_of == POOLED else first.as_of
    title = f"{TITLES[first.task]} | {where} | {when} | {first.users:,} users, {first.positives:,} positive"
    grid = Table(
        Column("model", no_wrap=True), *(Column(name.replace("_", " "), justify="right") for name in metrics), title=title
    )
    cells: dict[str, dict[str, str]] = {}
    for record in records:
        # On two lines, so that a terminal of 80 columns has room for every metric.
        row = f"{record.model}\n- {record.minus}" if record.minus else record.model
        sign = "+" if record.minus else ""
        if record.value == record.value:
            interval = f"[dim]{record.ci_low:{sign}.3f} {record.ci_high:{sign}.3f}[/dim]"
            cells.setdefault(row, {})[record.metric] = f"{record.value:{sign}.3f} {interval}"
    for row, values in cells.items():
        grid.add_row(row, *(values.get(metric, "") for metric in metrics))
    console.print(grid)


def _known(records: Sequence[Record], metric: str) -> bool:
    return any(record.metric == metric and record.value == record.value for record in records)
