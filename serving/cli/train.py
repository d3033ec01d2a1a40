"""`koc train`: judge, fit, log to MLflow and register as challenger."""

from typing import Annotated

import typer

from serving.cli.engines import EngineName, EngineOption, SparkMaster, SparkOptions, make_engine
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_HOME,
    DEFAULT_THREADS,
    DatasetFile,
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
    dataset: DatasetFile = DEFAULT_DATASET,
    root: Root = None,
    test_date: TestDates = None,
    dates: Dates = None,
    settings: SettingsFile = None,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    seed: Annotated[int, typer.Option(min=0, help="Of models and resamples.")] = 0,
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

    if like is not None and (test_date or dates is not None or settings is not None):
        raise typer.BadParameter("--like takes dates and settings from the run; leave out --test-date, --dates, --settings")
    tracker = Tracker(tracking, home)
    recipe = None
    if like is None:
        described, chosen = read(dataset, root, test_date), train_settings(settings, dates=dates, seed=seed, threads=threads)
        also = dates_of_champion(tracker, described.name)
    else:
        recipe = read_recipe(tracker, tracker.find(like))
        require_same_tools(recipe)
        described, chosen, also = recipe.described(root), recipe.trained_with(), recipe.judged_on()
    running = make_engine(engine, memory=memory, threads=threads, master=spark_master, options=spark_option)
    tables, _ = open_dataset(described, quarantine=quarantine, engine=running)
    with progress("training") as tell:
        trained = run_training(tables, chosen, tell, also=also, like=recipe)
        tell("registering in MLflow")
        version = tracker.find(register(trained, tracker, like=recipe))
    if recipe is not None:
        say(f"koc/{version.version} has the same checksum as version {like}: {recipe.bundle}")
    render([record for record in trained.records if record.as_of == "pooled"], console)
    model = None if CHAMPION in version.aliases else "challenger"
    say(
        f"Registered koc version {version.version} as {' and '.join(version.aliases)}; "
        f"next: koc score{given(dataset=dataset, root=root, tracking=tracking, home=home, model=model)}"
    )
