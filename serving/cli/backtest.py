"""`koc backtest`: models x dates x metrics, with intervals."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_DATES,
    DEFAULT_HOME,
    DEFAULT_THREADS,
    Dates,
    Home,
    MemoryLimit,
    Quarantine,
    TestDates,
    Threads,
    Tracking,
    console,
    open_dataset,
    progress,
    read,
    say,
    write_text,
)


def backtest(
    dataset: Annotated[list[Path] | None, typer.Option("--dataset", help="A dataset file; repeat to pool several.")] = None,
    root: Annotated[
        list[Path] | None, typer.Option("--root", help="Folder of tables; one for each dataset, or several for one.")
    ] = None,
    test_date: TestDates = None,
    dates: Dates = DEFAULT_DATES,
    ablations: Annotated[
        bool, typer.Option("--ablations", help="Also judge the served model without each of its parts; takes longer.")
    ] = False,
    at_least: Annotated[
        int, typer.Option(min=0, help="Influence counts only of those who moved so many different people.")
    ] = 0,
    json: Annotated[Path | None, typer.Option(help="Also write all records to this file.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Also draw average precision, or AUROC of churn, to this PNG.")] = None,
    track: Annotated[
        bool, typer.Option("--track", help="Also log records, settings and plots to MLflow; registers no model.")
    ] = False,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    seed: Annotated[int, typer.Option(min=0, help="Of models and resamples.")] = 0,
    quarantine: Quarantine = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Judge models and baselines on past dates, each seeing only what was known then.

    Example: koc backtest --dataset dataset.toml --test-date 2024-05-01 --json records.json
    """
    from training.backtest import backtest as run_backtest
    from training.results import render
    from training.settings import TrainSettings
    from training.timeline import Timeline

    datasets = []
    for file, folder in _paired(dataset or [DEFAULT_DATASET], root or []):
        one = read(file, folder, test_date)
        if folder and root and len(root) > 1:
            one = one.model_copy(update={"name": folder.resolve().name})
        datasets.append(one)
    _require_names_apart([one.name for one in datasets])
    timelines = []
    for one in datasets:
        tables, _ = open_dataset(one, quarantine=quarantine, memory=memory, threads=threads)
        timelines.append(Timeline(tables))
    settings = TrainSettings(dates=dates, seed=seed, threads=threads)
    with progress("backtest") as tell:
        for timeline in timelines:
            timeline.progress = tell
        records = run_backtest(timelines, settings, ablations=ablations, at_least=at_least)
    if at_least > 1:
        say(f"Influence counts only of those who moved at least {at_least} different people.")
    render(records, console)
    if json:
        write_text(json, json_format.dumps([record.to_dict() for record in records], indent=1))
    if plot:
        from training.plots import headlines, intervals_plot

        plot.parent.mkdir(parents=True, exist_ok=True)
        intervals_plot(records, headlines(records)[0]).savefig(plot)
    if track:
        from training.register import log_backtest
        from training.tracking import Tracker

        horizons = ", ".join(f"{one.time.horizon.days}" for one in datasets)
        params = {**settings.to_dict(), "horizon_days": horizons, "ablations": ablations, "at_least": at_least}
        say(f"Logged to MLflow as {log_backtest(records, params, Tracker(tracking, home))!r}")


def _require_names_apart(names: list[str]) -> None:
    if twice := {name for name in names if names.count(name) > 1}:
        raise typer.BadParameter(f"several datasets are named {', '.join(sorted(twice))}; set `name` in their files")


def _paired(datasets: list[Path], roots: list[Path]) -> list[tuple[Path, Path | None]]:
    if len(datasets) == 1 and roots:
        return [(datasets[0], root) for root in roots]
    if roots and len(roots) != len(datasets):
        raise typer.BadParameter(f"{len(datasets)} datasets and {len(roots)} roots; give one root for each dataset, or none")
    folders: list[Path | None] = [*roots] or [None] * len(datasets)
    return list(zip(datasets, folders, strict=True))
