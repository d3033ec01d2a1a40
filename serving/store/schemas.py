"""Names and columns of the files of a batch."""

import pyarrow as pa

from features.groups.columns import FACTS

USERS, CATEGORIES, TIES = "users.parquet", "categories.parquet", "ties.parquet"
COMMUNITIES = "communities.parquet"
FOLLOW_UPS, NEXT_ITEMS = "evidence.parquet", "next_items.parquet"
KPIS = "kpis.parquet"
DRIFT = "drift.parquet"
EXCHANGE = (USERS, CATEGORIES, FOLLOW_UPS, NEXT_ITEMS, TIES, COMMUNITIES, KPIS, DRIFT)
"""Parquet, for whoever reads a batch with other tools, and for what is read now and then."""

TABLE, INDEX, RECORDS = "users.arrow", "index.arrow", "users.jsonl"
SERVING = (TABLE, INDEX, RECORDS)
"""What queries read: mapped into memory, so written without compression."""

BLOCKS = {name: f"{name}.blocks" for name in SERVING}
"""File -> that of the checksums of its blocks, as `serving.store.checked.write_blocks` writes them."""

TIES_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "influencer_id": pa.string(),
        "expected_follow_ups": pa.float32(),
        "strength": pa.float32(),
    }
)
"""Columns of the ties of a batch; see `serving.scores.tie_scores`."""

COMMUNITIES_SCHEMA = pa.schema(
    [
        *FACTS,
        pa.field("rated", pa.int64()),
        pa.field("expected_leavers", pa.float64()),
        pa.field("leave_rate", pa.float64()),
        pa.field("candidate_id", pa.string()),
        pa.field("candidate_moves", pa.float64()),
    ]
)
"""Columns of the communities of a batch; see `serving.communities.communities_of`."""

KPIS_SCHEMA = pa.schema(
    {
        "scope": pa.string(),
        "category": pa.string(),
        "candidates": pa.int64(),
        "reached": pa.int64(),
        "led_in": pa.int64(),
        "served": pa.int64(),
        "paid": pa.int64(),
        "won": pa.int64(),
        "amount": pa.int64(),
        "cost": pa.int64(),
        "lead_in_rate": pa.float64(),
        "service_rate": pa.float64(),
        "cash_in_rate": pa.float64(),
        "acquisition_cost": pa.float64(),
        "lifetime_value_each": pa.float64(),
    }
)
"""Columns of the ledger of assets of a batch; see `serving.kpis.kpis`."""

DRIFT_SCHEMA = pa.schema(
    {
        "column": pa.string(),
        "kind": pa.string(),
        "psi": pa.float64(),
        "limit": pa.float64(),
        "shifted": pa.bool_(),
        "unknown_then": pa.float64(),
        "unknown_now": pa.float64(),
    }
)
"""Columns of the drift of a batch; see `training.profile.Profile.drift`."""
