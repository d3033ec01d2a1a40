"""`koc simulate`: a market with known KOCs."""

from pathlib import Path
from typing import Annotated

import typer

from serving.cli.options import progress, say


def simulate(
    out: Annotated[Path, typer.Option(help="New folder for the tables, dataset.toml and truth/.")],
    users: Annotated[int, typer.Option(min=100, help="Users at the end.")] = 20_000,
    days: Annotated[int, typer.Option(min=28, max=3650, help="Days observed.")] = 365,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same tables.")] = 0,
) -> None:
    """Simulate a market of customers whose true influence is known.

    Example: koc simulate --users 20000 --out market
    """
    from features.simulate.market import simulate_market
    from features.simulate.settings import MarketSettings

    with progress(f"simulating {users:,} users") as tell:
        simulate_market(MarketSettings(users=users, days=days, seed=seed), out, progress=tell)
    say(f"Tables in {out}; next: koc validate --dataset {out / 'dataset.toml'}")
