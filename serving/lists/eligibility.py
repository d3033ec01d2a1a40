"""Who may stand on a list at all, and of everybody else the first rule that takes them out."""

from datetime import datetime
from enum import StrEnum

import numpy as np
import pyarrow.compute as pc
import sqlalchemy as sa

from serving.lists.contacts import at_cap, contacted, listed, reserved
from serving.lists.criteria import ListCriteria, plain
from serving.lists.scope import Mask
from serving.lists.selection import Rows, Scores
from serving.outreach.suppressions import blocked
from serving.store.batch import Batch
from serving.store.filters import Filters


class Cause(StrEnum):
    """Why somebody is not on a list, in the order in which it is asked; the first one counts.

    A named rule of the criteria is the cause ``rule: NAME``, between filters and unrated.
    """

    FILTERS = "filters"
    UNRATED = "unrated"
    ERASED = "erased"
    SUPPRESSED = "suppressed"
    CONSENT_WITHDRAWN = "consent_withdrawn"
    EXCLUDED = "excluded"
    COOL_DOWN = "cool_down"
    CONTACT_CAP = "contact_cap"
    RESERVED = "reserved"
    QUOTA = "quota"
    DIVERSITY = "diversity"
    SIZE = "size"


OUTSIDE = "outside"
"""Of people whom the key does not see; never told."""


def rule(name: str) -> str:
    return f"rule: {name}"


class Eligible:
    """Everybody of a batch, and of those who are out the cause."""

    def __init__(self, rows: int) -> None:
        self.causes: list[str] = [""]
        self._cause = np.zeros(rows, dtype=np.int16)

    def leave_out(self, cause: str, who: Mask | Rows) -> None:
        """Take out those of ``who`` (a mask, or rows; -1 is nobody) who are still in."""
        rows = np.flatnonzero(who) if who.dtype == bool else who[who >= 0]
        rows = rows[self._cause[rows] == 0]
        if cause not in self.causes:
            # As plain text: causes end up as names in JSON.
            self.causes.append(str(cause))
        self._cause[rows] = self.causes.index(cause)

    def rows(self) -> Rows:
        """Those who are in, in the order of the batch."""
        return np.flatnonzero(self._cause == 0)

    def still_in(self, rows: Rows) -> Mask:
        """(n,) whether each of ``rows`` is in."""
        found: Mask = self._cause[rows] == 0
        return found

    def counts(self, among: Mask | None = None) -> dict[str, int]:
        """Cause -> people who are out because of it, of ``among``; without people whom the key does not see."""
        cause = self._cause if among is None else self._cause[among]
        found = np.bincount(cause, minlength=len(self.causes)).tolist()
        return {name: n for name, n in zip(self.causes, found, strict=True) if name not in ("", OUTSIDE) and n}


def by_scores(batch: Batch, criteria: ListCriteria, seen: Mask, within: Filters | None, score: Scores) -> Eligible:
    """After what the batch alone tells: row scope, filters, named rules, and whether there is a score.

    within: the row scope as `serving.lists.scope.known_scope` tells it.

    Raises:
        ScoresError: an unknown column or value in a filter.
    """
    eligible = Eligible(len(batch))
    eligible.leave_out(OUTSIDE, ~seen)
    asked = {str(Cause.FILTERS): criteria.filters} | {rule(name): filters for name, filters in criteria.rules.items()}
    for cause, filters in asked.items():
        batch.require(plain(filters), within)
        # Of nobody no value is known, so that none can be named wrongly.
        if within is not None:
            eligible.leave_out(cause, ~batch.mask(plain(filters)))
    eligible.leave_out(Cause.UNRATED, np.isnan(score))
    return eligible


def by_operations(
    eligible: Eligible,
    batch: Batch,
    connection: sa.Connection,
    criteria: ListCriteria,
    contacts_per_month: int,
    now: datetime,
) -> None:
    """Take out whom operations may not or should not contact now."""
    stopped = blocked(connection, None, now, criteria.channel)
    for cause in (Cause.ERASED, Cause.SUPPRESSED, Cause.CONSENT_WITHDRAWN):
        of = stopped.filter(pc.equal(stopped["cause"], cause.value))
        eligible.leave_out(cause, batch.rows_of(of["user_id"].to_pylist()))
    left_out = {
        Cause.EXCLUDED: [*criteria.exclude.user_ids, *listed(connection, criteria.exclude.lists)],
        Cause.COOL_DOWN: contacted(connection, now, criteria.cool_down_days),
        Cause.CONTACT_CAP: at_cap(connection, now, contacts_per_month),
        Cause.RESERVED: reserved(connection, now),
    }
    for cause, ids in left_out.items():
        eligible.leave_out(cause, batch.rows_of(ids))
