"""Communities of the current batch, filtered, sorted and paged, as a key may see them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ScoresError
from serving.access.principal import LOCAL, Principal
from serving.lists.scope import seen
from serving.outreach.suppressions import blocked
from serving.store.batch import Batch

if TYPE_CHECKING:
    import sqlalchemy as sa

PEOPLE = ("leader_id", "broker_id", "candidate_id")
"""Columns that name somebody."""

OWN = ("community_id", "cluster_id")
"""Columns of a user that name a community."""


class SortBy(StrEnum):
    """What puts one community before another; unknown values come last."""

    VALUE = "value_per_head"
    SURVIVAL = "survival_90d"
    LEAVING = "leave_rate"
    MEMBERS = "members"
    BROKER = "broker_share"
    CENTRALISATION = "centralisation"
    TALK = "messages_per_head"
    STRANGERS = "strangers_share"
    NEW_TIES = "new_tie_rate"


@dataclass(frozen=True)
class Wanted:
    """Which communities: each filter that is not None holds. ``rising``: the lowest first. ``start``: place of the first."""

    kind: str | None = None
    origin: str | None = None
    space: str | None = None
    size_band: str | None = None
    leaderless: bool | None = None
    alive: bool | None = None
    by: SortBy = SortBy.VALUE
    rising: bool = False
    start: int = 0
    limit: int = 20


@dataclass(frozen=True)
class Page:
    """``rows``: columns as in `serving.communities.communities_of`. ``total``: communities that pass. ``next``: where the
    next page starts, None after the last."""

    rows: pa.Table
    total: int
    next: int | None


def page(batch: Batch, wanted: Wanted, principal: Principal = LOCAL) -> Page:
    """One page of the communities of ``batch``, equal ones by id.

    A key with a row scope sees the communities that are the main one of somebody whom it sees, and of the people named
    those whom it sees.

    Raises:
        ScoresError: no community has such a kind, origin, space or size band, or an earlier version wrote the batch.
    """
    table = batch.communities()
    if wanted.by not in table.column_names:
        raise ScoresError(f"batch {batch.manifest.batch} tells no {wanted.by} of communities; score again with `koc score`")
    scoped = _seen_by(table, batch, principal) if principal.row_scope else table
    found = scoped
    for column in ("kind", "origin", "space", "size_band"):
        value = getattr(wanted, column)
        if value is not None:
            known = sorted(pc.unique(scoped[column]).drop_null().to_pylist())
            if value not in known:
                raise ScoresError(f"no community has {column} {value!r}; choose from {', '.join(known) or 'nothing'}")
            found = found.filter(pc.equal(found[column], value))
    for column in ("leaderless", "alive"):
        flag = getattr(wanted, column)
        if flag is not None:
            found = found.filter(pc.fill_null(pc.equal(found[column], flag), False))
    order = [(wanted.by.value, "ascending" if wanted.rising else "descending"), ("community_id", "ascending")]
    rows = found.sort_by(order).slice(wanted.start, wanted.limit)
    end = wanted.start + len(rows)
    return Page(rows, len(found), end if end < len(found) else None)


def unnamed(rows: pa.Table, connection: "sa.Connection", now: datetime) -> pa.Table:
    """``rows`` of a page without the names of people who were erased, or whom nobody may contact at ``now``."""
    names = {name for column in PEOPLE for name in rows[column].to_pylist() if name is not None}
    stopped = blocked(connection, sorted(names), now)["user_id"].combine_chunks() if names else pa.array([], pa.string())
    for column in PEOPLE:
        rows = _without(rows, column, pc.is_in(rows[column], value_set=stopped))
    return rows


def _seen_by(table: pa.Table, batch: Batch, principal: Principal) -> pa.Table:
    own = [name for name in ("user_id", *OWN) if name in batch.columns]
    people = batch.table(columns=own).filter(pa.array(seen(batch, principal)))
    named = [people[name].cast(pa.string()).combine_chunks() for name in own if name != "user_id"]
    mine = pa.concat_arrays([*named, pa.array([], pa.string())])
    table = table.filter(pc.is_in(table["community_id"], value_set=pc.drop_null(mine)))
    users = people["user_id"].combine_chunks()
    for name in PEOPLE:
        table = _without(table, name, pc.invert(pc.is_in(table[name], value_set=users)))
    return table


def _without(table: pa.Table, column: str, where: pa.ChunkedArray) -> pa.Table:
    """``table`` with nulls in a column of names ``where`` it is so."""
    values = pc.if_else(where, pa.scalar(None, pa.string()), table[column])
    return table.set_column(table.column_names.index(column), column, values)
