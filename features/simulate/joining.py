"""How people come in: who invited each newcomer, and who is in which community's chat group."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import NOBODY
from features.simulate.lifetime import NEVER
from features.simulate.season import DAY
from features.simulate.truth import Truth

Ints = NDArray[np.int64]

_JOIN_DELAY_DAYS = 20
_NO_INFLUENCE = 1e-12
_LEAVING_SHARE = 0.5
_LEAVING_DELAY_DAYS = 10


@dataclass(frozen=True)
class Memberships:
    """(k,) memberships by user; ``left`` is ``NEVER`` while a user stays, ``owner`` marks the first of each community."""

    user: Ints
    community: Ints
    inviter: Ints
    joined: Ints
    left: Ints
    owner: NDArray[np.bool_]


def draw_inviters(truth: Truth, rng: np.random.Generator) -> Ints:
    """(n,) who invited each user, drawn by true influence among those who were there before; ``NOBODY`` for the others."""
    people, network = truth.people, truth.network
    inviter = np.full(people.size, NOBODY)
    invited = (people.registered >= 0) & (rng.random(people.size) < truth.settings.invited)
    newcomer, host = network.follower, network.influencer
    moment = people.registered[newcomer]
    possible = np.flatnonzero(invited[newcomer] & (people.registered[host] < moment) & (truth.leave[host] > moment))
    # The largest of independent Gumbel variables shifted by log weights falls on each in proportion to its weight; where
    # nobody has influence, all weigh alike.
    luck = np.log(np.maximum(network.intensity[possible], _NO_INFLUENCE)) + rng.gumbel(size=possible.size)
    by_luck = possible[np.argsort(luck, kind="stable")]
    inviter[newcomer[by_luck]] = host[by_luck]
    return inviter


def draw_memberships(truth: Truth, inviter: Ints, rng: np.random.Generator) -> Memberships:
    """Part of each community joins its group, some time after registration; half of those who leave the shop leave it too.

    An inviter counts as such for the group only when both belong to the same community.
    """
    people = truth.people
    n = people.size
    delay = (rng.exponential(_JOIN_DELAY_DAYS, n) * DAY).astype(np.int64)
    joined = people.registered + delay
    leaves = rng.random(n) < _LEAVING_SHARE
    after = (rng.exponential(_LEAVING_DELAY_DAYS, n) * DAY).astype(np.int64)
    user = np.flatnonzero((rng.random(n) < truth.settings.members) & (joined < truth.leave))
    going = leaves[user] & (truth.churned[user] < truth.settings.end - after[user])
    left = np.full(user.size, NEVER)
    left[going] = truth.churned[user[going]] + after[user[going]]
    host = inviter[user]
    known = (host != NOBODY) & (people.community[host] == people.community[user])
    by_time = np.lexsort((user, joined[user], people.community[user]))
    _, first = np.unique(people.community[user][by_time], return_index=True)
    owner = np.zeros(user.size, dtype=bool)
    owner[by_time[first]] = True
    return Memberships(user, people.community[user], np.where(known, host, NOBODY), joined[user], left, owner)
