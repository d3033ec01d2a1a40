"""Whom a key may speak of: people that are known here, inside of its row scope."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import sqlalchemy as sa

from features.errors import ForbiddenError, NoScoresError
from serving.access.principal import Principal
from serving.lists.scope import seen
from serving.state.tables import applications, list_members, roster
from serving.store.batch import Batch

MOST_NAMED = 1_000
"""Values in one question to the database; more are asked in turns."""
SHOWN = 5


class HasBatch(Protocol):
    """Such as `serving.store.served.Served`."""

    @property
    def batch(self) -> Batch: ...


class People:
    """People as the current scores, the roster, applications and lists know them."""

    def __init__(self, served: HasBatch) -> None:
        self.served = served

    def inside(self, principal: Principal, user_ids: Sequence[str]) -> set[str]:
        """Those of ``user_ids`` that the principal sees; people without a score are seen by keys without a row scope only.

        Raises:
            NoScoresError: there is a row scope, and no batch to hold it against.
        """
        if not principal.row_scope:
            return set(user_ids)
        batch = self.served.batch
        rows = batch.rows_of(list(user_ids))
        inside = seen(batch, principal)
        return {user for user, row in zip(user_ids, rows.tolist(), strict=True) if row >= 0 and inside[row]}

    def require_inside(self, principal: Principal, user_ids: Sequence[str]) -> None:
        """Raises:
        ForbiddenError: names people outside of the principal's row scope.
        """
        seen = self.inside(principal, user_ids)
        if outside := [user for user in user_ids if user not in seen]:
            raise ForbiddenError(f"{outside_scope(principal)}: {shown(outside)}; leave them out, or use another key")

    def known(self, connection: sa.Connection, user_ids: Sequence[str]) -> set[str]:
        """Those with a score, on the roster, with an application or on a list."""
        try:
            rows = self.served.batch.rows_of(list(user_ids))
            known = {user for user, row in zip(user_ids, rows, strict=True) if row >= 0}
        except NoScoresError:
            known = set()
        for column in (roster.c.user_id, applications.c.user_id, list_members.c.user_id):
            for some in turns([user for user in user_ids if user not in known]):
                known |= set(connection.scalars(sa.select(column).where(column.in_(some))))
        return known


def outside_scope(principal: Principal) -> str:
    """What a key sees, for messages."""
    sees = "; ".join(f"{column} {', '.join(values)}" for column, values in principal.row_scope.items())
    return f"key {principal.name!r} sees only people of {sees}"


def shown(user_ids: Sequence[str]) -> str:
    """The first of some ids, and how many there are."""
    first = ", ".join(user_ids[:SHOWN])
    return first if len(user_ids) <= SHOWN else f"{first} and {len(user_ids) - SHOWN:,} more"


def turns(values: Sequence[str]) -> Iterator[Sequence[str]]:
    """``values`` in pieces that fit into one question to the database."""
    return (values[start : start + MOST_NAMED] for start in range(0, len(values), MOST_NAMED))
