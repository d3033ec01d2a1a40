"""Which accounts give a phone number, and the few sock puppets that give their person's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import PUPPET, Accounts
from features.simulate.society import SocietySettings

Ints = NDArray[np.int64]

_GIVE = 0.3


@dataclass(frozen=True)
class Identities:
    """(k,) accounts with a phone number: ``value`` is as good as a hash of it, known from ``moment`` on."""

    user: Ints
    value: Ints
    moment: Ints


def draw_identities(accounts: Accounts, settings: SocietySettings, rng: np.random.Generator) -> Identities:
    """Part of the users, each with a value of their own; part of each sock puppet, with the value of its person."""
    puppet = (accounts.role == PUPPET) & (accounts.person != np.arange(accounts.size))
    known = puppet & (rng.random(accounts.size) < settings.puppets_known)
    persons = np.unique(accounts.person[known])
    gives = ~puppet & (rng.random(accounts.size) < _GIVE)
    gives[persons] = True
    user = np.flatnonzero(gives | known)
    user = user[np.argsort(accounts.number[user], kind="stable")]
    # The value of a person's own account, whichever account gives it; large steps keep values far from a row's number.
    value = (accounts.number[accounts.person[user]] * 2_654_435_761) % (1 << 32)
    return Identities(user, value, accounts.registered[user] + 1)
