"""Records that operations send back: under which key each is kept, what speaks against it, and what became of a post."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, ClassVar, Self, TypeVar

import sqlalchemy as sa
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from serving.access.principal import Principal
from serving.lists.holdout import HOLDOUT
from serving.moments import Written
from serving.outreach.people import People, outside_scope, turns
from serving.outreach.suppressions import Cause, Suppression, entries_of
from serving.state.tables import candidate_lists, list_members

Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A short text on one line; PostgreSQL cannot hold a zero byte."""

Note = Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"^[^\x00]+$")]
Amount = Annotated[int, Field(strict=True, ge=0, le=10**15)]
"""Minor units of the dataset's currency."""

MOST_RECORDS = 10_000
"""Records of one post."""

SKEW = timedelta(minutes=5)
"""How far a sender's clock may be ahead of ours."""

KEY_IN_USE = "key_in_use"
NO_KEY = "no_key", "without a key a repeated post would count twice; give `key`, or send an Idempotency-Key header"


class Record(BaseModel):
    """What happened to one person in a list, or in a campaign that has no list."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    user_id: Text
    list_id: Text | None = Field(None, description="The list that the person stands on; it is its own campaign.")
    campaign_id: Text | None = Field(None, description="Instead of `list_id`: a campaign without a list.")
    key: Text | None = Field(
        None, description="The sender's own name for this record; by default the `Idempotency-Key` header and the position."
    )

    @model_validator(mode="after")
    def _of_one_campaign(self) -> Self:
        if (self.list_id is None) == (self.campaign_id is None):
            raise ValueError("give list_id, or campaign_id for a campaign without a list")
        return self

    moment_of: ClassVar[str]
    """The field that says when it happened."""

    @property
    def campaign(self) -> str:
        return self.list_id or self.campaign_id or ""

    @property
    def moment(self) -> datetime | None:
        """When it happened; None is now."""
        found: datetime | None = getattr(self, self.moment_of)
        return found


AnyRecord = TypeVar("AnyRecord", bound=Record)
Why = tuple[str, str]
"""Reason and remedy."""

Moment = Annotated[AwareDatetime, Field(ge="1990-01-01T00:00:00Z", le="2999-01-01T00:00:00Z"), Written]


@dataclass(frozen=True)
class Refused:
    """A record that was not taken: ``position`` in the post from 0, ``reason`` for programs, ``remedy`` for people."""

    position: int
    key: str | None
    user_id: str
    reason: str
    remedy: str


@dataclass
class Posted:
    """What became of a post: every record is accepted, repeated (kept already, in the same words) or refused.

    ``against``: rule -> accepted records of contacts that should not have happened. ``kept``: the accepted records.
    """

    accepted: int = 0
    repeated: int = 0
    rejected: list[Refused] = field(default_factory=list)
    against: Counter[str] = field(default_factory=Counter)
    kept: list[Record] = field(default_factory=list)

    @property
    def nothing_taken(self) -> bool:
        return bool(self.rejected) and not self.accepted + self.repeated

    @property
    def campaigns(self) -> str:
        """Lists and campaigns of the accepted records, for the audit log."""
        return ", ".join(sorted({record.campaign for record in self.kept})) or "nothing kept"

    def to_dict(self) -> dict[str, Any]:
        """As the audit log keeps it."""
        refused = Counter(one.reason for one in self.rejected)
        return {
            "accepted": self.accepted,
            "repeated": self.repeated,
            "rejected": dict(refused),
            "against": dict(self.against),
        }


@dataclass(frozen=True)
class Known:
    """What is known of the people and lists that a post names, read once within its transaction.

    ``lists``: list -> when it ends or has ended. ``arms``: (list, user) -> arm of the member. ``held_out_by``: user -> a
    list that still runs and holds them out. ``reservations``: user -> the lists that may contact them, each with when it
    began and when it ends.
    """

    principal: Principal
    now: datetime
    users: set[str]
    inside: set[str]
    lists: Mapping[str, datetime]
    arms: Mapping[tuple[str, str], str]
    held_out_by: Mapping[str, str]
    reservations: Mapping[str, Sequence[tuple[str, datetime, datetime]]]
    suppressions: Mapping[str, Sequence[Suppression]]

    @classmethod
    def of(
        cls, connection: sa.Connection, people: People, principal: Principal, records: Sequence[Record], now: datetime
    ) -> "Known":
        users = list(dict.fromkeys(record.user_id for record in records))
        named = list({record.list_id for record in records if record.list_id})
        lists: dict[str, datetime] = {}
        ends = sa.select(candidate_lists.c.list_id, candidate_lists.c.expires_at)
        for some in turns(named):
            lists |= {
                row.list_id: row.expires_at for row in connection.execute(ends.where(candidate_lists.c.list_id.in_(some)))
            }
        arms, held_out_by = {}, {}
        kept_for: dict[str, list[tuple[str, datetime, datetime]]] = {}
        member = sa.select(
            list_members.c.list_id,
            list_members.c.user_id,
            list_members.c.arm,
            candidate_lists.c.created_at,
            candidate_lists.c.expires_at,
        ).join(candidate_lists, candidate_lists.c.list_id == list_members.c.list_id)
        entries: dict[str, list[Suppression]] = {}
        for some in turns(users):
            entries |= entries_of(connection, some)
            mine = member.where(list_members.c.user_id.in_(some)).order_by(candidate_lists.c.created_at)
            for list_id, user, arm, created_at, expires_at in connection.execute(mine):
                arms[list_id, user] = arm
                if arm == HOLDOUT and expires_at > now:
                    held_out_by[user] = list_id
                if arm != HOLDOUT:
                    kept_for.setdefault(user, []).append((list_id, created_at, expires_at))
        inside, known = people.inside(principal, users), people.known(connection, users)
        return cls(principal, now, known, inside, lists, arms, held_out_by, kept_for, entries)

    def refusal(self, record: Record) -> Why | None:
        """Reason and remedy of a record that cannot be kept, whatever it tells."""
        user, on = record.user_id, record.list_id
        erased = any(one.kind is Cause.ERASED for one in self.suppressions.get(user, ()))
        wrong: dict[str, tuple[bool, str]] = {
            "outside_scope": (user not in self.inside, f"{outside_scope(self.principal)}; use another key for {user}"),
            "unknown_user": (
                user not in self.users,
                f"nobody knows {user!r}: it is in no batch of scores, roster, application or list; "
                "check the id, or bring the person in with POST /v1/roster",
            ),
            "erased": (erased, f"{user} was erased, and nothing is kept of them any more; remove them on your side too"),
            "unknown_list": (on is not None and on not in self.lists, f"there is no list {on!r}; check the id"),
            "not_on_list": (
                on is not None and (on, user) not in self.arms,
                f"{user} is not on list {on}; post it with the campaign_id of a campaign instead",
            ),
            "in_future": (
                record.moment is not None and record.moment > self.now + SKEW,
                f"{record.moment} has not come yet; post what has happened",
            ),
        }
        return next(((reason, remedy) for reason, (is_so, remedy) in wrong.items() if is_so), None)


def take(
    connection: sa.Connection,
    table: sa.Table,
    records: Sequence[AnyRecord],
    idempotency_key: str | None,
    known: Known,
    *,
    row: Callable[[AnyRecord], Mapping[str, Any]],
    judge: Callable[[AnyRecord], Why | None],
) -> Posted:
    """Keep the records in ``table``, each once under its key.

    row: a record as it is kept, without its key and without when it was recorded. judge: why a record is refused
    that could be kept; it is asked of one after the other, once those before are decided.
    """
    prefix = f"{idempotency_key}:" if idempotency_key else ""
    keys = [record.key or (f"{prefix}{place}" if prefix else None) for place, record in enumerate(records)]
    kept: dict[str, Mapping[Any, Any]] = {}
    for some in turns([key for key in keys if key]):
        kept |= {
            found["key"]: found for found in connection.execute(sa.select(table).where(table.c.key.in_(some))).mappings()
        }
    posted, new = Posted(), []
    for place, (key, record) in enumerate(zip(keys, records, strict=True)):
        fields = row(record)
        why = NO_KEY if key is None else None
        if why is None and key in kept and record.user_id in known.inside:
            if _same(kept[key], fields, record):
                posted.repeated += 1
                continue
            why = KEY_IN_USE, f"key {key!r} is kept with other content; correct the record, or give a new one a new key"
        why = why or known.refusal(record) or judge(record)
        if why is not None or key is None:
            posted.rejected.append(Refused(place, key, record.user_id, *(why or NO_KEY)))
            continue
        kept[key] = {"key": key, **fields, "recorded_at": max(known.now, record.moment or known.now)}
        new.append(kept[key])
        posted.accepted += 1
        posted.kept.append(record)
    if new:
        connection.execute(sa.insert(table), new)
    return posted


def _same(kept: Mapping[Any, Any], fields: Mapping[str, Any], record: Record) -> bool:
    """Whether a record tells what is kept already; a moment that it leaves to us is that of the first time."""
    left = set() if record.moment else {record.moment_of}
    # What broke a rule then may not break it now.
    return all(kept[name] == value for name, value in fields.items() if name not in left | {"against"})
