"""`koc promote` and `koc rollback`: which registered version is served."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import (
    DEFAULT_HOME,
    DEFAULT_THREADS,
    Home,
    MemoryLimit,
    Root,
    Threads,
    Tracking,
    console,
    given,
    open_dataset,
    progress,
    read,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from serving.access.principal import Principal
    from serving.champions import Champions, Moved
    from training.promotion.checks import Check, Rules
    from training.tracking import Version


def promote(
    version: Annotated[str, typer.Option(help="The version to promote, or an alias.")] = "challenger",
    dataset: Annotated[
        Path | None,
        typer.Option(help="Judge both models themselves on these tables, at dates after both were trained."),
    ] = None,
    root: Root = None,
    margin: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the champion's metrics that may be lost, at the lower bound.")
    ] = 0.05,
    slice_margin: Annotated[float, typer.Option(min=0, max=1, help="The same in each large slice.")] = 0.15,
    override: Annotated[bool, typer.Option("--override", help="Promote though checks fail; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why it is overridden; history and audit keep it.")] = None,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
    memory: MemoryLimit = None,
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Make the challenger the champion if it is no worse on any check; otherwise say which failed, with status 1.

    Example: koc promote --version 4
    """
    from training.promotion.checks import Rules

    if override != bool(reason and reason.strip()):
        raise typer.BadParameter("--override and --reason TEXT belong together: who overrides says why")
    rules, checked = Rules(margin=margin, slice_margin=slice_margin), None
    if dataset is not None:
        checked = _judging(dataset, root, tracking, home, memory, threads, rules)
    with opened(home, database_url, tracking) as champions:
        moved = champions.promote(person(), version, rules, override=reason, checked=checked)
        _show(moved.checks)
        _tell(moved, given(dataset=dataset, root=root, tracking=tracking, home=home))


def rollback(
    reason: Annotated[str, typer.Option(help="Why; the history and the audit log keep it.")],
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Make the champion before the present one champion again, and serve its scores.

    Example: koc rollback --reason "complaints from Hangzhou"
    """
    with opened(home, database_url, tracking) as champions:
        _tell(champions.rollback(person(), reason), given(tracking=tracking, home=home))


def person() -> "Principal":
    """Whoever has the shell, by the name of their account on the machine: the history says who it was."""
    from serving.access.principal import LOCAL

    try:
        return replace(LOCAL, name=f"{getpass.getuser()} ({LOCAL.name})")
    except (OSError, KeyError):  # containers run accounts that have no name
        return LOCAL


@contextmanager
def opened(home: Path, database_url: str | None, tracking: str | None) -> "Iterator[Champions]":
    """The champion of a home, with the registry, the audit log and the scores that belong to it."""
    from serving.champions import Champions
    from serving.store.score_store import ScoreStore
    from training.tracking import Tracker

    with operations(home, database_url) as database:
        yield Champions(database, Tracker(tracking, home), ScoreStore(home / "scores"))


def _judging(
    dataset: Path,
    root: Path | None,
    tracking: str | None,
    home: Path,
    memory: str | None,
    threads: int,
    rules: "Rules",
) -> "Callable[[Version, Version], Sequence[Check]]":
    """Checks on what both bundles say of the tables of ``dataset``."""

    def checked(challenger: "Version", champion: "Version") -> "Sequence[Check]":
        from serving.champions import later_checks
        from training.tracking import Tracker

        tables, _ = open_dataset(read(dataset, root), memory=memory, threads=threads)
        with progress("judging both models") as tell:
            return later_checks(Tracker(tracking, home), challenger, champion, tables, rules, tell)

    return checked


def _show(checks: "Sequence[Check]") -> None:
    grid = Table("check", "holds", "numbers")
    for check in checks:
        grid.add_row(escape(check.name), "yes" if check.passed else "[bold red]no[/bold red]", escape(check.text))
    console.print(grid)


def _tell(moved: "Moved", options: str) -> None:
    served = f"batch {moved.batch.batch} is served" if moved.batch else "it has no scores yet"
    say(f"koc/{moved.change.version} is champion in place of koc/{moved.before}: {served}; next: koc score{options}")
