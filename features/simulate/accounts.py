"""Everybody with an account and the role that each plays: people first, then bots and sock puppets."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import NOBODY
from features.simulate.lifetime import NEVER
from features.simulate.season import DAY
from features.simulate.society import RoleShares, SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

ROLES = (
    "ordinary", "koc", "kol", "distributor", "discount_hunter", "staff_guide", "group_owner", "bot", "sock_puppet", "ring",
)  # fmt: skip
ORDINARY, KOC, KOL, DISTRIBUTOR, HUNTER, STAFF, OWNER, BOT, PUPPET, RING = range(len(ROLES))

SLOTS = 4
"""Ids leave three of four numbers free, so that those of accounts beyond the users fall between them and tell nothing."""

_SEEN_SHARE = 0.5
_SMALLEST_PUPPET = 5
_BURST_DAYS = 2.0


@dataclass(frozen=True)
class Accounts:
    """(N,) each account; the first ``people`` ones are those of the population, in its order.

    ``leave``: second from which it does nothing more; ``churned``: ``NEVER`` unless the person left for good.
    ``role``: index into ``ROLES``; ``cluster``: number of the ring or sock puppet, ``NOBODY`` for others; ``person``: the
    account of the person behind it, mostly itself; ``number``: what it is called outside.
    """

    people: int
    registered: Ints
    leave: Ints
    churned: Ints
    role: Ints
    cluster: Ints
    person: Ints
    inviter: Ints
    number: Ints

    @property
    def size(self) -> int:
        return self.registered.size

    def playing(self, role: int) -> Ints:
        """The accounts of one role."""
        return np.flatnonzero(self.role == role)

    def named(self, accounts: Ints) -> Ints:
        """The numbers of accounts; ``NOBODY`` stays as it is."""
        return np.append(self.number, NOBODY)[accounts]

    @property
    def names(self) -> int:
        """How many numbers there are to be called by."""
        return SLOTS * self.people


def plain_accounts(truth: Truth, inviter: Ints, numbers: np.random.Generator) -> Accounts:
    """People alone, of whom the top by true influence are KOCs: the bare market. ``numbers``: the stream of ids."""
    n = truth.people.size
    role = np.zeros(n, dtype=np.int64)
    role[_best(truth.influence_per_day(), RoleShares().koc)] = KOC
    nobody = np.full(n, NOBODY)
    number = SLOTS * np.arange(n) + numbers.integers(0, SLOTS, n)
    return Accounts(n, truth.people.registered, truth.leave, truth.churned, role, nobody, np.arange(n), inviter, number)


def draw_accounts(
    truth: Truth,
    inviter: Ints,
    owners: Ints,
    settings: SocietySettings,
    numbers: np.random.Generator,
    rng: np.random.Generator,
) -> Accounts:
    """Roles of people, then the accounts beyond them.

    Abuse that is injected is drawn last, so that everybody else is and does the same without it. A role other than KOC
    and KOL goes to people who are there for at least half of the observed time: nobody can be told by what they did not do.
    """
    choice, burst = rng.spawn(2)
    plain = plain_accounts(truth, inviter, numbers)
    n, shares = plain.people, settings.roles
    role, cluster = np.zeros(n, dtype=np.int64), plain.cluster.copy()
    role[owners] = OWNER
    koc = _best(truth.influence_per_day(), shares.koc)
    followers = np.diff(truth.network.start).astype(float)
    followers[koc] = -1
    role[_best(followers, shares.kol)] = KOL
    role[koc] = KOC

    free = choice.permutation(n)
    seen = truth.leave - np.maximum(truth.people.registered, 0) >= _SEEN_SHARE * truth.settings.end
    free = free[(role[free] == ORDINARY) & seen[free]]
    # The brand invites people who share and reach others.
    reaching = truth.reach[free] * (truth.people.share_rate[free] > 0)
    sellers = free[reaching > _middle(reaching)][: round(shares.distributor * n)]
    role[sellers] = DISTRIBUTOR
    free = free[role[free] == ORDINARY]
    hunters, free = np.split(free, [round(shares.discount_hunter * n)])
    guides, free = np.split(free, [round(shares.staff_guide * n)])
    role[hunters], role[guides] = HUNTER, STAFF
    sizes = _puppet_sizes(shares.sock_puppet, settings.puppet_size, n)
    masters, free = np.split(free, [len(sizes)])
    usual = round(shares.ring * n / settings.ring_size)
    members, free = np.split(free, [usual * settings.ring_size])
    injected = free[::-1]
    if truth.settings.puppet_accounts:
        sizes, masters = [*sizes, truth.settings.puppet_accounts], np.append(masters, injected[:1])
    members = np.append(members, injected[1 : 1 + truth.settings.rings * settings.ring_size])
    rings = members.size // settings.ring_size
    cluster[members[: rings * settings.ring_size]] = np.repeat(np.arange(rings), settings.ring_size)
    role[members[: rings * settings.ring_size]] = RING
    role[masters], cluster[masters] = PUPPET, rings + np.arange(masters.size)

    bots = round(shares.bot * n)
    registered = [(burst.random(bots) * truth.settings.end * 0.6).astype(np.int64)]
    for master, size in zip(masters, sizes, strict=False):
        first = max(int(truth.people.registered[master]), 0) + DAY
        begin = first + int(burst.random() * 0.4 * (truth.leave[master] - first))
        registered.append(begin + (burst.exponential(_BURST_DAYS, size) * DAY).astype(np.int64))
    sizes = sizes[: masters.size]
    beyond = bots + sum(sizes)
    last = truth.settings.end - 1
    behind = np.repeat(masters, sizes)
    return Accounts(
        people=n,
        registered=np.concatenate([plain.registered, *registered]).clip(max=last),
        leave=np.append(plain.leave, np.full(beyond, truth.settings.end)),
        churned=np.append(plain.churned, np.full(beyond, NEVER)),
        role=np.concatenate([role, np.full(bots, BOT), np.full(behind.size, PUPPET)]),
        cluster=np.concatenate([cluster, np.full(bots, NOBODY), cluster[behind]]),
        person=np.concatenate([np.arange(n + bots), behind]),
        inviter=np.concatenate([inviter, np.full(bots, NOBODY), behind]),
        number=np.append(plain.number, _free_numbers(plain.number, beyond, numbers)),
    )


def _best(score: NDArray[np.float64], share: float) -> Ints:
    """The ``share`` of users with the highest score, rounded up."""
    return np.argsort(-score, kind="stable")[: int(np.ceil(share * score.size))]


def _middle(values: NDArray[np.float64]) -> float:
    """Median of the positive values."""
    positive = values[values > 0]
    return float(np.median(positive)) if positive.size else 0.0


def _puppet_sizes(share: float, size: int, n: int) -> list[int]:
    """Accounts of each sock puppet: at least one of a few accounts, if there are to be any."""
    if share == 0:
        return []
    count = max(1, round(share * n / size))
    return [max(_SMALLEST_PUPPET, round(share * n / count))] * count


def _free_numbers(taken: Ints, count: int, rng: np.random.Generator) -> Ints:
    """``count`` numbers beside those taken, one at most for each of these."""
    beside = rng.permutation(taken.size)[:count]
    return np.asarray(SLOTS * beside + (taken[beside] + 1 + rng.integers(0, SLOTS - 1, count)) % SLOTS)
