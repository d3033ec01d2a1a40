"""`koc train`: judge, fit, log to MLflow and register as challenger."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.engines import EngineName, EngineOption, SparkMaster, SparkOptions, make_engine
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_HOME,
    DEFAULT_THREADS,
    Dates,
    Home,
    MemoryLimit,
    Quarantine,
    Root,
    SettingsFile,
    TestDates,
    Threads,
    Tracking,
    console,
    given,
    open_dataset,
    progress,
    read,
    say,
    train_settings,
)


def train(
    dataset: Annotated[
        Path | None, typer.Option("--dataset", help="The dataset file; draft one with `koc init`. Default: dataset.toml.")
    ] = None,
    root: Root = None,
    test_date: TestDates = None,
    dates: Dates = None,
    settings: SettingsFile = None,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    seed: Annotated[int | None, typer.Option(min=0, help="Of models and resamples; default: 0.")] = None,
    quarantine: Quarantine = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
    engine: EngineOption = EngineName.DUCKDB,
    spark_master: SparkMaster = None,
    spark_option: SparkOptions = None,
    like: Annotated[
        str | None,
        typer.Option(help="Train a version (or the run of this id) again, with its dataset, dates, settings and seed."),
    ] = None,
) -> None:
    """Judge the models on past dates, fit on all that is known, log to MLflow and register as challenger.

    Example: koc train --dataset dataset.toml
    """
    from training.pipeline import train as run_training
    from training.promotion.shared import dates_of_champion
    from training.recipe import read_recipe, require_same_tools
    from training.register import register
    from training.results import render
    from training.tracking import CHAMPION, Tracker

    if like is not None and any((dataset, test_date, dates, settings, seed is not None)):
        names = "--dataset, --test-date, --dates, --settings, --seed"
        raise typer.BadParameter(f"--like takes dataset, dates, settings and seed from the run; leave out {names}")
    tracker = Tracker(tracking, home)
    recipe = None
    if like is None:
        described = read(dataset or DEFAULT_DATASET, root, test_date)
        chosen = train_settings(settings, dates=dates, seed=seed or 0, threads=threads)
        also = dates_of_champion(tracker, described.name)
    else:
        recipe = read_recipe(tracker, tracker.find(like))
        require_same_tools(recipe)
        described, chosen, also = recipe.described(root), recipe.trained_with(), recipe.judged_on()
    running = make_engine(engine, memory=memory, threads=threads, master=spark_master, options=spark_option)
    tables, _ = open_dataset(described, quarantine=quarantine, engine=running)
    if recipe is not None:
        # Wherever the tables lie by now, the bundle tells where they lay.
        tables = replace(tables, dataset=recipe.described())
    with progress("training") as tell:
        trained = run_training(tables, chosen, tell, also=also, like=recipe)
        tell("registering in MLflow")
        version = tracker.find(register(trained, tracker, like=recipe))
    if recipe is not None:
        say(f"koc/{version.version} has the same checksum as {like}: {recipe.bundle}; aliases are as they were")
        return
    render([record for record in trained.records if record.as_of == "pooled"], console)
    step = (
        f"koc score{given(dataset=dataset, root=root, tracking=tracking, home=home)}"
        if CHAMPION in version.aliases
        else f"koc promote{given(tracking=tracking, home=home)}"
    )
    say(f"Registered koc version {version.version} as {' and '.join(version.aliases)}; next: {step}")
