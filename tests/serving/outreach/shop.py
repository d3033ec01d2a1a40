"""A small shop with scores, and lists written by hand into its operations database."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa

from serving.access.principal import Principal, Scope
from serving.lists.payload import checksum, encoded
from serving.outreach.people import People
from serving.state.database import Database
from serving.state.tables import candidate_lists, list_members, list_payloads
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.serving.batches import write_users

START = datetime(2024, 6, 1, tzinfo=UTC)
ALL = Principal("k1", "all", frozenset({Scope.OPERATE, Scope.IDENTIFY}))
HANGZHOU = Principal("k2", "hangzhou", frozenset({Scope.OPERATE}), {"attribute_region": ("Hangzhou",)})


def day(number: float) -> datetime:
    """Moment ``number`` days after the list was made."""
    return START + timedelta(days=number)


def served_shop(folder: Path) -> Served:
    """u0 to u9: the even ones live in Hangzhou, the odd ones in Suzhou."""
    store = ScoreStore(folder / "scores")
    users = [{"user_id": f"u{number}", "attribute_region": "Suzhou" if number % 2 else "Hangzhou"} for number in range(10)]
    write_users(store, users)
    return Served(store)


def people_of(folder: Path) -> People:
    return People(served_shop(folder))


def put_list(
    database: Database,
    arms: Mapping[str, str],
    *,
    list_id: str = "list1",
    communities: Mapping[str, str] | None = None,
    days: float = 14,
) -> str:
    """A list made at ``START`` that runs for ``days``: user -> contact or holdout."""
    users = list(arms)
    number = range(1, len(users) + 1)
    columns = {"rank": pa.array(number, pa.int64()), "arm": list(arms.values()), "user_id": users}
    columns["attribute_region"] = ["Suzhou" if int(user[1:]) % 2 else "Hangzhou" for user in users]
    if communities is not None:
        columns["community_id"] = pa.array([communities.get(user) for user in users], pa.string())
    content = encoded(pa.table(columns))
    values = {
        "list_id": list_id,
        "created_at": START,
        "created_by": "k1",
        "expires_at": START + timedelta(days=days),
        "batch": "b",
        "model_version": "koc/1",
        "as_of": START,
        "criteria": {"size": len(users)},
        "rows": len(users),
        "shortfalls": [],
        "checksum": checksum(content),
    }
    members = [
        {"list_id": list_id, "rank": rank, "user_id": user, "arm": arm, "changed_at": START,
         "state": "held_out" if arm == "holdout" else "selected"}
        for rank, (user, arm) in zip(number, arms.items(), strict=True)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(sa.insert(candidate_lists).values(**values))
        connection.execute(sa.insert(list_payloads).values(list_id=list_id, content=content))
        connection.execute(sa.insert(list_members), members)
    return list_id


def rows(database: Database, table: sa.Table, *order: str) -> list[dict]:
    with database.read() as connection:
        return [dict(row) for row in connection.execute(sa.select(table).order_by(*order)).mappings()]
