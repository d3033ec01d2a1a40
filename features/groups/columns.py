"""Columns of the facts of communities, for whoever reads them without what computes them."""

import pyarrow as pa

FACTS = pa.schema(
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
    }
)
"""Columns of `features.groups.facts.community_facts`."""
