"""Why somebody is, or is not, on a list: every rule with whether the person passes it and what was found."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow.compute as pc
import sqlalchemy as sa

from features.errors import FilterError, NotFoundError, ScoresError
from serving.access.principal import Principal
from serving.lists.contacts import at_cap, contacted, listed, reserved_by
from serving.lists.criteria import REST, ListCriteria, plain
from serving.lists.eligibility import Cause, rule
from serving.lists.lists import CandidateList, Lists
from serving.lists.objectives import scores
from serving.lists.scope import known_scope, seen
from serving.outreach.suppressions import blocked, erased
from serving.store.batch import Batch
from serving.store.filters import CATEGORY
from serving.store.score_store import ScoreStore

IN_BATCH = "in_batch"


@dataclass(frozen=True)
class Rule:
    """``name``: a cause of `serving.lists.eligibility.Cause`, of filters with the column; ``found``: in words."""

    name: str
    passed: bool
    found: str


@dataclass(frozen=True)
class Why:
    """``rules`` in the order in which they are asked; ``failing``: the first that the person does not pass, if any.

    ``batch``: what the scores are of. ``rank``, ``arm``: of people on the list.
    """

    user_id: str
    batch: str
    rank: int | None
    arm: str | None
    failing: str | None
    rules: tuple[Rule, ...]


class Eligibility:
    """Judges people one by one."""

    def __init__(self, lists: Lists, store: ScoreStore) -> None:
        self.lists = lists
        self.store = store

    def check(self, principal: Principal, criteria: ListCriteria, user_id: str, now: datetime | None = None) -> Why:
        """Whether a list made now could have the person, as far as one can tell without making it.

        Raises:
            NotFoundError: the principal does not see the person, or the person was erased. ScoresError, ListError: as for a
                list.
        """
        batch = self.lists.served.batch
        rules = tuple(self._rules(principal, criteria, user_id, batch, now or datetime.now(UTC), None))
        return _why(user_id, batch, rules, None, None)

    def why(self, principal: Principal, list_id: str, user_id: str) -> Why:
        """Why the person is or is not on a list, by the scores and contacts that it was made of.

        Where the list's batch is no longer kept, by the scores that are served now: ``batch`` tells which.

        Raises:
            NotFoundError: there is no such list, the principal does not see the person, or the person was erased.
        """
        record = self.lists.get(principal, list_id)
        held = self.lists.payload(record)
        place = pc.index(held.user_ids, user_id).as_py()
        inside = self.lists.inside(principal, record)
        batch = self._batch(record)
        rules = tuple(self._rules(principal, record.criteria, user_id, batch, record.created_at, record))
        if place >= 0 and inside[place]:
            passed = tuple(Rule(one.name, True, one.found) for one in rules)
            return _why(user_id, batch, passed, place + 1, held.arms[place].as_py())
        return _why(user_id, batch, rules, None, None)

    def _batch(self, record: CandidateList) -> Batch:
        served = self.lists.served.batch
        if served.manifest.batch == record.batch:
            return served
        try:
            return self.store.open(record.batch)
        except ScoresError:
            return served

    def _rules(
        self,
        principal: Principal,
        criteria: ListCriteria,
        user_id: str,
        batch: Batch,
        moment: datetime,
        record: CandidateList | None,
    ) -> Iterator[Rule]:
        row = int(batch.rows_of([user_id])[0])
        outside = row < 0 or not seen(batch, principal)[row] or not self.lists.people.inside(principal, [user_id])
        if (principal.row_scope and outside) or self._erased(user_id):
            raise NotFoundError(f"no user {user_id!r} among those that this key sees; check the id")
        if row < 0:
            yield Rule(IN_BATCH, False, f"{user_id} has no scores in batch {batch.manifest.batch}")
            return
        yield Rule(IN_BATCH, True, f"{user_id} has scores in batch {batch.manifest.batch}")
        # The filters of a list are those of whoever made it; those of a question are the asker's own.
        if record is None:
            for filters in (criteria.filters, *criteria.rules.values()):
                batch.require(plain(filters), known_scope(principal.row_scope, batch))
        yield from _of_filters(batch, criteria, row, gone_is_failed=record is not None)
        category = criteria.filters.get(CATEGORY)
        score = float(scores(batch, criteria.objective, None if category is None else str(category))[row])
        yield Rule(Cause.UNRATED, not np.isnan(score), f"{criteria.objective.value} is {score:g}")
        with self.lists.database.read() as connection:
            yield from self._of_operations(connection, criteria, user_id, moment, record)
        yield from _of_quotas(batch, criteria, row)
        if record is not None:
            of_all = not principal.row_scope or principal.owns(record.created_by)
            for one in self._of_places(record, batch, row, score):
                # How many people have places tells of those whom the key does not see.
                yield one if of_all else Rule(one.name, one.passed, f"there was {'' if one.passed else 'no '}place left")

    def _erased(self, user_id: str) -> bool:
        with self.lists.database.read() as connection:
            return bool(erased(connection, [user_id]))

    def _of_operations(
        self,
        connection: sa.Connection,
        criteria: ListCriteria,
        user_id: str,
        moment: datetime,
        record: CandidateList | None,
    ) -> Iterator[Rule]:
        causes = blocked(connection, [user_id], moment, criteria.channel)["cause"].to_pylist()
        for cause in (Cause.ERASED, Cause.SUPPRESSED, Cause.CONSENT_WITHDRAWN):
            yield Rule(cause, cause not in causes, "an entry stands against contact" if cause in causes else "no entry")
        named = user_id in criteria.exclude.user_ids
        on = [other for other in criteria.exclude.lists if listed(connection, [other], user_id)]
        found = "named" if named else f"on {', '.join(on)}" if on else "not excluded"
        yield Rule(Cause.EXCLUDED, not (named or on), found)
        lately = contacted(connection, moment, criteria.cool_down_days, user_id)
        days = f"in the {criteria.cool_down_days} days before"
        yield Rule(Cause.COOL_DOWN, not lately, f"{'contacted' if lately else 'no contact'} {days}")
        most = self.lists.settings.contacts_per_month
        full = at_cap(connection, moment, most, user_id)
        yield Rule(Cause.CONTACT_CAP, not full, f"{'' if full else 'less than '}{most} contacts in the 30 days before")
        other = reserved_by(connection, moment, user_id, record.list_id if record else "")
        yield Rule(Cause.RESERVED, other is None, f"reserved for list {other}" if other else "not reserved")

    def _of_places(self, record: CandidateList, batch: Batch, row: int, score: float) -> Iterator[Rule]:
        """What the people who are on the list left of quotas, of diversity and of its places."""
        criteria, held = record.criteria, self.lists.payload(record)
        for column, wanted in criteria.quotas.items():
            value, values = _value(batch, row, column), held.table([column])[column].to_pylist()
            group = value if value is not None and value in wanted else REST
            have = sum((other if other in wanted else REST) == group for other in values)
            yield _places(f"{Cause.QUOTA}: {column}", have, wanted.get(group, 0), group)
        for column, most in criteria.diversity.most_each.items():
            value, values = _value(batch, row, column), held.table([column])[column].to_pylist()
            yield _places(f"{Cause.DIVERSITY}: {column}", values.count(value) if value is not None else 0, most, value)
        whole = held.table(["list_score"])["list_score"].to_pylist()
        last = min(whole, default=None)
        found = f"{len(whole)} of {criteria.size} places are taken, the last with {last if last is None else f'{last:g}'}"
        free = last is None or len(whole) < criteria.size or score > last
        yield Rule(Cause.SIZE, free, f"{found}; the person has {score:g}")
        loose = criteria.diversity.most_per_clique is None and not criteria.diversity.least_overlap
        tied = "nothing else was asked" if loose else "too many of one clique, or audiences that overlap"
        yield Rule(Cause.DIVERSITY, loose, tied)


def _value(batch: Batch, row: int, column: str) -> str | None:
    found: str | None = batch.table(np.array([row]), [column])[column][0].as_py()
    return found


def _places(name: str, have: int, most: int, value: str | None) -> Rule:
    return Rule(name, have < most, f"{have} of {most} places of {value!r} are taken")


def _of_filters(batch: Batch, criteria: ListCriteria, row: int, *, gone_is_failed: bool) -> Iterator[Rule]:
    for name, condition in plain(criteria.filters).items():
        if name != CATEGORY:
            yield _filter(batch, f"{Cause.FILTERS}: {name}", {name: condition}, row, gone_is_failed)
    for name, filters in criteria.rules.items():
        yield _filter(batch, rule(name), plain(filters), row, gone_is_failed)


def _filter(batch: Batch, name: str, filters: dict[str, Any], row: int, gone_is_failed: bool) -> Rule:
    """``gone_is_failed``: nobody passes what the batch does not know any more; else it is an error."""
    columns = [column for column in filters if column in batch.columns]
    has = batch.table(np.array([row]), columns).to_pylist()[0] if columns else {}
    told = ", ".join(f"{column} is {value!r}" for column, value in has.items())
    try:
        passed = bool(batch.mask(filters)[row])
    except FilterError:
        if not gone_is_failed:
            raise
        passed = False
    return Rule(name, passed, f"{told or 'by consent'}; asked for {filters}")


def _of_quotas(batch: Batch, criteria: ListCriteria, row: int) -> Iterator[Rule]:
    """Whether the person has a value that a quota names at all."""
    for column, wanted in criteria.quotas.items():
        value = _value(batch, row, column)
        inside = value in wanted or REST in wanted
        yield Rule(
            f"{Cause.QUOTA}: {column}", inside, f"{value!r} is {'' if inside else 'not '}among the values of the quota"
        )


def _why(user_id: str, batch: Batch, rules: tuple[Rule, ...], rank: int | None, arm: str | None) -> Why:
    failing = next((one.name for one in rules if not one.passed), None)
    return Why(user_id, batch.manifest.batch, rank, arm, str(failing) if failing else None, rules)
