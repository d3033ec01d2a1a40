"""Names and columns of the files of a batch."""

import pyarrow as pa

USERS, CATEGORIES, TIES = "users.parquet", "categories.parquet", "ties.parquet"
COMMUNITIES = "communities.parquet"
FOLLOW_UPS, NEXT_ITEMS = "evidence.parquet", "next_items.parquet"
KPIS = "kpis.parquet"
EXCHANGE = (USERS, CATEGORIES, FOLLOW_UPS, NEXT_ITEMS, TIES, COMMUNITIES, KPIS)
"""Parquet, for whoever reads a batch with other tools, and for what is read now and then."""

TABLE, INDEX, RECORDS = "users.arrow", "index.arrow", "users.jsonl"
SERVING = (TABLE, INDEX, RECORDS)
"""What queries read: mapped into memory, so written without compression."""

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
    {
        "community_id": pa.string(),
        "source": pa.string(),
        "kind": pa.string(),
        "origin": pa.string(),
        "space": pa.string(),
        "members": pa.int64(),
        "size_band": pa.string(),
        "active_share": pa.float64(),
        "value_per_head": pa.float64(),
        "messages_per_head": pa.float64(),
        "inside_ties": pa.int64(),
        "density": pa.float64(),
        "centralisation": pa.float64(),
        "brokers": pa.int64(),
        "broker_id": pa.string(),
        "broker_share": pa.float64(),
        "strangers_share": pa.float64(),
        "known_at_join": pa.float64(),
        "meetings": pa.int64(),
        "new_tie_rate": pa.float64(),
        "leader_id": pa.string(),
        "leaderless": pa.bool_(),
        "alive": pa.bool_(),
        "silent_days": pa.float64(),
        "survival_90d": pa.float64(),
        "survival_base_rate": pa.float64(),
        "survival_counted": pa.int64(),
        "rated": pa.int64(),
        "expected_leavers": pa.float64(),
        "leave_rate": pa.float64(),
        "candidate_id": pa.string(),
        "candidate_moves": pa.float64(),
    }
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
