"""`koc jobs`: jobs listed, shown while they run, cancelled and tried again."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column, Table

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, console, notes, say
from serving.jobs.states import JobState

if TYPE_CHECKING:
    from serving.jobs.jobs import Job, Jobs

jobs = typer.Typer(name="jobs", help="List, watch, cancel and retry jobs of the API.", no_args_is_help=True)

LOOK_SECONDS = 0.5
"""Between two looks at a job that is waited for."""

JobId = Annotated[str, typer.Argument(help="Id of the job, as `koc jobs list` shows it.")]
Wait = Annotated[bool, typer.Option("--wait", help="Show how far it is until it is over; status 1 unless it succeeded.")]


@jobs.command("list")
def list_(
    state: Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; repeat for several.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """List jobs, the newest first.

    Example: koc jobs list --state running --state queued
    """
    from serving.access.principal import LOCAL

    with _opened(home, database_url) as found:
        listed = found.page(LOCAL, states=state or (), limit=limit)
    if not listed:
        console.print("No such job; POST /v1/jobs makes one.")
        return
    grid = Table(
        "job",
        "kind",
        "state",
        Column("done", justify="right"),
        Column("step", overflow="fold"),
        "asked for (UTC)",
        "attempts",
    )
    for job in listed:
        cells = (job.job_id, job.kind, job.state, f"{job.progress:.0%}", job.error or job.step or "")
        grid.add_row(*map(escape, cells), f"{job.created_at:%Y-%m-%d %H:%M}", f"{job.attempts} of {job.most_attempts}")
    console.print(grid)


@jobs.command()
def show(job_id: JobId, wait: Wait = False, home: Home = DEFAULT_HOME, database_url: DatabaseUrl = None) -> None:
    """Show everything about a job.

    Example: koc jobs show 5b0f1c0e8d4a4a6c9c55f0a1f0d2b7aa --wait
    """
    import json

    from serving.access.principal import LOCAL

    with _opened(home, database_url) as found:
        job = _waited(found, job_id) if wait else found.get(LOCAL, job_id)
    for name, value in vars(job).items():
        if value is not None:
            text = f"{value:%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, datetime) else value
            say(f"{name}: {json.dumps(text, ensure_ascii=False) if isinstance(text, dict) else text}")
    if wait and job.state != "succeeded":
        raise typer.Exit(1)


@jobs.command()
def cancel(job_id: JobId, home: Home = DEFAULT_HOME, database_url: DatabaseUrl = None) -> None:
    """Cancel a job: at once if it is queued, within seconds if it is running.

    Example: koc jobs cancel 5b0f1c0e8d4a4a6c9c55f0a1f0d2b7aa
    """
    from serving.access.principal import LOCAL

    with _opened(home, database_url) as found:
        job = found.cancel(LOCAL, job_id)
    say(f"{job.kind} {job.job_id}: {'is asked to stop' if job.state == 'running' else job.state}")


@jobs.command()
def retry(job_id: JobId, wait: Wait = False, home: Home = DEFAULT_HOME, database_url: DatabaseUrl = None) -> None:
    """Queue a failed or cancelled job again.

    Example: koc jobs retry 5b0f1c0e8d4a4a6c9c55f0a1f0d2b7aa
    """
    from serving.access.principal import LOCAL

    with _opened(home, database_url) as found:
        job = found.retry(LOCAL, job_id)
        say(f"{job.kind} {job.job_id}: {job.state}; a running `koc worker` does it")
        job = _waited(found, job_id) if wait else job
    if wait:
        say(f"{job.kind} {job.job_id}: {job.error or job.state}")
        if job.state != "succeeded":
            raise typer.Exit(1)


@contextmanager
def _opened(home: Path, database_url: str | None) -> "Iterator[Jobs]":
    from serving.jobs.jobs import Jobs
    from serving.jobs.queue import Queue
    from serving.jobs.work import KINDS
    from serving.settings import ServiceSettings

    with operations(home, database_url) as database:
        queue = Queue(ServiceSettings(home=home), lambda text: notes.print(text, soft_wrap=True, markup=False))
        yield Jobs(database, KINDS, queue.ring)
        queue.close()


def _waited(found: "Jobs", job_id: str) -> "Job":
    """The job when it is over; shows how far it is until then."""
    from serving.access.principal import LOCAL

    with _shown() as show_step:
        while (job := found.get(LOCAL, job_id)).state in ("queued", "running"):
            show_step(job)
            time.sleep(LOOK_SECONDS)
    return job


@contextmanager
def _shown() -> "Iterator[Callable[[Job], None]]":
    if not notes.is_terminal:
        told: list[str] = []

        def line(job: "Job") -> None:
            if (text := f"  {job.state} {job.step or ''}".rstrip()) not in told[-1:]:
                told.append(text)
                notes.print(text, soft_wrap=True, markup=False, highlight=False)

        yield line
        return
    with Progress(TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(), console=notes) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda job: bar.update(task, completed=job.progress, description=f"{job.kind}: {job.step or job.state}")
