"""The rows of a new list: who is eligible, in what order, who is taken, who is held out, and what fell short."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.errors import ListError
from serving.access.principal import Principal
from serving.lists import payload
from serving.lists.batch_ties import batch_ties
from serving.lists.criteria import REST, ListCriteria, plain
from serving.lists.diversity import Cliques, Followers
from serving.lists.eligibility import Cause, Eligible, by_operations, by_scores
from serving.lists.holdout import CONTACT, HOLDOUT, Arm, held_out, salt_of, unit_of
from serving.lists.objectives import scores
from serving.lists.scope import Mask, known_scope, seen
from serving.lists.selection import Codes, Limit, Rows, Scores, take, take_apart
from serving.lists.shortfalls import Shortfall, shortfall
from serving.store.batch import Batch
from serving.store.filters import listed

COMMUNITY = "community_id"
"""Column of the community whose members see each other's offers."""


@dataclass(frozen=True)
class Quota:
    """One quota of a batch: ``names[g]`` may have ``limit.room[g]`` people; the last group is of people outside of it."""

    column: str
    names: tuple[str, ...]
    limit: Limit


@dataclass(frozen=True)
class Prepared:
    """All of a list that the batch alone decides. ``order``: rows that the scores let in, best first."""

    batch: Batch
    criteria: ListCriteria
    seen: Mask
    eligible: Eligible
    score: Scores
    order: Rows
    quotas: tuple[Quota, ...]
    diversity: tuple[Limit, ...]


@dataclass(frozen=True)
class Built:
    """``rows``: see `serving.lists.payload.make`; ``arms`` of the rows."""

    batch: Batch
    criteria: ListCriteria
    rows: pa.Table
    arms: tuple[Arm, ...]
    shortfalls: tuple[Shortfall, ...]


def prepare(batch: Batch, criteria: ListCriteria, principal: Principal) -> Prepared:
    """Raises:
    ScoresError: a filter names what the batch does not have. ListError: so does a quota, diversity or the objective.
    """
    category, within = criteria.filters.get("category"), known_scope(principal.row_scope, batch)
    batch.require(plain(criteria.filters), within)
    score = scores(batch, criteria.objective, str(category) if category is not None else None)
    who = seen(batch, principal)
    quotas = tuple(_quota(batch, column, wanted, who) for column, wanted in criteria.quotas.items())
    diversity = tuple(_most_each(batch, column, most) for column, most in criteria.diversity.most_each.items())
    eligible = by_scores(batch, criteria, who, within, score)
    if criteria.diversity.most_per_clique is not None or criteria.diversity.least_overlap:
        batch_ties(batch)  # now, since other lists wait while this one is built
    rows = eligible.rows()
    order = rows[np.argsort(-score[rows], kind="stable")]
    return Prepared(batch, criteria, who, eligible, score, order, quotas, diversity)


def build(prepared: Prepared, connection: sa.Connection, contacts_per_month: int, now: datetime) -> Built:
    """The list as of ``now``; within a transaction in which no other list is made."""
    batch, criteria, eligible = prepared.batch, prepared.criteria, prepared.eligible
    by_operations(eligible, batch, connection, criteria, contacts_per_month, now)
    order = prepared.order[eligible.still_in(prepared.order)]
    chosen = _chosen(prepared, order)
    _account(prepared, order, chosen)
    arms = _arms(connection, batch, criteria, chosen)
    rows = payload.make(batch, chosen, arms, prepared.score)
    return Built(batch, criteria, rows, arms, _shortfalls(prepared, chosen))


def _chosen(prepared: Prepared, order: Rows) -> Rows:
    batch, criteria = prepared.batch, prepared.criteria
    wanted = criteria.diversity
    limits = (*(quota.limit for quota in prepared.quotas), *prepared.diversity)
    keeper = Cliques(wanted.most_per_clique, batch_ties(batch)) if wanted.most_per_clique is not None else None
    if wanted.least_overlap:
        return take_apart(order, prepared.score, criteria.size, Followers(batch_ties(batch)), limits, keeper)
    return take(order, criteria.size, limits, keeper)


