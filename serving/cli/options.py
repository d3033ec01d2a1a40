"""Options that several commands share, and what they open: datasets, engines, progress."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer
from rich.console import Console
from rich.markup import escape

from training.settings import TrainSettings

if TYPE_CHECKING:
    from features.dataset import Dataset
    from features.engine import Engine
    from features.intake.quality import QualityReport
    from features.tables import Tables

DatasetFile = Annotated[Path, typer.Option("--dataset", help="The dataset file; draft one with `koc init`.")]
Root = Annotated[Path | None, typer.Option(help="Folder that the tables are read from, instead of the file's own.")]
Home = Annotated[Path, typer.Option(envvar="KOC_HOME", help="Folder for models, tracking and scores.")]
Quarantine = Annotated[Path | None, typer.Option(help="Write bad rows here with reasons, and go on without them.")]
Kept = Annotated[
    Path | None, typer.Option("--kept", help="Keep here what was read of folders of files; later runs read new files only.")
]
Tracking = Annotated[str | None, typer.Option(envvar="MLFLOW_TRACKING_URI", help="MLflow; default SQLite at home.")]
TestDates = Annotated[
    list[str] | None,
    typer.Option("--test-date", help="A date (UTC) to judge on, instead of the file's; repeat for several."),
]


def _memory(text: str | None) -> str | None:
    if text and not re.fullmatch(r"\d+(\.\d+)?\s*([KMGT]i?B|%)", text, re.IGNORECASE):
        raise typer.BadParameter(f"{text!r} is not an amount of memory; write it as 6GB")
    return text


MemoryLimit = Annotated[
    str | None, typer.Option(envvar="KOC_MEMORY", callback=_memory, help="Spill to disk above this, such as 6GB.")
]
Dates = Annotated[
    int | None,
    typer.Option(
        "--dates", min=1, help=f"Most past dates to learn from; default: as --settings, else {TrainSettings.dates}."
    ),
]
SettingsFile = Annotated[
    Path | None, typer.Option("--settings", help="Training settings, such as `koc tune` writes; options go before them.")
]
Threads = Annotated[int, typer.Option(envvar="KOC_THREADS", min=1, help="Threads of LightGBM and of the engine.")]

DEFAULT_DATASET = Path("dataset.toml")
DEFAULT_HOME = Path(".koc")
DEFAULT_THREADS = 2
DEFAULTS = {"dataset": DEFAULT_DATASET, "home": DEFAULT_HOME}

console = Console()
notes = Console(stderr=True)
"""Progress and remarks, so that standard output holds results only."""

SILENCE = 30
"""Seconds."""


class _Lines:
    """Progress where no line can be rewritten: one line for each date, and a step where ``SILENCE`` has passed without."""

    def __init__(self) -> None:
        self._told: str | None = None
        self._due = time.monotonic() + SILENCE

    def __call__(self, step: str) -> None:
        head, _, rest = step.partition(": ")
        begins = rest and head != self._told
        if begins or time.monotonic() >= self._due:
            notes.print(f"  {head if begins else step}", soft_wrap=True, markup=False, highlight=False)
            self._due = time.monotonic() + SILENCE
        if begins:
            self._told = head


def given(**options: Path | str | None) -> str:
    """Options as they continue a command that is shown; those without a value, or with their default, are left out."""
    named = {name: value for name, value in options.items() if value is not None and value != DEFAULTS.get(name)}
    return "".join(f" --{name} {value}" for name, value in named.items())


def say(text: str) -> None:
    """One line of result, unbroken and as it is, so that scripts and people can copy paths out of it."""
    console.print(text, soft_wrap=True, markup=False, highlight=False)


def write_text(path: Path, text: str) -> None:
    """Write a file that an option names, with its folder.

    Raises:
        DatasetError: the place cannot be written to.
    """
    from features.errors import DatasetError

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DatasetError(f"cannot write {path}: {error.strerror}; name another file") from None


@contextmanager
def progress(what: str) -> Iterator[Callable[[str], None]]:
    """A line that says what is being done; plain lines where the output is not a terminal."""
    if not notes.is_terminal:
        notes.print(what, soft_wrap=True, markup=False)
        yield _Lines()
        return
    with notes.status(escape(what)) as status:
        yield lambda step: status.update(escape(f"{what}: {step}"))


def train_settings(file: Path | None, **options: int | None) -> TrainSettings:
    """The defaults, what the file says instead, and over both the options that were given."""
    settings = TrainSettings.from_file(file) if file else TrainSettings()
    return replace(settings, **{name: value for name, value in options.items() if value is not None})


def read(dataset_file: Path, root: Path | None = None, test_dates: list[str] | None = None) -> "Dataset":
    """The dataset as the file and the overriding options say."""
    from features.dataset import parse_moment, read_dataset
    from features.errors import DatasetError

    dates = []
    for text in test_dates or []:
        try:
            moment = parse_moment(text)
        except ValueError:
            raise DatasetError(f"--test-date {text!r} is not a date; write it as 2024-05-31") from None
        dates.append(cast(datetime, moment))
    return read_dataset(dataset_file, root=root, test_dates=tuple(dates))


def open_dataset(
    dataset: "Dataset",
    *,
    quarantine: Path | None = None,
    memory: str | None = None,
    threads: int = DEFAULT_THREADS,
    engine: "Engine | None" = None,
    kept: Path | None = None,
) -> "tuple[Tables, QualityReport]":
    """Validated tables on ``engine``, by default the embedded one; says on standard error what was set aside."""
    from features.blocks.all import ALL_BLOCKS
    from features.engine import DuckDB
    from features.intake.open_tables import open_tables

    with progress(f"reading {dataset.name}") as tell:
        engine = engine or DuckDB(memory_limit=memory, threads=threads)
        tables, report = open_tables(dataset, engine, quarantine=quarantine, progress=tell, blocks=ALL_BLOCKS, kept=kept)
    if report.set_aside:
        notes.print(
            f"[yellow]{report.set_aside:,} rows set aside[/yellow]; `koc validate` says which and why", soft_wrap=True
        )
    if dataset.caution:
        notes.print(f"[yellow]caution[/yellow] {escape(dataset.caution)}", soft_wrap=True)
    return tables, report
