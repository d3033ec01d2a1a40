"""The truth beside the tables: who really moves whom, who plays which role. No dataset file maps it."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.simulate.accounts import ROLES, Accounts
from features.simulate.contract_tables import user_ids
from features.simulate.events import NOBODY, Orders, Shares
from features.simulate.export import Build, Writer, ids, names, numbers
from features.simulate.groups import Groups
from features.simulate.outreach import ANSWERS
from features.simulate.truth import Truth

FOLDER = "truth"


def read_truth(market: Path) -> dict[str, pd.DataFrame]:
    """The truth tables of a simulated market by name (users, ties, orders, communities).

    ``market``: its folder, or the ``dataset.toml`` in it.
    """
    folder = (market.parent if market.suffix == ".toml" else market) / FOLDER
    return {path.stem: pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))}


def write_truth(
    writer: Writer,
    truth: Truth,
    accounts: Accounts,
    groups: Groups,
    orders: Orders,
    shares: Shares,
    answer: NDArray[np.int64] | None,
) -> None:
    """``truth/users`` (every account), ``truth/ties`` (one row per direction), ``truth/orders`` (the caused ones) and
    ``truth/communities``; ``answer``: (people,) index into ``ANSWERS``."""
    _write_users(writer, truth, accounts, groups, orders, answer)
    network = truth.network
    order = np.argsort(accounts.number[network.influencer] * accounts.names + accounts.number[network.follower])
    ties = {
        "user_id": user_ids(accounts, network.follower[order]),
        "influencer_id": user_ids(accounts, network.influencer[order]),
        "probability": numbers(network.probability[order]),
        "live_from": writer.times(network.live_from[order]),
    }
    writer.write(f"{FOLDER}/ties", order.size, ties)
    caused = np.flatnonzero(orders.mover != NOBODY)
    columns = {
        "order_id": ids("o", caused, orders.user.size),
        "influencer_id": user_ids(accounts, orders.mover[caused]),
        "share_id": ids("s", orders.share[caused], shares.sharer.size),
    }
    writer.write(f"{FOLDER}/orders", caused.size, columns)
    communities = {
        "community_id": ids("c", np.arange(groups.size), groups.size),
        "leader_id": user_ids(accounts, groups.leader),
        "noisy": names(("no", "yes"), groups.noisy.astype(np.int64)),
        "silent": names(("no", "yes"), groups.silent.astype(np.int64)),
        "died_at": writer.times(groups.died),
    }
    writer.write(f"{FOLDER}/communities", groups.size, communities)


def _write_users(
    writer: Writer,
    truth: Truth,
    accounts: Accounts,
    groups: Groups,
    orders: Orders,
    answer: NDArray[np.int64] | None,
) -> None:
    people, by_id = truth.people, np.argsort(accounts.number)
    beyond = accounts.size - people.size

    def of_people(values: NDArray[np.float64]) -> Build:
        """Facts of people, null for the accounts beyond them."""
        padded = np.append(values, np.zeros(beyond))[by_id]
        return numbers(padded, missing=by_id >= people.size)

    home = np.append(people.community, np.full(beyond, NOBODY))
    columns = {
        "user_id": user_ids(accounts, by_id),
        "role": names(ROLES, accounts.role[by_id]),
        "person_id": user_ids(accounts, accounts.person[by_id]),
        "cluster": ids("k", accounts.cluster[by_id], int(accounts.cluster.max(initial=0)) + 1),
        "community_id": ids("c", home[by_id], groups.size),
        "churned_at": writer.times(accounts.churned[by_id]),
        "persuasiveness": of_people(people.persuasiveness),
        "susceptibility": of_people(people.susceptibility),
        "orders_per_day": of_people(people.rate),
        "shares_per_order": of_people(people.share_rate),
        "moved_per_day": of_people(truth.moved_per_day()),
        "responded_per_day": of_people(truth.responded_per_day()),
        "moved_orders": numbers(np.bincount(orders.mover[orders.mover != NOBODY], minlength=accounts.size)[by_id]),
    }
    if answer is not None:
        padded = np.append(answer, np.zeros(beyond, dtype=np.int64))[by_id]
        columns["outreach_answer"] = names(ANSWERS, padded)
    writer.write(f"{FOLDER}/users", accounts.size, columns)
