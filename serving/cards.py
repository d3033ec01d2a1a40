"""The score card of one user: what may come, what has been, why, and what operations know of the person."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from features.errors import NotFoundError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal
from serving.candidates import likely_followers
from serving.history import History
from serving.lists.scope import seen
from serving.outreach.people import People
from serving.outreach.suppressions import Suppression, blocked, entries_of, erased, strongest
from serving.state.database import Database
from serving.state.tables import candidate_lists, list_members, outcomes, outreach
from serving.store.batch import Batch
from serving.store.filters import ATTRIBUTE
from serving.store.served import Served

POTENTIAL = (
    "koc_score",
    "koc_percentile",
    "expected_followers",
    "expected_new",
    "expected_value",
    "rising",
    "willingness",
    "reach",
)
"""Columns of what may come."""

ACTIVATED = {"activation": "state", "activated_since": "since", "people_moved": "people_moved"}
"""Column of what has been -> its name on the card."""

NAMED = {*POTENTIAL, *ACTIVATED, "user_id", "churn_probability", "stage", "reason", "reason_zh"}
MOST = 10
"""Followers, contacts, outcomes and lists on a card, and matches of a member."""

Record = Mapping[str, Any]


@dataclass(frozen=True)
class Card:
    """One user of a batch. Moments are aware and in UTC, ``as_of`` too.

    ``potential``: what may come, as columns of the batch, and ``rank`` from 1. ``activated``: what has been: ``state``,
    ``since``, ``people_moved``. Either is None where nothing tells who moved whom. ``scores``: every other column that a
    model brings. ``history``: as from `serving.history`. ``blocked_by``: why nobody may contact the person now, None if
    nothing stands against it. ``contacts``, ``outcomes``, ``lists``: the latest ``MOST``.
    """

    user_id: str
    batch: str
    as_of: datetime
    model: str
    potential: Record | None
    activated: Record | None
    churn_probability: float | None
    stage: str | None
    attributes: Record
    scores: Record
    reason: str | None
    reason_zh: str | None
    follow_ups: Sequence[Record]
    likely_followers: Sequence[Record]
    next_items: Sequence[Record]
    categories: Sequence[Record]
    history: Sequence[Record]
    blocked_by: str | None
    suppressions: Sequence[Suppression]
    contacts: Sequence[Record]
    outcomes: Sequence[Record]
    lists: Sequence[Record]


@dataclass(frozen=True)
class Match:
    """Somebody who is likely to move a member: ``expected_follow_ups`` along their tie within the horizon, and the
    ``probability`` of at least one."""

    influencer_id: str
    expected_follow_ups: float
    probability: float
    strength: float
    koc_score: float | None
    activation: str | None


class Cards:
    """Score cards out of the current batch and the operations database; each view is in the audit log."""

    def __init__(self, served: Served, database: Database) -> None:
        self.served, self.database, self.people = served, database, People(served)
        self.audit, self.history = Audit(database), History(served.store)

    def card(
        self,
        user_id: str,
        principal: Principal = LOCAL,
        *,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> Card:
        """Everything that is known of ``user_id``; of the people around, those whom the principal sees, without erased ones.

        Raises:
            NotFoundError: the batch does not know the user, the principal does not see the user, or the user was erased.
            NoScoresError: there is no batch.
        """
        now, batch = now or datetime.now(UTC), self.served.batch
        row, values = self._seen(batch, user_id, principal)
        ids = pa.array([user_id], pa.string())
        evidence, likely, manifest = batch.evidence().of(ids), likely_followers(batch, ids, MOST), batch.manifest
        categories = (
            batch.categories()
            .filter((pc.field("user_id") == user_id) & (pc.field("influence") > 0))
            .sort_by([("influence", "descending")])
        )
        with self.database.read() as connection:
            suppressed = entries_of(connection, [user_id]).get(user_id, [])
            contacts = _latest(connection, outreach, outreach.c.contacted_at, user_id)
            reported = _latest(connection, outcomes, outcomes.c.happened_at, user_id)
            lists = _lists(connection, user_id)
        standing = strongest(one for one in suppressed if one.stands(now)).get(user_id)
        card = Card(
            user_id=user_id,
            batch=manifest.batch,
            as_of=datetime.fromisoformat(manifest.as_of).replace(tzinfo=UTC),
            model=manifest.model,
            potential={"rank": row + 1, **_of(values, POTENTIAL)} if "koc_score" in values else None,
            activated={ACTIVATED[name]: value for name, value in _of(values, ACTIVATED).items()} or None,
            churn_probability=values.get("churn_probability"),
            stage=values.get("stage"),
            attributes={n.removeprefix(ATTRIBUTE): value for n, value in values.items() if n.startswith(ATTRIBUTE)},
            scores={n: value for n, value in values.items() if n not in NAMED and not n.startswith(ATTRIBUTE)},
            reason=values.get("reason"),
            reason_zh=values.get("reason_zh"),
            follow_ups=self._visible(evidence.follow_ups.drop_columns("user_id"), "influenced_id", principal),
            likely_followers=self._visible(likely.drop_columns("influencer_id"), "user_id", principal),
            next_items=evidence.next_items.drop_columns("user_id").to_pylist(),
            categories=categories.drop_columns("user_id").to_pylist(),
            history=self.history.of(user_id, manifest.dataset),
            blocked_by=str(standing) if standing else None,
            suppressions=sorted(suppressed, key=lambda one: one.starts_at, reverse=True),
            contacts=contacts,
            outcomes=reported,
            lists=lists,
        )
        self.audit.write(
            principal, "user.view", user_id, model_version=manifest.model, rows=1, request_id=request_id, now=now
        )
        return card

    def matches(
        self,
        user_id: str,
        principal: Principal = LOCAL,
        *,
        most: int = MOST,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> list[Match]:
        """Who is likeliest to move ``user_id``, of the people tied to the user that the principal sees and nothing stands
        against contacting; the likeliest first. Ties beyond those that a batch keeps are not searched.

        Raises:
            NotFoundError, NoScoresError: as `card`.
        """
        now, batch = now or datetime.now(UTC), self.served.batch
        self._seen(batch, user_id, principal)
        ties = batch.ties(followers=pa.array([user_id], pa.string()))
        ids = ties["influencer_id"].to_pylist()
        wanted = [name for name in ("user_id", "koc_score", "activation") if name in batch.columns]
        rows = batch.rows_of(ids)
        rows = rows[rows >= 0]
        people = batch.table(rows[seen(batch, principal)[rows]], wanted)
        known = {person["user_id"]: person for person in people.to_pylist()}
        with self.database.read() as connection:
            against = set(blocked(connection, list(known), now)["user_id"].to_pylist()) if known else set()
        found = [
            Match(
                tie["influencer_id"],
                tie["expected_follow_ups"],
                float(-np.expm1(-tie["expected_follow_ups"])),
                tie["strength"],
                known[tie["influencer_id"]].get("koc_score"),
                known[tie["influencer_id"]].get("activation"),
            )
            for tie in ties.to_pylist()
            if tie["influencer_id"] in known and tie["influencer_id"] not in against
        ]
        best = sorted(found, key=lambda match: (-match.expected_follow_ups, match.influencer_id))[:most]
        self.audit.write(
            principal,
            "user.matches",
            user_id,
            model_version=batch.manifest.model,
            rows=len(best),
            request_id=request_id,
            now=now,
        )
        return best

    def _seen(self, batch: Batch, user_id: str, principal: Principal) -> tuple[int, dict[str, Any]]:
        """The user's row and its values.

        Raises:
            NotFoundError: as `card`.
        """
        row = int(batch.rows_of([user_id])[0])
        if row >= 0 and seen(batch, principal)[row] and not self._erased([user_id]):
            return row, batch.table(np.array([row])).to_pylist()[0]
        # One answer for all, so that a key does not learn who exists outside of what it sees.
        raise NotFoundError(
            f"no user {user_id!r} among those of batch {batch.manifest.batch} that this key sees; check the id, or score "
            "the user by POST /v1/scores if the first act came later"
        )

    def _visible(self, rows: pa.Table, column: str, principal: Principal) -> list[Record]:
        around = rows[column].to_pylist()
        inside = self.people.inside(principal, around) - self._erased(around)
        return [record for record in rows.to_pylist() if record[column] in inside]

    def _erased(self, users: Sequence[str]) -> set[str]:
        with self.database.read() as connection:
            return erased(connection, users)


def _of(values: Record, names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _latest(connection: sa.Connection, table: sa.Table, at: sa.Column[datetime], user_id: str) -> Sequence[Record]:
    columns = [column for column in table.c if column.name not in ("key", "user_id", "recorded_at")]
    rows = connection.execute(sa.select(*columns).where(table.c.user_id == user_id).order_by(at.desc()).limit(MOST))
    return [dict(row) for row in rows.mappings()]


def _lists(connection: sa.Connection, user_id: str) -> Sequence[Record]:
    lists, members = candidate_lists.c, list_members.c
    asked = (
        sa.select(
            lists.list_id,
            lists.name,
            lists.created_at,
            lists.expires_at,
            members.rank,
            members.arm,
            members.state,
            members.staff,
        )
        .join(candidate_lists, lists.list_id == members.list_id)
        .where(members.user_id == user_id)
        .order_by(lists.created_at.desc(), lists.list_id)
        .limit(MOST)
    )
    return [dict(row) for row in connection.execute(asked).mappings()]
