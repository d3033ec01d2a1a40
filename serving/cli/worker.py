"""`koc worker`: does the jobs that the API was asked for."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from serving.cli.operations import DatabaseUrl
from serving.cli.options import (
    DEFAULT_DATASET,
    DEFAULT_HOME,
    DEFAULT_THREADS,
    DatasetFile,
    Home,
    MemoryLimit,
    Threads,
    Tracking,
    say,
)


def worker(
    once: Annotated[bool, typer.Option("--once", help="End when no job waits, instead of waiting for the next.")] = False,
    dataset: DatasetFile = DEFAULT_DATASET,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
    redis_url: Annotated[
        str | None,
        typer.Option("--redis-url", envvar="KOC_REDIS_URL", help="Redis that wakes workers; default: a file at home."),
    ] = None,
    tracking: Tracking = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Score, make long lists and train as jobs ask for it, one after the other; docs/jobs.md has more.

    Example: koc worker --dataset dataset.toml
    """
    from serving.jobs.work import KINDS
    from serving.jobs.worker import Worker
    from serving.settings import ServiceSettings

    settings = ServiceSettings(
        home=home,
        dataset=dataset,
        database_url=database_url,
        redis_url=redis_url,
        memory=memory,
        threads=threads,
    ).model_copy(update={"tracking_uri": tracking})
    working = Worker(settings, KINDS, tell=lambda line: say(f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} {line}"))
    working.stop_on_signals()
    working.run(once=once)