def _arms(connection: sa.Connection, batch: Batch, criteria: ListCriteria, chosen: Rows) -> tuple[Arm, ...]:
    if not criteria.holdout:
        return (CONTACT,) * len(chosen)
    columns = ["user_id", COMMUNITY] if COMMUNITY in batch.columns else ["user_id"]
    rows = batch.table(chosen, columns)
    users = rows["user_id"].to_pylist()
    communities = rows[COMMUNITY].to_pylist() if COMMUNITY in columns else [None] * len(users)
    units = [unit_of(user, community) for user, community in zip(users, communities, strict=True)]
    out = held_out(units, criteria.holdout, salt_of(connection))
    return tuple(HOLDOUT if held else CONTACT for held in out.tolist())


def _quota(batch: Batch, column: str, wanted: Mapping[str, int], who: Mask) -> Quota:
    codes, values = _labels(batch, column, "a quota")
    named = [value for value in wanted if value != REST]
    # Values of people whom the key does not see, such as phone numbers, are not told of.
    known = [values[code] for code in np.unique(codes[who]).tolist() if code < len(values)]
    if named and not set(named) & set(known):
        raise ListError(f"no user has {column} {', '.join(map(repr, named[:5]))}; choose from {listed(named[0], known)}")
    # Everybody else is in the group after the named ones: with room where the rest has a number, else with none.
    group = np.full(len(values) + 1, len(named), dtype=np.int64)
    places = {value: place for place, value in enumerate(values)}
    for at, value in enumerate(named):
        if value in places:
            group[places[value]] = at
    room = np.array([*(wanted[value] for value in named), wanted.get(REST, 0)], dtype=np.int64)
    return Quota(column, (*named, REST), Limit(group[codes], room))


def _most_each(batch: Batch, column: str, most: int) -> Limit:
    codes, values = _labels(batch, column, "diversity")
    return Limit(np.where(codes == len(values), -1, codes), np.full(len(values), most, dtype=np.int64))


def _labels(batch: Batch, column: str, of: str) -> tuple[Codes, tuple[str, ...]]:
    """(rows,) places in the values, as many as there are where unknown; and the values."""
    info = batch.columns.get(column)
    if info is not None and info.kind == "text":
        # More values than filters can choose from, such as communities of a large market.
        coded = batch.table(columns=[column])[column].combine_chunks().dictionary_encode()
        return pc.fill_null(coded.indices, len(coded.dictionary)).to_numpy().astype(np.int64), tuple(
            coded.dictionary.to_pylist()
        )
    if info is None or info.kind != "label":
        known = [name for name, other in batch.columns.items() if other.kind in ("label", "text")]
        raise ListError(f"{of} by {column!r} needs a column of labels; choose from {listed(column, known)}")
    return np.asarray(batch.codes(column), dtype=np.int64), info.values


def _account(prepared: Prepared, order: Rows, chosen: Rows) -> None:
    """Note why each of ``order`` that was not chosen was not."""
    taken = np.zeros(len(prepared.batch), dtype=bool)
    taken[chosen] = True
    left = order[~taken[order]]
    for cause, limits in (
        (Cause.QUOTA, [quota.limit for quota in prepared.quotas]),
        (Cause.DIVERSITY, prepared.diversity),
    ):
        for limit in limits:
            inside = limit.codes[chosen]
            full = np.bincount(inside[inside >= 0], minlength=len(limit.room)) >= limit.room
            # The last entry is for rows without a group: their code is -1.
            prepared.eligible.leave_out(cause, left[np.append(full, False)[limit.codes[left]]])
    whole = len(chosen) == prepared.criteria.size
    prepared.eligible.leave_out(Cause.SIZE if whole else Cause.DIVERSITY, left)


def _shortfalls(prepared: Prepared, chosen: Rows) -> tuple[Shortfall, ...]:
    """Of the whole size, and of each value of a quota."""
    asked, who = prepared.criteria.size, prepared.seen
    found = []
    if len(chosen) < asked:
        found.append(shortfall(None, None, asked, len(chosen), int(who.sum()), prepared.eligible.counts()))
    for quota in prepared.quotas:
        got = np.bincount(quota.limit.codes[chosen], minlength=len(quota.names))
        for group, name in enumerate(quota.names):
            room = int(quota.limit.room[group])
            if got[group] < room:
                of = who & (quota.limit.codes == group)
                counts = prepared.eligible.counts(of)
                found.append(shortfall(quota.column, name, room, int(got[group]), int(of.sum()), counts))
    return tuple(found)
