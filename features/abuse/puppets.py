"""Accounts that are one person's: registered at once for one account, acting for it and hardly for themselves."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from features.abuse.help_acts import HelpActs

Ints = npt.NDArray[np.int64]

LEAST_ACCOUNTS = 5
"""A family helps one of its own too."""

FOR_ONE = 0.6
"""Share of an account's acts that are for its anchor or for fellows with the same anchor. Friends have other friends."""

OWN_LIFE, OWN_SHARE = 3, 1 / 3
"""Orders, posts and other acts of its own that an account may have, and per act for others where these are many: one cheap
order passes it for a customer, and some pass on what they help with."""

BURST_DAYS, LONGEST_DAYS = 3.0, 14.0
"""Longest pause between two registrations of one burst, and longest burst: whom people invite every day makes no burst."""

WINDOW_DAYS, ALIKE = 28, 0.3
"""Acts for one account within so many days are one action; accounts are linked from this Jaccard similarity of actions."""

COMMON = 2
"""Actions that linked accounts have in common. Fans who follow one call and have not bought yet have one."""

MOST_ACCOUNTS = 1_000
"""Linked accounts of one burst that may be one person's; the largest that is told of has some 600. More are a crowd."""

MOST_COMPARED = 4_000
"""Accounts of one burst that are compared pairwise, the first to register; nothing is told of the others."""


@dataclass(frozen=True)
class Puppets:
    """(users,) ``main``: the account that each belongs to, or -1; the main one belongs to itself."""

    main: Ints


def find_puppets(acts: HelpActs, born: npt.NDArray[np.float64], own_acts: Ints) -> Puppets:
    """Sock puppets among the users of ``acts``.

    ``born``: (users,) local day on which each account registered, nan where unknown, which is never a puppet;
    ``own_acts``: (users,) what it did besides responding to others.

    Accounts with the same anchor (who invited them, else the account that most of their acts are for), without a life of
    their own and registered in one burst, are linked where they act for the same at the same time, as in SynchroTrap (Cao,
    Yang, Yu and Palow, Uncovering large groups of active malicious accounts in online social networks, CCS 2014): Jaccard
    similarity of actions, of which ``COMMON`` or more are shared, and single linkage. An action is what they did within
    ``WINDOW_DAYS`` for the anchor, for fellows with the same anchor, or for somebody else. ``LEAST_ACCOUNTS`` to
    ``MOST_ACCOUNTS`` that are linked are puppets; nothing is told of accounts of the burst that are not.
    """
    size = len(acts.users)
    main = np.full(size, -1, dtype=np.int64)
    anchor, near, share = _anchors(acts, size)
    helps = np.bincount(acts.actor[~acts.registers], minlength=size)
    idle = (anchor >= 0) & (share >= FOR_ONE) & (own_acts <= np.maximum(OWN_LIFE, OWN_SHARE * helps))
    suspects = np.flatnonzero(idle)
    suspects = suspects[np.lexsort((born[suspects], anchor[suspects]))]
    for burst in _bursts(suspects, anchor[suspects], born[suspects]):
        active = burst[helps[burst] > 0][:MOST_COMPARED]
        if active.size < LEAST_ACCOUNTS:
            continue
        cluster = _linked(acts, active, anchor, near)
        members = np.bincount(cluster)[cluster]
        linked = active[(members >= LEAST_ACCOUNTS) & (members <= MOST_ACCOUNTS)]
        main[linked] = anchor[burst[0]]
    # An anchor that is itself an account of somebody's belongs to them.
    above = np.where(main >= 0, main, 0)
    main = np.where((main >= 0) & (main[above] >= 0), main[above], main)
    mains = np.unique(main[main >= 0])
    main[mains] = mains
    return Puppets(main)


def _anchors(acts: HelpActs, size: int) -> tuple[Ints, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
    """(size,) the anchor of each, -1 without acts; (k,) the acts that are for the anchor or a fellow; (size,) their share.

    Who invited somebody is known by the first answer to an invitation; else the most frequent target counts, of equal ones
    the first. Inviters come first because a large puppet passes its shares on among its accounts, each of which draws some
    acts.
    """
    anchor = np.full(size, -1, dtype=np.int64)
    key, count = np.unique(acts.actor * size + acts.target, return_counts=True)
    actor, target = np.divmod(key, max(size, 1))
    order = np.lexsort((target, -count, actor))
    first = order[np.append(True, np.diff(actor[order]) > 0)] if order.size else order
    anchor[actor[first]] = target[first]
    joined = np.flatnonzero(acts.registers)
    invited, earliest = np.unique(acts.actor[joined], return_index=True)
    anchor[invited] = acts.target[joined[earliest]]
    own = anchor[acts.actor]
    near = (acts.target == own) | (anchor[acts.target] == own)
    done = np.bincount(acts.actor, minlength=size)
    return anchor, near, np.bincount(acts.actor[near], minlength=size) / np.maximum(done, 1)


def _bursts(suspects: Ints, anchor: Ints, born: npt.NDArray[np.float64]) -> list[Ints]:
    """``suspects`` in parts of one anchor each, registered in one burst; all (k,), by anchor, then by ``born``."""
    begins = np.append(True, (np.diff(anchor) != 0) | ~(np.diff(born) <= BURST_DAYS)) if suspects.size else np.zeros(0, bool)
    first = born[np.maximum.accumulate(np.where(begins, np.arange(suspects.size), 0))]
    # Long ones are cut into equal stretches from their first day.
    stretch = (born - first) // LONGEST_DAYS
    begins[1:] |= np.diff(stretch) > 0
    return np.split(suspects, np.flatnonzero(begins)[1:])


def _linked(acts: HelpActs, accounts: Ints, anchor: Ints, near: npt.NDArray[np.bool_]) -> Ints:
    """(accounts,) number of the cluster of each."""
    place = np.full(len(acts.users), -1, dtype=np.int64)
    place[accounts] = np.arange(accounts.size)
    own = (place[acts.actor] >= 0) & ~acts.registers
    window = acts.at[own] // (WINDOW_DAYS * 86_400)
    # The fellows are one object; whatever else somebody acts for tells accounts apart.
    to_fellow = near[own] & (acts.target[own] != anchor[acts.actor[own]])
    object_ = np.where(to_fellow, -1, acts.target[own])
    _, action = np.unique(np.stack([object_, window]), axis=1, return_inverse=True)
    pairs = np.unique(np.stack([place[acts.actor[own]], action.ravel()]), axis=1)
    done = csr_matrix((np.ones(pairs.shape[1], np.float32), tuple(pairs)), shape=(accounts.size, int(pairs[1].max()) + 1))
    both = (done @ done.T).toarray()
    each = np.diag(both)
    alike = both / np.maximum(each[:, None] + each[None, :] - both, 1)
    _, cluster = connected_components(csr_matrix((alike >= ALIKE) & (both >= COMMON)), directed=False)
    return np.asarray(cluster, dtype=np.int64)
