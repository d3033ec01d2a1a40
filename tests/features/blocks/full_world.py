"""A small market with every table and column of the contract, and the oddities that real exports hold."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import ibis
import pandas as pd

from features.engine import DuckDB
from features.prepare import prepare
from features.schema import TABLES
from features.snapshot import take_snapshot
from features.tables import Tables
from features.user_table import UserTable, build_user_table
from tests.worlds import Rows, day, user_rows, world

AS_OF = day(40)
"""Where the tests stand; some rows of the world lie at or after it, in either clock."""

EMPTY_HANDED = "u29"
"""Registered, and never seen again."""

USERS = tuple(f"u{number:02d}" for number in range(30))
_KINDS = ("friend", "follow", "trust", "invite", "co-member")


def full_rows() -> dict[str, Rows]:
    """Rows of every table, in which every column has a value somewhere and, where it may, a null somewhere."""
    buyers = USERS[:25]
    return {
        "users": [
            {"user_id": user, "registered_at": day(n % 5) if n % 3 else None, "channel": "app", "recorded_at": None}
            for n, user in enumerate(USERS)
        ],
        "attributes": [
            {"user_id": user, "name": name, "value": value, "valid_from": day(at + n / 8), "recorded_at": None}
            for n, user in enumerate(USERS[::4])
            for name, value, at in (
                ("tier", "gold", 3),
                ("tier", "normal" if n % 3 else "gold", 20),
                ("level", "V1", 1),
                ("level", f"V{1 + n % 3}", 22 + 2 * n),
                ("level", "V2", 38),
                ("distributor_grant", "yes", 5),
                ("distributor_grant", "no" if n % 2 else "yes", 30),
            )
        ],
        "identities": [
            {"user_id": user, "kind": "phone", "value": "one person", "valid_from": day(2), "recorded_at": None}
            for user in ("u23", "u24")
        ],
        "orders": [_order(n, buyers) for n in range(180)],
        "items": [
            {
                "item_id": f"i{n}",
                "spu_id": f"s{n // 2}",
                "category": ("food", "toys", None)[n % 3],
                "price": 100 * n,
                "margin": 10 * n,
            }
            for n in range(36)
        ],
        "ties": [
            {
                "user_id": USERS[n],
                "influencer_id": USERS[(n * step + 1) % 30],
                "kind": _KINDS[(n + step) % 5],
                "since": None if n % 4 else day(n % 45),
                "recorded_at": None,
            }
            for n in range(28)
            for step in (1, 3, 7)
        ]
        + [{"user_id": "u01", "influencer_id": "nobody-knows"}, {"user_id": "u01", "influencer_id": "u01"}],
        "shares": [
            {
                "share_id": f"h{n}",
                "sharer_id": USERS[n % 9],
                "target": "item",
                "item_id": f"i{n % 12}" if n % 5 else None,
                "channel": "wechat",
                "parent_share_id": f"h{n - 7}" if n % 3 == 0 and n > 7 else None,
                "shared_at": day(n * 0.8),
                "recorded_at": day(n * 0.8 + 0.1),
            }
            for n in range(55)
        ],
        "share_responses": [
            {
                "share_id": f"h{n % 40}" if n % 6 else None,
                "sharer_id": None if n % 7 == 0 and n % 6 else USERS[n % 40 % 9],
                "responder_id": USERS[(n * 5 + 3) % 30 % 28],
                "item_id": f"i{n % 12}" if n % 4 else None,
                "action": ("click", "buy", "help", None)[n % 4],
                "channel": "wechat",
                "responded_at": day(n % 40 * 0.8 + 1 + n // 40),
                "recorded_at": None,
            }
            for n in range(120)
        ],
        "group_buys": [
            {
                "group_buy_id": f"g{n}",
                "initiator_id": USERS[n % 6],
                "item_id": f"i{n % 12}",
                "size": 3 if n % 4 else None,
                "deadline": day(2 * n + 2),
                "succeeded": bool(n % 3),
                "closed_at": day(2 * n + 1) if n % 2 else None,
                "opened_at": day(2 * n),
                "recorded_at": None,
            }
            for n in range(22)
        ],
        "group_buy_members": [
            {
                "group_buy_id": f"g{n}",
                "user_id": USERS[(n % 6 + step) % 30],
                "joined_at": day(2 * n + step / 10),
                "recorded_at": None,
            }
            for n in range(23)
            for step in (0, 4, 11)
        ],
        "communities": [
            {
                "community_id": f"c{n}",
                "kind": "group",
                "origin": "store",
                "space": ("online", "offline", "community")[n],
                "created_at": day(n),
                "recorded_at": None,
            }
            for n in range(3)
        ],
        "memberships": [
            {
                "community_id": f"c{n % 3}" if n % 10 else None,
                "user_id": USERS[n],
                "role": "member",
                "inviter_id": USERS[n // 3] if n % 5 else None,
                "joined_at": day(n * 1.5),
                "left_at": day(n * 1.5 + 6) if n % 4 == 0 else None,
                "recorded_at": None,
            }
            for n in range(28)
        ],
        "engagements": [
            {
                "user_id": USERS[n * n % 28],
                "kind": ("post", "check_in", "review", None, "offline_event")[n % 5],
                "item_id": f"i{n % 12}" if n % 3 else None,
                "community_id": f"c{n % 3}",
                "happened_at": day(n * 0.7),
                "recorded_at": None,
            }
            for n in range(60)
        ],
        "rewards": [
            {
                "user_id": USERS[n % 7],
                "kind": "points" if n % 5 else "coupon",
                "amount": 500,
                "source": ("share", "spending", "check_in", "posting")[n % 4],
                "granted_at": day(n * 1.1),
                "recorded_at": None,
            }
            for n in range(40)
        ],
        "outreach": [
            {
                "campaign_id": "spring",
                "user_id": USERS[n],
                "arm": "contacted",
                "channel": "sms",
                "incentive": "coupon",
                "cost": 10,
                "staff": "li",
                "outcome": "bought",
                "outcome_at": day(2 * n + 3),
                "contacted_at": day(2 * n),
                "recorded_at": None,
            }
            for n in range(20)
        ],
    }


def _order(n: int, buyers: tuple[str, ...]) -> dict[str, Any]:
    at = n * 37 % 450 / 10
    return {
        "order_id": f"o{n}",
        "user_id": buyers[(n * n + n // 11) % 25],
        "item_id": None if n % 17 == 0 else f"i{(n * 7 + n // 9) % 40}",  # i36 to i39 are in no catalogue
        "quantity": 1 + n % 3,
        "amount": None if n % 13 == 0 else 0 if n % 11 == 0 else 1000 + 10 * n,
        "discount": None if n % 4 == 0 else 100 * (n % 3),
        "refund_amount": 2000 if n % 10 == 0 else None,
        "refunded_at": day(at + 4) if n % 10 == 0 else None,
        "referrer_id": buyers[(n + 3) % 25] if n % 9 == 0 else None,
        "channel": "shop",
        "ordered_at": day(at),
        "recorded_at": day(at + (9 if n % 20 == 0 else 0)),
    }


def full_world(engine: DuckDB | None = None, *, settings: Mapping[str, Any] | None = None, credit: str = "item") -> Tables:
    """The market on an engine: horizon 10 days (windows of 3, 10 and 20 days), attribution window 5 days."""
    return world(engine=engine, settings=settings, credit=credit, **full_rows())


@cache
def full_user_table() -> tuple[Tables, UserTable, pd.DataFrame]:
    """The market, its user table at ``AS_OF`` and the rows of it, built once for all tests that read them."""
    tables = full_world(DuckDB(threads=1))
    built = build_user_table(prepare(take_snapshot(tables, AS_OF)))
    return tables, built, user_rows(built, tables.engine)


def only(tables: Tables, wanted: Mapping[str, tuple[str, ...]]) -> Tables:
    """The world of a source that gives of each table in ``wanted`` these columns and the required ones, no more.

    Orders, as events that a dataset cannot be without, are given where neither they nor share responses are wanted.
    """
    wanted = dict(wanted) if {"orders", "share_responses"} & set(wanted) else {**wanted, "orders": ()}
    if "share_responses" in wanted and not {"share_id", "sharer_id"} & set(wanted["share_responses"]):
        wanted["share_responses"] = (*wanted["share_responses"], "sharer_id")
    given = {
        name: frozenset({*columns, *(column.name for column in TABLES[name].columns if column.required)})
        for name, columns in wanted.items()
    }
    kept = {
        name: tables.tables[name].mutate(
            **{c.name: ibis.null(c.kind.dtype) for c in TABLES[name].columns if c.name not in given[name]}
        )
        for name in wanted
    }
    return replace(tables, tables=kept, given=given)


def emptied(tables: Tables) -> Tables:
    """The same source on its first day, before any row."""
    return replace(tables, tables={name: table.limit(0) for name, table in tables.tables.items()})


def without_rows_before(tables: Tables, moment: datetime, names: Iterable[str]) -> Tables:
    """The world as if what ``names`` hold had begun at ``moment``."""
    cut = dict(tables.tables)
    for name in names:
        clock = TABLES[name].event_time
        assert clock is not None
        cut[name] = cut[name].filter(cut[name][clock] >= moment)
    return replace(tables, tables=cut)
