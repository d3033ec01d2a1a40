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
) -> None:
    """Judge the models on past dates, fit on all that is known, log to MLflow and register as challenger.

    Example: koc train --dataset dataset.toml
    """
    from training.pipeline import train as run_training
    from training.register import register
    from training.results import render
    from training.tracking import CHAMPION, Tracker

    chosen = train_settings(settings, dates=dates, seed=seed, threads=threads)
    running = make_engine(engine, memory=memory, threads=threads, master=spark_master, options=spark_option)
    tables, _ = open_dataset(read(dataset, root, test_date), quarantine=quarantine, engine=running)
    with progress("training") as tell:
        trained = run_training(tables, chosen, tell)
        tell("registering in MLflow")
        tracker = Tracker(tracking, home)
        version = tracker.find(register(trained, tracker))
    render([record for record in trained.records if record.as_of == "pooled"], console)
    model = None if CHAMPION in version.aliases else "challenger"
    say(
        f"Registered koc version {version.version} as {' and '.join(version.aliases)}; "
        f"next: koc score{given(dataset=dataset, root=root, tracking=tracking, home=home, model=model)}"
    )
