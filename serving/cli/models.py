"""`koc models`: the registered versions, their cards, and who was champion when."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from serving.cli.operations import DatabaseUrl, moment
from serving.cli.options import DEFAULT_HOME, Home, Tracking, console, say
from serving.cli.promote import opened

models = typer.Typer(name="models", help="List registered models, show their cards and the champions.", no_args_is_help=True)

TOLD = {"average precision": "koc/hybrid/average_precision/pooled", "churn AUROC": "churn/hybrid/auroc/pooled"}
"""Column -> the metric of the run that it shows."""


@models.command("list")
def list_(
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """List the registered versions, the newest first, with aliases, average precision and churn AUROC on the test dates.

    Example: koc models list
    """
    from training.tracking import Tracker

    versions = Tracker(tracking, home).versions()
    if not versions:
        console.print("No model is registered; run `koc train` first.")
        return
    grid = Table("version", "aliases", "created (UTC)", "trained on", *TOLD, Column("run", no_wrap=True))
    for version in versions:
        told = [version.metrics.get(name) for name in TOLD.values()]
        cells = ["-" if value is None else f"{value:.3f}" for value in told]
        created = f"{version.created:%Y-%m-%d %H:%M}"
        about = (", ".join(version.aliases), created, version.run_name)
        grid.add_row(str(version.version), *map(escape, about), *cells, version.run_id)
    console.print(grid)


@models.command()
def show(
    version: Annotated[str, typer.Argument(help="A version, or an alias such as champion or challenger.")] = "champion",
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """Show the model card of a version: data, dates, metrics, limits, use, and how to contest a score.

    Example: koc models show 3
    """
    from training.card import CARD_FILE
    from training.tracking import Tracker

    tracker = Tracker(tracking, home)
    say(tracker.artifact(tracker.find(version), CARD_FILE).decode())


@models.command()
def history(
    at: Annotated[str | None, typer.Option(help="Only who was champion at this date or moment (UTC).")] = None,
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Show who was champion when, by whom and why, the latest first.

    Example: koc models history --at 2024-06-01T12:00
    """
    wanted = moment(at, "--at")
    with opened(home, database_url, tracking) as champions:
        strayed = None
        if wanted is None:
            changes = champions.history()[::-1]
            strayed = champions.strayed() if changes else None
        else:
            found = champions.at(wanted)
            changes = [found] if found else []
    if not changes:
        console.print("There was no champion" + (f" at {at}." if at else " yet; run `koc train` first."))
        return
    grid = Table("since (UTC)", "champion", "how", "by", "why", "overridden")
    for change in changes:
        cells = (f"koc/{change.version}", change.action, change.by, change.why, "\n".join(change.overridden))
        grid.add_row(f"{change.at:%Y-%m-%d %H:%M:%S}", *map(escape, cells))
    console.print(grid)
    if strayed:
        console.print(f"[bold yellow]caution[/bold yellow] {escape(strayed)}", soft_wrap=True)
