"""`koc backtest`: models x dates x metrics, with intervals."""

import json as json_format
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.options import (
    DEFAULT_HOME,
    DEFAULT_THREADS,
    Dates,
    Home,
    MemoryLimit,
    Quarantine,
    SettingsFile,
    TestDates,
    Threads,
    Tracking,
    console,
    progress,
    say,
    train_settings,
    write_text,
)
from serving.cli.pooled import Datasets, Roots, open_timelines, read_pooled


def backtest(
    dataset: Datasets = None,
    root: Roots = None,
    test_date: TestDates = None,
    dates: Dates = None,
    settings: SettingsFile = None,
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

    chosen = train_settings(settings, dates=dates, seed=seed, threads=threads)
    datasets = read_pooled(dataset, root, test_date)
    timelines = open_timelines(datasets, quarantine=quarantine, memory=memory, threads=threads)
    with progress("backtest") as tell:
        for timeline in timelines:
            timeline.progress = tell
        records = run_backtest(timelines, chosen, ablations=ablations, at_least=at_least)
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
        params = {**chosen.to_dict(), "horizon_days": horizons, "ablations": ablations, "at_least": at_least}
        say(f"Logged to MLflow as {log_backtest(records, params, Tracker(tracking, home))!r}")
