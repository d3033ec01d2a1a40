"""`koc replay`: a list that was really used, as many people by score and as many at random, on what happened next."""

import json as json_format
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_THREADS,
    DatasetFile,
    MemoryLimit,
    Quarantine,
    Root,
    SettingsFile,
    Threads,
    console,
    open_dataset,
    progress,
    read,
    say,
    train_settings,
    write_text,
)

if TYPE_CHECKING:
    from training.replay import Estimate, Replay

LEGEND = (
    "score: as many with the highest score of that day. random: the mean of all users, and where groups of that size land. "
    "Each cell: value per contact, then the low and high end of its 95 % interval over people."
)


def replay(
    people: Annotated[Path, typer.Option("--list", help="The list that was used: .xlsx, .csv, .tsv, .txt or .parquet.")],
    dataset: DatasetFile = DEFAULT_DATASET,
    root: Root = None,
    column: Annotated[
        str | None, typer.Option(help="The list's column of ids; default: user_id, the only one, or that of known users.")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(help="When the list was used (UTC); default: the last test date of the dataset.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Also write everything to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw the groups with their intervals to this PNG.")] = None,
    settings: SettingsFile = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the model, the resamples and the random groups.")] = 0,
    quarantine: Quarantine = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Hold a past list against our score of that day and against chance: whom the people moved afterwards, per contact.

    Example: koc replay --dataset dataset.toml --list mine.xlsx --as-of 2024-05-01
    """
    from features.dataset import parse_moment
    from features.errors import DatasetError
    from features.intake.people_list import open_list, read_list
    from training.replay import NOT_CAUSAL, known_ids, replay_date
    from training.replay import replay as run_replay
    from training.timeline import Timeline

    chosen = train_settings(settings, seed=seed, threads=threads)
    try:
        asked = parse_moment(as_of)
    except ValueError:
        raise DatasetError(f"--as-of {as_of!r} is not a date; write it as 2024-05-31") from None
    described, source = read(dataset, root), open_list(people, column)
    tables, _ = open_dataset(described, quarantine=quarantine, memory=memory, threads=threads)
    with progress("replay") as tell:
        timeline = Timeline(tables, tell)
        moment = replay_date(timeline, asked)  # type: ignore[arg-type]
        listed = read_list(described, source, known_ids(timeline, moment), column)
        found = run_replay(timeline, moment, listed.ids, chosen)
    date, until = (_written(each) for each in (moment, moment + described.time.horizon))
    say(f"{source.place}: column {listed.column!r} ({listed.because}), {_counted(found, listed.empty)}")
    by_default = "" if asked else ", the last test date; name the day of the list with --as-of if it was another"
    say(f"As of {date}{by_default}")
    chance = found.people**2 / found.population
    say(
        f"{found.both:,} of the {found.people:,} are among the best {found.people:,} of {found.population:,} by score too; "
        f"by chance it would be {chance:,.{0 if chance >= 10 else 1}f}"
    )
    show(found, f"What followed until {until}, per contact", described.currency)
    console.print(LEGEND)
    if caution := _caution(found):
        console.print(caution)
    console.print(NOT_CAUSAL, style="bold", highlight=False)
    if json:
        entry = {
            "dataset": described.name,
            "as_of": date,
            "until": until,
            "list": str(people),
            "column": listed.column,
            "because": listed.because,
            "empty": listed.empty,
            "currency": described.currency,
            **found.to_dict(),
            "rows": found.rows + listed.empty,
        }
        write_text(json, json_format.dumps(entry, ensure_ascii=False, indent=1))
    if plot:
        from training.plots import replay_plot

        plot.parent.mkdir(parents=True, exist_ok=True)
        title = f"A past list against our score and chance: {date} to {until}"
        replay_plot(found, title, described.currency).savefig(plot)


def show(found: "Replay", title: str, currency: str) -> None:
    """Print the groups, and below them their differences."""
    heads = {
        "moved_per_contact": "people moved",
        "value_per_contact": f"{currency} credited",
        "moved_anybody": "moved anybody",
    }
    metrics = [name for name in heads if any(estimate.metric == name for estimate in found.estimates)]
    grid = Table(Column("group", no_wrap=True), Column("people", justify="right"),
                 *(Column(heads[name], justify="right") for name in metrics), title=title)  # fmt: skip
    rows: dict[str, list[Estimate]] = {}
    for estimate in found.estimates:
        name = f"{estimate.group} - {estimate.minus}" if estimate.minus else estimate.group
        rows.setdefault(name, []).append(estimate)
    for name, estimates in rows.items():
        people = "" if estimates[0].minus else f"{found.people:,}"
        grid.add_row(name, people, *(_cell(estimate) for estimate in estimates), end_section=name == "random")
    console.print(grid)


def _written(moment: datetime) -> str:
    """As dates stand in records; midnight is left out."""
    return moment.isoformat().removesuffix("T00:00:00")


def _cell(estimate: "Estimate") -> str:
    sign = "+" if estimate.minus else ""
    scale, form = {
        "moved_per_contact": (1.0, f"{sign}.3f"),
        "value_per_contact": (0.01, f"{sign},.2f"),
        "moved_anybody": (1.0, f"{sign}.1%"),
    }[estimate.metric]
    value, low, high = (format(each * scale, form) for each in (estimate.value, estimate.ci_low, estimate.ci_high))
    return f"{value}\n[dim]{low} {high}[/dim]"


def _counted(found: "Replay", empty: int) -> str:
    """How every row of the list was counted."""
    parts = [f"{found.people:,} people known by the date"]
    if found.unknown:
        such = ", ".join(found.unknown[:3])
        parts.append(f"{len(found.unknown):,} unknown by then and left out of the comparison, such as {such}")
    if found.repeated:
        parts.append(f"{found.repeated:,} more of people named already")
    if empty:
        parts.append(f"{empty:,} without an id")
    merged = f" ({found.merged:,} under another account of a person)" if found.merged else ""
    return f"{found.rows + empty:,} rows{merged}: {', '.join(parts)}"


def _caution(found: "Replay") -> str:
    if not found.few:
        return ""
    return f"Few people moved anybody ({', '.join(found.few)}): their intervals are narrower than they should be."
