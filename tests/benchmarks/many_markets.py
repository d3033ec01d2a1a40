"""A market larger than the simulator holds in memory: copies of one, each with people of its own, and ties between them."""

import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

NAMES = {
    "users": ("user_id",),
    "ties": ("user_id", "influencer_id"),
    "orders": ("order_id", "user_id", "referrer_id"),
    "shares": ("share_id", "sharer_id", "parent_share_id"),
    "share_responses": ("share_id", "sharer_id", "responder_id"),
    "communities": ("community_id",),
    "memberships": ("community_id", "user_id", "inviter_id"),
}
"""Table -> columns of what each copy has of its own; items are those of one catalogue."""

ABROAD = 10
"""One tie in so many leads to the next market, so that all of them are one graph."""


def many_markets(market: Path, copies: int, folder: Path) -> None:
    """Write ``copies`` of a simulated ``market``, at most 26, into ``folder``, as the dataset of one shop."""
    folder.mkdir(parents=True)
    engine = duckdb.connect(config={"memory_limit": "6GB", "preserve_insertion_order": False})
    for table, names in NAMES.items():
        file = market / f"{table}.parquet"
        columns = pq.read_schema(file).names
        own = [
            ", ".join(_renamed(table, column, copy, copies) if column in names else column for column in columns)
            for copy in range(copies)
        ]
        parts = [f"SELECT {told} FROM '{file}'" for told in own]
        engine.execute(
            f"COPY ({' UNION ALL '.join(parts)}) TO '{folder / table}.parquet' (FORMAT parquet, COMPRESSION zstd)"
        )
    for name in ("items.parquet", "dataset.toml"):
        shutil.copy(market / name, folder)


def _renamed(table: str, column: str, copy: int, copies: int) -> str:
    own, next_one = (f"'{chr(ord('a') + place % copies)}'" for place in (copy, copy + 1))
    if (table, column) == ("ties", "influencer_id"):
        own = f"CASE WHEN hash(user_id, influencer_id) % {ABROAD} = 0 THEN {next_one} ELSE {own} END"
    return f"{own} || {column} AS {column}"
