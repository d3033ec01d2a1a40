"""What one block says of the users of a world written by hand."""

import math
from functools import cache
from typing import Any

from features.blocks.block import Block
from features.engine import DuckDB
from features.lookback import within_lookback
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.tables import Tables
from tests.worlds import day

AS_OF = day(40)
"""With a horizon of 10 days the windows begin on day 37 (3 days), 30 (10 days) and 20 (20 days)."""


@cache
def shared_engine() -> DuckDB:
    """One engine for all hand-written worlds: a fresh one takes longer than a test."""
    return DuckDB(threads=1)


def prepared(tables: Tables) -> Snapshot:
    """The prepared snapshot at ``AS_OF``, within the lookback."""
    return within_lookback(prepare(take_snapshot(tables, AS_OF)))


def by_user(block: Block, source: Tables | Snapshot) -> dict[str, dict[str, Any]]:
    """user_id -> feature -> value, None for null."""
    snapshot = prepared(source) if isinstance(source, Tables) else source
    rows = snapshot.engine.to_arrow(block.build(snapshot)).to_pylist()
    found = {row.pop("user_id"): row for row in rows}
    assert len(found) == len(rows)
    assert not any(isinstance(value, float) and math.isnan(value) for row in rows for value in row.values())
    return found
