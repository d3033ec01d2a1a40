"""A simulated market on disk: tables of the contract, a dataset file over them, and the truth beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from features.simulate.catalogue import draw_catalogue
from features.simulate.contract_tables import (
    write_communities,
    write_items,
    write_orders,
    write_responses,
    write_shares,
    write_ties,
    write_users,
)
from features.simulate.dataset_file import write_dataset_file
from features.simulate.diffusion import spread
from features.simulate.export import Writer, utc_origin
from features.simulate.joining import draw_inviters, draw_memberships
from features.simulate.lifetime import draw_lifetimes
from features.simulate.network import draw_network
from features.simulate.population import draw_population
from features.simulate.purchases import draw_purchases
from features.simulate.season import Season
from features.simulate.settings import MarketSettings
from features.simulate.till import ring_up
from features.simulate.truth import Truth
from features.simulate.truth_tables import write_truth

_STEPS = ("people", "goods", "ties", "lifetimes", "joining", "purchases", "diffusion", "till", "origins")


def simulate_market(settings: MarketSettings, out: Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Simulate one market and write it to ``out``; equal settings give equal bytes.

    Writes one Parquet file per mapped table, ``dataset.toml`` (readable by ``read_dataset``), and ``truth/users``,
    ``truth/ties``, ``truth/orders``, which the dataset file does not map. Files of these names are overwritten.

    Args:
        progress: called with one line before each step

    Returns:
        the path of ``dataset.toml``
    """
    say = progress or (lambda _line: None)
    # One stream per step, so that a change of one step leaves the others' draws as they are.
    seeds = np.random.SeedSequence(settings.seed).spawn(len(_STEPS))
    rng = {step: np.random.default_rng(seed) for step, seed in zip(_STEPS, seeds, strict=True)}
    origin = utc_origin(settings)
    writer = Writer(out, origin)

    say(f"drawing {settings.users:,} users and their ties")
    season = Season(settings)
    people = draw_population(settings, season, rng["people"])
    catalogue = draw_catalogue(settings, rng["goods"])
    network = draw_network(people, settings, rng["ties"])
    churned = draw_lifetimes(people, network, settings, rng["lifetimes"])
    truth = Truth(people, network, catalogue, churned, settings)
    inviter = draw_inviters(truth, rng["joining"])
    memberships = draw_memberships(truth, inviter, rng["joining"])
    say(f"drawing what they buy within {settings.days} days")
    own = draw_purchases(truth, season, rng["purchases"])
    say(f"spreading {own.user.size:,} purchases along {network.influencer.size:,} ties")
    orders, shares, responses = spread(own, truth, rng["diffusion"])
    receipts = ring_up(orders, shares, truth, season, rng["till"])

    say(f"writing {orders.user.size:,} orders, {shares.sharer.size:,} shares and the other tables to {out}")
    write_users(writer, truth, inviter, rng["origins"])
    write_items(writer, truth)
    write_ties(writer, truth, inviter)
    write_orders(writer, truth, orders, receipts)
    write_shares(writer, truth, shares)
    write_responses(writer, truth, shares, responses)
    write_communities(writer, truth, memberships)
    write_truth(writer, truth, orders, shares)
    return write_dataset_file(out, settings, origin)
