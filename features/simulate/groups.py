"""Groups of people: where they came from, who leads them, how loud they are, when they die, and who is in them."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from features.simulate.events import NOBODY
from features.simulate.joining import Memberships
from features.simulate.lifetime import NEVER
from features.simulate.network import ALWAYS
from features.simulate.rows import join, take
from features.simulate.season import DAY
from features.simulate.society import SocietySettings
from features.simulate.truth import Truth

Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

KINDS = ("wecom_group", "neighbourhood", "club")
SPACES = ("online", "community", "offline")
"""The space of each kind."""
ORIGINS = ("relation", "event")
EVENT = ORIGINS.index("event")
SILENT_FROM = 150
_KIND_SHARES = (0.6, 0.25, 0.15)
_EVENT_SIZE, _EVENT_SIGMA, _LARGEST = 60.0, 0.9, 500
_RELATION_SIZE, _RELATION_SIGMA = 16.0, 0.5
_LIFE_DAYS = (420.0, 90.0)
_STRANGERS_LEAVE, _FRIENDS_LEAVE = 0.5, 0.12
_LEAVE_DAYS = 25.0
_AFTER_DEATH_DAYS = 10.0


@dataclass(frozen=True)
class Groups:
    """(c,) groups. ``created``: ``ALWAYS`` for those that existed at the start; ``died``: when talk ends, or ``NEVER``.

    ``leader``: the owner who leads it, or ``NOBODY``; ``noisy``: red packets and much talk; ``silent``: hardly any.
    """

    kind: Ints
    origin: Ints
    created: Ints
    died: Ints
    leader: Ints
    noisy: Flags
    silent: Flags

    @property
    def size(self) -> int:
        return self.kind.size


def plain_groups(truth: Truth, memberships: Memberships) -> Groups:
    """The chat group of each community, of one kind, each with its owner: the bare market."""
    count = int(truth.people.community.max()) + 1
    nothing, no = np.zeros(count, dtype=np.int64), np.zeros(count, dtype=bool)
    leader = np.full(count, NOBODY)
    leader[memberships.community[memberships.owner]] = memberships.user[memberships.owner]
    return Groups(nothing, nothing, nothing + ALWAYS, nothing + NEVER, leader, no, no)


def draw_groups(
    truth: Truth, memberships: Memberships, settings: SocietySettings, rng: np.random.Generator
) -> tuple[Groups, Memberships]:
    """Groups and memberships: those of the communities stay, groups born within the year come on top.

    Relation-born ones grow from a founder's followers, event-born ones from whoever was there; the latter die several
    times as fast. Who knows nobody in a new group leaves it more often (DEMANDS of operators; the same holds for Usenet
    groups in Arguello et al., CHI 2006). Event-born groups of ``SILENT_FROM`` and more members are silent.
    """
    plain = plain_groups(truth, memberships)
    old = plain.size
    each = round(settings.new_groups * truth.people.size * truth.settings.years)
    origin = np.concatenate([np.zeros(old + each, dtype=np.int64), np.full(each, EVENT)])
    count = origin.size
    begin = (rng.random(2 * each) * truth.settings.end * 0.9).astype(np.int64)
    life = (rng.exponential(np.array(_LIFE_DAYS)[origin]) * DAY).astype(np.int64) + 3 * DAY
    died = np.append(plain.died, begin + life[old:])
    died = np.where(died < truth.settings.end, died, NEVER)
    born = _born(begin, origin[old:], died[old:], old, truth, rng)
    born = _leaving(born, truth, died, rng)

    leader = np.append(plain.leader, np.full(2 * each, NOBODY))
    leader[born.community[born.owner]] = born.user[born.owner]
    leaderless = rng.random(count) < settings.leaderless
    leader[leaderless] = NOBODY
    both = join(memberships, born)
    both = take(both, np.lexsort((both.joined, both.community, both.user)))
    led = Memberships(
        both.user, both.community, both.inviter, both.joined, both.left, both.owner & ~leaderless[both.community]
    )
    sizes = np.bincount(both.community, minlength=count)
    silent = (origin == EVENT) & (sizes >= SILENT_FROM)
    noisy = (rng.random(count) < settings.noisy) & ~silent
    kind = rng.choice(len(KINDS), count, p=_KIND_SHARES)
    created = np.append(plain.created, begin)
    return Groups(kind, origin, created, died, leader, noisy, silent), led


def _born(begin: Ints, origin: Ints, died: Ints, first: int, truth: Truth, rng: np.random.Generator) -> Memberships:
    """Members of the groups born within the observed time, all present; the founder first."""
    network, people = truth.network, truth.people
    none = np.zeros(0, dtype=np.int64)
    parts = [Memberships(none, none, none, none, none, none.astype(bool))]
    followers = np.diff(network.start)
    popular = np.cumsum(followers * (people.rate / people.rate.mean()))
    everyone = np.cumsum(people.rate)
    for number, (moment, event, end) in enumerate(zip(begin, origin, died, strict=True)):
        total = everyone if event else popular
        mean, sigma = (_EVENT_SIZE, _EVENT_SIGMA) if event else (_RELATION_SIZE, _RELATION_SIGMA)
        wanted = int(min(rng.lognormal(np.log(mean), sigma), _LARGEST, people.size // 4)) + 2
        if event:
            met = np.searchsorted(total, rng.random(2 * wanted) * total[-1]).clip(max=people.size - 1)
            inviter = np.full(met.size, NOBODY)
            delay = rng.exponential(2.0, met.size)
        else:
            met, inviter = _acquaintances(_founder(total, moment, truth, rng), wanted, truth)
            delay = rng.exponential(12.0, met.size)
        _, once = np.unique(met, return_index=True)
        keep = np.sort(once)
        joined = moment + 1 + (delay[keep] * DAY).astype(np.int64)
        joined[:1] = moment + 1
        user, inviter = met[keep], inviter[keep]
        able = (people.registered[user] <= moment) & (joined < truth.leave[user]) & (joined < min(end, truth.settings.end))
        able &= np.cumsum(able) <= wanted
        user, inviter, joined = user[able], inviter[able], joined[able]
        # Who could not come cannot have brought others.
        inviter = np.where(np.isin(inviter, user), inviter, NOBODY)
        owner = np.zeros(user.size, dtype=bool)
        owner[:1] = True
        group = np.full(user.size, first + number)
        parts.append(Memberships(user, group, inviter, joined, np.full(user.size, NEVER), owner))
    return join(*parts)


def _founder(total: NDArray[np.float64], moment: int, truth: Truth, rng: np.random.Generator) -> int:
    """Somebody with followers who is there at the moment; of twenty candidates the first."""
    candidates = np.searchsorted(total, rng.random(20) * total[-1]).clip(max=total.size - 1)
    there = (truth.people.registered[candidates] <= moment) & (truth.leave[candidates] > moment + DAY)
    return int(candidates[np.argmax(there)])


def _acquaintances(founder: int, wanted: int, truth: Truth) -> tuple[Ints, Ints]:
    """The founder, then followers and their followers, with who brought each, until about twice the number wanted."""
    network = truth.network
    found, inviter, place = [founder], [NOBODY], 0
    known = {founder}
    while place < len(found) and len(found) < 2 * wanted:
        host = found[place]
        low, high = network.start[host], network.start[host + 1]
        strongest = low + np.argsort(-network.intensity[low:high], kind="stable")[:wanted]
        for guest in network.follower[strongest].tolist():
            if guest not in known:
                known.add(guest)
                found.append(guest)
                inviter.append(host)
        place += 1
    return np.array(found), np.array(inviter)


def _leaving(born: Memberships, truth: Truth, died: Ints, rng: np.random.Generator) -> Memberships:
    """When members leave: strangers sooner, most when the group dies, half when they leave the shop."""
    k = born.user.size
    alone = ~knows_somebody(born, truth)
    leaves = rng.random(k) < np.where(alone, _STRANGERS_LEAVE, _FRIENDS_LEAVE)
    early = born.joined + 1 + (rng.exponential(_LEAVE_DAYS, k) * DAY).astype(np.int64)
    end = died[born.community]
    after = (rng.exponential(_AFTER_DEATH_DAYS, k) * DAY).astype(np.int64)
    late = np.where((end != NEVER) & (rng.random(k) < 0.7), np.minimum(end, truth.settings.end) + after, NEVER)
    gone = np.where(rng.random(k) < 0.5, truth.churned[born.user], NEVER)
    left = np.minimum(np.where(leaves, early, NEVER), np.minimum(late, gone))
    left = np.where(left < truth.settings.end, np.maximum(left, born.joined + 1), NEVER)
    owner = born.owner & (left != born.joined)
    return Memberships(born.user, born.community, born.inviter, born.joined, left, owner)


def knows_somebody(members: Memberships, truth: Truth) -> Flags:
    """(k,) whether a member had a tie, either way, to somebody who was in the group before."""
    network, n = truth.network, truth.people.size
    key = members.community * n + members.user
    by_key = np.argsort(key, kind="stable")
    inside, joined = key[by_key], members.joined[by_key]
    known = np.zeros(key.size, dtype=bool)
    into = np.argsort(network.follower, kind="stable")
    into_start = np.searchsorted(network.follower[into], np.arange(n + 1))
    for start, ends in ((network.start, network.follower), (into_start, network.influencer[into])):
        size = start[members.user + 1] - start[members.user]
        row = np.repeat(np.arange(key.size), size)
        arc = np.repeat(start[members.user] - np.cumsum(size) + size, size) + np.arange(row.size)
        wanted = members.community[row] * n + ends[arc]
        place = np.searchsorted(inside, wanted).clip(max=max(inside.size - 1, 0))
        met = (inside[place] == wanted) & (joined[place] < members.joined[row]) if inside.size else np.zeros(0, dtype=bool)
        known[row[met]] = True
    return known


def brought_by_guides(
    members: Memberships, groups: Groups, guide: Ints, truth: Truth, rng: np.random.Generator
) -> Memberships:
    """Memberships in event-born groups, half of whose looked-after members name their guide (``guide``: (n,)) as inviter."""
    theirs = guide[members.user]
    brought = (theirs != NOBODY) & (groups.origin[members.community] == EVENT) & (rng.random(members.user.size) < 0.5)
    there = (truth.people.registered[theirs] < members.joined) & (truth.leave[theirs] > members.joined)
    return replace(members, inviter=np.where(brought & there, theirs, members.inviter))
