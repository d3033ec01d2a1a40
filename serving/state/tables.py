"""The tables of the operations database: lists, contacts, suppressions, jobs, keys and audit."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A moment with its zone, stored as UTC without one, so that both databases order and compare alike."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        """Raises:
        ValueError: a moment without a zone.
        """
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no zone; pass moments in UTC")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:  # noqa: ARG002
        return value.replace(tzinfo=UTC) if value else None


Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite counts up only what is declared as INTEGER."""


def _moment(name: str, *, required: bool = False, **options: Any) -> sa.Column[datetime]:
    return sa.Column(name, Moment, nullable=not required, **options)


def _text(name: str, *, required: bool = False, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=not (required or options.get("primary_key")), **options)


def _list_id(**options: Any) -> sa.Column[str]:
    return sa.Column("list_id", sa.Text, sa.ForeignKey("candidate_lists.list_id"), **options)


api_keys = sa.Table(
    "api_keys",
    metadata,
    _text("key_id", primary_key=True),
    _text("name", required=True),
    _text("secret_hash", required=True, unique=True),
    sa.Column("scopes", Json, nullable=False),  # ["read", "operate", "train", "admin", "identify"]
    sa.Column("row_scope", Json, nullable=False),  # {score column: [values that the key may see]}; {} sees everybody
    _moment("created_at", required=True),
    _moment("expires_at"),
    _moment("revoked_at"),
    _text("rotated_from"),
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("entry", Serial, primary_key=True, autoincrement=True),
    _moment("at", required=True, index=True),
    _text("key_id", required=True),
    _text("action", required=True),  # list.create, list.export, user.view, model.promote, ...
    _text("subject", required=True),
    _text("model_version"),
    sa.Column("criteria", Json, nullable=False),
    sa.Column("rows", sa.BigInteger),
    _text("request_id"),
)

candidate_lists = sa.Table(
    "candidate_lists",
    metadata,
    _text("list_id", primary_key=True),
    _text("name"),
    _moment("created_at", required=True, index=True),
    _text("created_by", required=True),
    _moment("expires_at", required=True),
    _text("batch", required=True),
    _text("model_version", required=True),
    _moment("as_of", required=True),
    sa.Column("criteria", Json, nullable=False),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("shortfalls", Json, nullable=False),
    _text("checksum", required=True),
)

list_payloads = sa.Table(
    "list_payloads",
    metadata,
    _list_id(primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),  # Parquet, never changed
)

list_members = sa.Table(
    "list_members",
    metadata,
    _list_id(primary_key=True),
    sa.Column("rank", sa.BigInteger, primary_key=True),
    _text("user_id", required=True, index=True),
    _text("arm", required=True),  # contact, holdout
    _text("state", required=True),
    _text("state_reason"),
    _text("staff", index=True),
    _moment("changed_at", required=True),
    sa.UniqueConstraint("list_id", "user_id"),
)

member_events = sa.Table(
    "member_events",
    metadata,
    sa.Column("event", Serial, primary_key=True, autoincrement=True),
    _list_id(nullable=False, index=True),
    _text("user_id", required=True),
    _text("state", required=True),
    _text("reason"),
    _text("staff"),
    _moment("at", required=True),
    _text("key_id", required=True),
)

reservations = sa.Table(
    "reservations",
    metadata,
    _text("user_id", primary_key=True),  # one list at a time
    _list_id(nullable=False, index=True),
    _moment("until", required=True, index=True),
)

outreach = sa.Table(
    "outreach",
    metadata,
    _text("key", primary_key=True),  # the sender's idempotency key
    _list_id(index=True),
    _text("campaign_id", required=True),
    _text("user_id", required=True, index=True),
    _text("arm", required=True),  # contacted, holdout: as the list assigned, whatever happened
    _text("against"),  # the rule that the contact broke: held_out, suppressed, consent_withdrawn, above_cap
    _text("channel"),
    _text("incentive"),
    sa.Column("cost", sa.BigInteger),  # minor units
    _text("staff"),
    _moment("contacted_at", required=True, index=True),
    _moment("recorded_at", required=True),
)

outcomes = sa.Table(
    "outcomes",
    metadata,
    _text("key", primary_key=True),
    _list_id(index=True),
    _text("campaign_id", required=True),
    _text("user_id", required=True, index=True),
    _text("outcome", required=True),  # accepted, declined, shared, converted
    sa.Column("amount", sa.BigInteger),  # minor units
    _moment("happened_at", required=True),
    _moment("recorded_at", required=True),
)

suppressions = sa.Table(
    "suppressions",
    metadata,
    sa.Column("suppression", Serial, primary_key=True, autoincrement=True),
    _text("user_id", required=True, index=True),
    _text("kind", required=True),  # suppressed, consent_withdrawn, erased
    _text("channel"),  # of a withdrawn consent; null: every channel
    _text("code", required=True),
    _text("evidence"),
    _moment("starts_at", required=True),
    _moment("expires_at"),
    _moment("lifted_at"),
    _text("lifted_because"),
    _text("key_id", required=True),
)

jobs = sa.Table(
    "jobs",
    metadata,
    _text("job_id", primary_key=True),
    _text("kind", required=True),  # score, list, train
    sa.Column("arguments", Json, nullable=False),
    _text("state", required=True, index=True),  # queued, running, succeeded, failed, cancelled
    sa.Column("progress", sa.Float, nullable=False),  # 0 to 1
    _text("step"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("most_attempts", sa.Integer, nullable=False),
    _text("worker"),
    _moment("lease_until", index=True),
    sa.Column("cancel_asked", sa.Boolean, nullable=False),
    sa.Column("result", Json),
    _text("error"),
    _text("created_by", required=True),
    _moment("created_at", required=True),
    _moment("started_at"),
    _moment("finished_at"),
)

applications = sa.Table(
    "applications",
    metadata,
    _text("application_id", primary_key=True),
    _text("user_id", index=True),
    sa.Column("answers", Json, nullable=False),  # talent, other accounts, numbers of fans: nothing that names a person
    _moment("applied_at", required=True),
)

application_persons = sa.Table(
    "application_persons",
    metadata,
    sa.Column("application_id", sa.Text, sa.ForeignKey("applications.application_id"), primary_key=True),
    sa.Column("person", Json, nullable=False),  # name, phone, address, identity number
)

roster = sa.Table(
    "roster",
    metadata,
    _text("key", primary_key=True),  # one row for each contact with a member of staff and a community
    _text("external_id", required=True, index=True),
    _text("user_id", index=True),
    _text("kind", required=True),  # external_userid (WeCom) or the like
    _text("staff"),
    _text("inviter_id"),
    _text("join_scene"),
    _text("community_id"),
    _moment("added_at", required=True),
    _moment("recorded_at", required=True),
)

facts = sa.Table(
    "facts",
    metadata,
    _text("name", primary_key=True),  # such as the salt of the holdout
    _text("value", required=True),
)
