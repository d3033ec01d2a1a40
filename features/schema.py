"""The data contract: every table, its columns and types, its keys and its clocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.datatypes as dt


class Kind(StrEnum):
    """What a column holds; ``user`` columns are the ones that identities merge."""

    USER = "user"
    ID = "id"
    TEXT = "text"
    TIME = "time"
    MONEY = "money"
    COUNT = "count"
    NUMBER = "number"
    FLAG = "flag"

    @property
    def dtype(self) -> "dt.DataType":
        """The type in our tables: ids are strings, times UTC microseconds, money integer minor units."""
        return _dtypes()[self]


@cache
def _dtypes() -> "dict[Kind, dt.DataType]":
    # The names of tables and columns are of use without an engine, which takes half a second to load.
    import ibis.expr.datatypes as dt

    return {
        Kind.USER: dt.string,
        Kind.ID: dt.string,
        Kind.TEXT: dt.string,
        Kind.TIME: dt.Timestamp(scale=6),
        Kind.MONEY: dt.int64,
        Kind.COUNT: dt.int64,
        Kind.NUMBER: dt.float64,
        Kind.FLAG: dt.boolean,
    }


@dataclass(frozen=True)
class Column:
    """One column of the contract.

    ``revealed_by``: columns of the same row whose first non-null time is when this value became known; a snapshot
    before that time, or a source that gives none of them, sees null.
    ``refers_to``: the ``table.column`` that a non-null value should be found in.
    """

    name: str
    kind: Kind
    required: bool = False
    revealed_by: tuple[str, ...] = ()
    refers_to: str | None = None


@dataclass(frozen=True)
class TableSpec:
    """One table of the contract.

    ``key`` is unique where all of its columns are mapped; ``event_time`` is the first clock (``recorded_at`` the second);
    a row whose event time may be null (``timeless``) counts as always known.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    event_time: str | None = None
    timeless: bool = False

    def __getitem__(self, column: str) -> Column:
        return self.by_name[column]

    def __contains__(self, column: str) -> bool:
        return column in self.by_name

    @property
    def referred_to(self) -> bool:
        """Whether rows of other tables are looked up here by one column, so that a repeated key would multiply them."""
        return len(self.key) == 1

    @property
    def by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    def of_kind(self, *kinds: Kind) -> Iterator[Column]:
        return (column for column in self.columns if column.kind in kinds)


RECORDED_AT = "recorded_at"
_RECORDED = Column(RECORDED_AT, Kind.TIME)


def _user(name: str = "user_id", *, required: bool = True) -> Column:
    return Column(name, Kind.USER, required)


def _time(name: str, *, required: bool = True) -> Column:
    return Column(name, Kind.TIME, required)


def _item(*, required: bool = False) -> Column:
    return Column("item_id", Kind.ID, required, refers_to="items.item_id")


