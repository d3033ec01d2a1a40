"""`koc models`: the registered versions."""

from rich.table import Table

from serving.cli.options import DEFAULT_HOME, Home, Tracking, console


def models(
    tracking: Tracking = None,
    home: Home = DEFAULT_HOME,
) -> None:
    """List the registered versions, the newest first, with their aliases.

    Example: koc models
    """
    from training.tracking import Tracker

    versions = Tracker(tracking, home).versions()
    if not versions:
        console.print("No model is registered; run `koc train` first.")
        return
    grid = Table("version", "aliases", "created (UTC)", "run")
    for version in versions:
        grid.add_row(str(version.version), ", ".join(version.aliases), f"{version.created:%Y-%m-%d %H:%M}", version.run_id)
    console.print(grid)
