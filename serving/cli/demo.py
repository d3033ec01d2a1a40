"""`koc demo`: the main job end to end on a simulated market."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from serving.cli.candidates import candidates
from serving.cli.options import DEFAULT_HOME, DEFAULT_THREADS, Threads, console
from serving.cli.promote import opened, person
from serving.cli.score import score
from serving.cli.simulate import simulate
from serving.cli.train import train

DATES = 3
"""Training dates: a tour need not wait for the last bit of quality."""


def demo(
    users: Annotated[int, typer.Option(min=1_000, help="Users of the simulated market.")] = 10_000,
    seed: Annotated[int, typer.Option(min=0, help="Of market, models and resamples.")] = 0,
    home: Annotated[
        Path,
        typer.Option("--home", help="Folder for models, tracking and scores; KOC_HOME is left alone."),
    ] = DEFAULT_HOME / "demo",
    threads: Threads = DEFAULT_THREADS,
) -> None:
    """Simulated market -> features -> trained and judged model -> MLflow -> scores -> 20 best candidates.

    Example: koc demo
    """
    market = home / "market"
    shutil.rmtree(market, ignore_errors=True)
    console.rule("1 of 4: a simulated market")
    simulate(market, users=users, seed=seed)
    console.rule("2 of 4: features, backtest, training, MLflow")
    train(market / "dataset.toml", home=home, dates=DATES, seed=seed, threads=threads)
    console.rule("3 of 4: batch scores")
    crown(home)
    score(market / "dataset.toml", home=home, threads=threads)
    console.rule("4 of 4: the 20 best candidates")
    candidates(home=home)
    console.print(f"More of them: koc candidates --home {home} --limit 100 --format csv")


def crown(home: Path) -> None:
    """Serve what was just trained, also where an earlier tour has left a champion of another market."""
    from training.promotion.checks import Rules

    with opened(home, None, None) as champions:
        tracker = champions.tracker
        if tracker.find("challenger").version != tracker.find("champion").version:
            champions.promote(person(), "challenger", Rules(), override="a tour begins anew", checked=lambda *_: ())
