"""Noise buys nothing: ten times the messages of those who chat all day change nothing that is known of anybody."""

from datetime import timedelta
from typing import Any

import ibis.expr.types as ir
import pandas as pd
import pytest

from features.labels import influence_labels
from features.lookback import within_lookback
from features.prepare import prepare
from features.snapshot import take_snapshot
from features.tie_table import build_tie_table
from features.user_table import build_user_table
from tests.features.blocks.by_user import shared_engine
from tests.features.blocks.full_world import AS_OF, USERS, full_rows
from tests.worlds import Rows, day, rows_of, user_rows, world

HORIZON = timedelta(days=10)
NOISY = USERS[:12]


def chat(times: int) -> Rows:
    """Messages and likes in a group, each said ``times`` times within the hour."""
    return [
        {
            "user_id": user,
            "kind": kind,
            "item_id": f"i{number % 12}",
            "community_id": "c1",
            "happened_at": day(number) + timedelta(hours=9, minutes=place + 5 * repeat),
        }
        for place, user in enumerate(NOISY)
        for number in range(place % 3, 42, 3)
        for kind in ("message", "like")
        for repeat in range(times)
    ]


def known(times: int) -> dict[str, pd.DataFrame]:
    """All that a model sees at the date and learns from, where the group says everything ``times`` times."""
    rows: dict[str, Any] = dict(full_rows())
    rows["engagements"] = [*rows["engagements"], *chat(times)]
    tables = world(engine=shared_engine(), **rows)
    snapshot = prepare(take_snapshot(tables, AS_OF))
    built = build_user_table(snapshot)
    labels = influence_labels(snapshot, AS_OF - HORIZON)

    def frame(table: ir.Table, *by: str) -> pd.DataFrame:
        return rows_of(tables, table, *by).sort_index(axis=1)

    return {
        "ties": frame(build_tie_table(within_lookback(snapshot)), "user_id", "influencer_id"),
        "users": user_rows(built, tables.engine).sort_index(axis=1),
        "labels": frame(labels, "user_id"),
        "ledger": frame(snapshot["ledger"], "influencer_id", "influenced_id", "subject", "happened_at"),
    }


@pytest.fixture(scope="module")
def quiet() -> dict[str, pd.DataFrame]:
    return known(1)


@pytest.fixture(scope="module")
def noisy() -> dict[str, pd.DataFrame]:
    return known(10)


@pytest.mark.parametrize("table", ["users", "ties", "labels", "ledger"])
def test_ten_times_the_messages_change_no_bit(
    table: str, quiet: dict[str, pd.DataFrame], noisy: dict[str, pd.DataFrame]
) -> None:
    assert len(quiet[table]) > 0
    pd.testing.assert_frame_equal(quiet[table], noisy[table], check_exact=True)


def test_to_be_there_on_a_day_counts_once(quiet: dict[str, pd.DataFrame]) -> None:
    silent, seen = (dict(zip(of["users"]["user_id"], of["users"]["acts_all"], strict=True)) for of in (known(0), quiet))
    # u00 said and liked something on the days 0, 3, ... 39.
    assert seen["u00"] - silent["u00"] == 2 * 14
