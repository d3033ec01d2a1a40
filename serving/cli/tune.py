"""`koc tune`: training settings that are surely better than the defaults on validation dates, or the defaults."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.options import (
    DEFAULT_THREADS,
    MemoryLimit,
    Quarantine,
    TestDates,
    Threads,
    console,
    progress,
    say,
    train_settings,
    write_text,
)
from serving.cli.pooled import Datasets, Roots, open_timelines, read_pooled


def tune(
    dataset: Datasets = None,
    root: Roots = None,
    test_date: TestDates = None,
    minutes: Annotated[float, typer.Option(min=0.0, help="When to stop; a trial under way ends at its next date.")] = 20.0,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Most trials, the defaults among them; default: no limit.")
    ] = None,
    validation_dates: Annotated[
        int, typer.Option(min=1, help="Most dates, before the first test date, to judge every trial on.")
    ] = 3,
    out: Annotated[Path, typer.Option(help="The settings file to write.")] = Path("tuned.toml"),
    seed: Annotated[int, typer.Option(min=0, help="Of the search, the models and the resamples.")] = 0,
    quarantine: Quarantine = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Search training settings on dates before the first test date; the defaults stay unless others are surely better.

    Example: koc tune --dataset dataset.toml --minutes 20 --out tuned.toml
    """
    from training.intervals import POOLED
    from training.results import render
    from training.tune import tune as run_search

    datasets = read_pooled(dataset, root, test_date)
    _require_writable(out)
    timelines = open_timelines(datasets, quarantine=quarantine, memory=memory, threads=threads)
    with progress("tuning") as tell:
        tuned = run_search(
            timelines,
            train_settings(None, seed=seed, threads=threads),
            minutes=minutes,
            most_dates=validation_dates,
            most_trials=trials,
            progress=tell,
        )
    write_text(out, tuned.to_toml())
    render([record for record in tuned.records if record.as_of == POOLED], console)
    if tuned.interrupted:
        say("Interrupted: this is what was found by then.")
    say(f"{tuned.verdict[0].upper()}{tuned.verdict[1:]}; {tuned.stopped} more were stopped early")
    told = {"dataset": dataset, "root": root, "test-date": test_date}
    same = "".join(f" --{name} {value}" for name, values in told.items() for value in values or [])
    say(f"Wrote {out}; next: koc backtest{same} --settings {out}")


def _require_writable(path: Path) -> None:
    """Asked before a search, whose result would be lost."""
    probe = path if path.is_dir() else path.with_name(f".{path.name}.new")
    write_text(probe, "")
    probe.unlink()
