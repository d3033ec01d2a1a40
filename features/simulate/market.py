"""A simulated market on disk: tables of the contract, a dataset file over them, and the truth beside them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from features.simulate.accounts import plain_accounts
from features.simulate.catalogue import draw_catalogue
from features.simulate.contract_tables import (
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
from features.simulate.groups import plain_groups
from features.simulate.joining import draw_inviters, draw_memberships
from features.simulate.lifetime import draw_lifetimes
from features.simulate.network import draw_network
from features.simulate.population import draw_population
from features.simulate.purchases import draw_purchases
from features.simulate.season import Season
from features.simulate.settings import MarketSettings
from features.simulate.social_life import STEPS as SOCIAL_STEPS
from features.simulate.social_life import live_together
from features.simulate.society_tables import (
    write_attributes,
    write_communities,
    write_engagements,
    write_group_buys,
    write_identities,
    write_outreach,
    write_rewards,
)
from features.simulate.till import ring_up
from features.simulate.truth import Truth
from features.simulate.truth_tables import write_truth

_STEPS = ("people", "goods", "ties", "lifetimes", "joining", "purchases", "diffusion", "till", "origins", "numbers")
_BARE = ("users", "items", "ties", "orders", "shares", "share_responses", "communities", "memberships")
_OF_SOCIETY = ("group_buys", "group_buy_members", "engagements", "rewards", "attributes", "identities", "outreach")


def simulate_market(settings: MarketSettings, out: Path, *, progress: Callable[[str], None] | None = None) -> Path:
    """Simulate one market and write it to ``out``; equal settings give equal bytes.

    Writes one Parquet file per mapped table, ``dataset.toml`` (readable by ``read_dataset``), and ``truth/users``,
    ``truth/ties``, ``truth/orders``, ``truth/communities``, which the dataset file does not map (``read_truth`` reads them).
    Files of these names are overwritten.

    Args:
        progress: called with one line before each step

    Returns:
        the path of ``dataset.toml``
    """
    say = progress or (lambda _line: None)
    # One stream per step, so that a change of one step leaves the others' draws as they are.
    steps = (*_STEPS, *SOCIAL_STEPS)
    seeds = np.random.SeedSequence(settings.seed).spawn(len(steps))
    rng = {step: np.random.default_rng(seed) for step, seed in zip(steps, seeds, strict=True)}
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
    acts = spread(own, truth, rng["diffusion"])
    receipts = ring_up(acts.orders, acts.shares, truth, season, rng["till"])
    life = None
    if settings.society is None:
        groups = plain_groups(truth, memberships)
        accounts = plain_accounts(truth, inviter, rng["numbers"])
    else:
        say("drawing campaigns, group buys, groups, roles and abuse")
        life = live_together(acts, receipts, memberships, inviter, truth, season, settings.society, rng)
        acts, receipts, accounts, groups, memberships = (
            life.acts,
            life.receipts,
            life.accounts,
            life.groups,
            life.memberships,
        )

    orders, shares = acts.orders, acts.shares
    say(f"writing {orders.user.size:,} orders, {shares.sharer.size:,} shares and the other tables to {out}")
    write_users(writer, accounts, rng["origins"])
    write_items(writer, truth)
    write_ties(writer, truth, accounts, life.friendships if life else None)
    write_orders(writer, truth, accounts, orders, receipts)
    write_shares(writer, truth, accounts, shares)
    write_responses(writer, truth, accounts, shares, acts.responses)
    write_communities(writer, accounts, groups, memberships)
    if life:
        write_group_buys(writer, truth, accounts, life.group_buys)
        write_engagements(writer, truth, accounts, groups, life.engagements)
        write_rewards(writer, accounts, life.rewards)
        write_attributes(writer, accounts, life.attributes)
        write_identities(writer, accounts, life.identities)
        write_outreach(writer, accounts, life.guide, life.outreach, settings.end)
    write_truth(writer, truth, accounts, groups, orders, shares, life.answer if life else None)
    return write_dataset_file(out, settings, origin, _BARE + (_OF_SOCIETY if life else ()))
