"""The truth beside the tables: who really moves whom. No dataset file maps it."""

import numpy as np

from features.simulate.events import NOBODY, Orders, Shares
from features.simulate.export import Writer, ids, names, numbers
from features.simulate.truth import ROLES, Truth

FOLDER = "truth"


def write_truth(writer: Writer, truth: Truth, orders: Orders, shares: Shares) -> None:
    """``truth/users`` (everyone), ``truth/ties`` (one row per direction) and ``truth/orders`` (the caused ones)."""
    _write_users(writer, truth, orders)
    network, n = truth.network, truth.people.size
    ties = {
        "user_id": ids("u", network.follower, n),
        "influencer_id": ids("u", network.influencer, n),
        "probability": numbers(network.probability),
        "live_from": writer.times(network.live_from),
    }
    writer.write(f"{FOLDER}/ties", network.follower.size, ties)
    caused = np.flatnonzero(orders.mover != NOBODY)
    columns = {
        "order_id": ids("o", caused, orders.user.size),
        "influencer_id": ids("u", orders.mover[caused], n),
        "share_id": ids("s", orders.share[caused], shares.sharer.size),
    }
    writer.write(f"{FOLDER}/orders", caused.size, columns)


def _write_users(writer: Writer, truth: Truth, orders: Orders) -> None:
    people = truth.people
    n = people.size
    communities = int(people.community.max()) + 1
    columns = {
        "user_id": ids("u", np.arange(n), n),
        "role": names(ROLES, truth.roles()),
        "community_id": ids("c", people.community, communities),
        "churned_at": writer.times(truth.churned),
        "persuasiveness": numbers(people.persuasiveness),
        "susceptibility": numbers(people.susceptibility),
        "orders_per_day": numbers(people.rate),
        "shares_per_order": numbers(people.share_rate),
        "moved_per_day": numbers(truth.moved_per_day()),
        "responded_per_day": numbers(truth.responded_per_day()),
        "moved_orders": numbers(np.bincount(orders.mover[orders.mover != NOBODY], minlength=n)),
    }
    writer.write(f"{FOLDER}/users", n, columns)