_TABLES = (
    TableSpec(
        "users",
        (_user(), _time("registered_at", required=False), Column("channel", Kind.TEXT), _RECORDED),
        key=("user_id",),
        event_time="registered_at",
        timeless=True,
    ),
    TableSpec(
        "attributes",
        (
            _user(),
            Column("name", Kind.TEXT, required=True),
            Column("value", Kind.TEXT, required=True),
            _time("valid_from"),
            _RECORDED,
        ),
        key=("user_id", "name", "valid_from"),
        event_time="valid_from",
    ),
    TableSpec(
        "identities",
        (
            _user(),
            Column("kind", Kind.TEXT, required=True),
            Column("value", Kind.ID, required=True),
            _time("valid_from", required=False),
            _RECORDED,
        ),
        key=("user_id", "kind", "value"),
        event_time="valid_from",
        timeless=True,
    ),
    TableSpec(
        "orders",
        (
            Column("order_id", Kind.ID),
            _user(),
            _item(),
            Column("quantity", Kind.COUNT),
            Column("amount", Kind.MONEY),
            Column("discount", Kind.MONEY),
            Column("refund_amount", Kind.MONEY, revealed_by=("refunded_at",)),
            Column("refunded_at", Kind.TIME, revealed_by=("refunded_at",)),
            _user("referrer_id", required=False),
            Column("channel", Kind.TEXT),
            _time("ordered_at"),
            _RECORDED,
        ),
        key=("order_id", "item_id"),
        event_time="ordered_at",
    ),
    TableSpec(
        "items",
        (
            Column("item_id", Kind.ID, required=True),
            Column("spu_id", Kind.ID),
            Column("category", Kind.TEXT),
            Column("price", Kind.MONEY),
            Column("margin", Kind.MONEY),
        ),
        key=("item_id",),
    ),
    TableSpec(
        "ties",
        (
            _user(),
            _user("influencer_id"),
            Column("kind", Kind.TEXT),
            _time("since", required=False),
            _RECORDED,
        ),
        event_time="since",
        timeless=True,
    ),
    TableSpec(
        "shares",
        (
            Column("share_id", Kind.ID, required=True),
            _user("sharer_id"),
            Column("target", Kind.TEXT),
            _item(),
            Column("channel", Kind.TEXT),
            Column("parent_share_id", Kind.ID, refers_to="shares.share_id"),
            _time("shared_at"),
            _RECORDED,
        ),
        key=("share_id",),
        event_time="shared_at",
    ),
    TableSpec(
        "share_responses",
        (
            Column("share_id", Kind.ID, refers_to="shares.share_id"),
            _user("sharer_id", required=False),
            _user("responder_id"),
            _item(),
            Column("action", Kind.TEXT),
            Column("channel", Kind.TEXT),
            _time("responded_at"),
            _RECORDED,
        ),
        event_time="responded_at",
    ),
    TableSpec(
        "group_buys",
        (
            Column("group_buy_id", Kind.ID, required=True),
            _user("initiator_id"),
            _item(),
            Column("size", Kind.COUNT),
            _time("deadline", required=False),
            Column("succeeded", Kind.FLAG, revealed_by=("closed_at", "deadline")),
            Column("closed_at", Kind.TIME, revealed_by=("closed_at",)),
            _time("opened_at"),
            _RECORDED,
        ),
        key=("group_buy_id",),
        event_time="opened_at",
    ),
    TableSpec(
        "group_buy_members",
        (
            Column("group_buy_id", Kind.ID, required=True, refers_to="group_buys.group_buy_id"),
            _user(),
            _time("joined_at"),
            _RECORDED,
        ),
        key=("group_buy_id", "user_id"),
        event_time="joined_at",
    ),
    TableSpec(
        "communities",
        (
            Column("community_id", Kind.ID, required=True),
            Column("kind", Kind.TEXT),
            Column("origin", Kind.TEXT),
            Column("space", Kind.TEXT),
            _time("created_at", required=False),
            _RECORDED,
        ),
        key=("community_id",),
        event_time="created_at",
        timeless=True,
    ),
    TableSpec(
        "memberships",
        (
            Column("community_id", Kind.ID, refers_to="communities.community_id"),
            _user(),
            Column("role", Kind.TEXT),
            _user("inviter_id", required=False),
            _time("joined_at"),
            Column("left_at", Kind.TIME, revealed_by=("left_at",)),
            _RECORDED,
        ),
        key=("community_id", "user_id", "joined_at"),
        event_time="joined_at",
    ),
    TableSpec(
        "engagements",
        (
            _user(),
            Column("kind", Kind.TEXT),
            _item(),
            Column("community_id", Kind.ID, refers_to="communities.community_id"),
            _time("happened_at"),
            _RECORDED,
        ),
        event_time="happened_at",
    ),
    TableSpec(
        "rewards",
        (
            _user(),
            Column("kind", Kind.TEXT),
            Column("amount", Kind.MONEY),
            Column("source", Kind.TEXT),
            _time("granted_at"),
            _RECORDED,
        ),
        event_time="granted_at",
    ),
    TableSpec(
        "outreach",
        (
            Column("campaign_id", Kind.ID, required=True),
            _user(),
            Column("arm", Kind.TEXT),
            Column("channel", Kind.TEXT),
            Column("incentive", Kind.TEXT),
            Column("cost", Kind.MONEY),
            Column("staff", Kind.TEXT),
            Column("outcome", Kind.TEXT, revealed_by=("outcome_at",)),
            Column("outcome_at", Kind.TIME, revealed_by=("outcome_at",)),
            _time("contacted_at"),
            _RECORDED,
        ),
        event_time="contacted_at",
    ),
)

TABLES: dict[str, TableSpec] = {table.name: table for table in _TABLES}
