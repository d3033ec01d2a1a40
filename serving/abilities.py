"""The four abilities of each user: making content, caring for a community, leading people and recommending goods."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.blocks.content import CONTENT
from features.prepare import engagement_days
from features.snapshot import Snapshot
from serving.extra_contract import extra
from training.frame import Frame
from training.matrix import Floats

COMMUNITY = ("message", "check_in", "red_packet", "offline_event")
"""Kinds of engagement within a community."""

ABILITIES: Mapping[str, tuple[str, ...]] = {
    "ability_ugc": ("content_days", "content_led"),
    "ability_community": ("community_days", "invited_all", "communities_now"),
    "ability_leadership": ("followers", "people_moved_all", "chain_level2"),
    "ability_recommendation": ("influence_all", "influence_value_all", "follow_ups_each"),
}
"""Ability -> features that it is the mean standing in; see docs/data-dictionary.md, and `engaged_days` for the days."""


@extra({})
def abilities(snapshot: Snapshot, frame: Frame) -> pa.Table:
    """Standing among all users, 0 to 100, the mean over what is known; 0 without any of it, null where nothing tells.

    ability_ugc              float64  days with posts, reviews or live shows, and what followers bought after them
    ability_community        float64  days with messages, check-ins and events, people invited, communities
    ability_leadership       float64  people around, people moved, people whom those moved on
    ability_recommendation   float64  follow-ups on items, their money, follow-ups for each item bought
    """
    known: dict[str, Floats] = engaged_days(snapshot, frame)
    columns: dict[str, pa.Array] = {"user_id": pa.array(frame.users, pa.string())}
    for ability, parts in ABILITIES.items():
        there = [known[name] if name in known else frame.matrix.column(name)
                 for name in parts if name in known or name in frame.matrix]  # fmt: skip
        mean = np.mean([standing(part) for part in there], axis=0) if there else np.full(len(frame.users), np.nan)
        columns[ability] = pa.array(mean, from_pandas=True)
    return pa.table(columns)


def engaged_days(snapshot: Snapshot, frame: Frame) -> dict[str, Floats]:
    """``content_days`` and ``community_days``, (N,) kinds and local days of engagement; empty without engagements."""
    if not snapshot.has("engagements", "kind"):
        return {}
    days = engagement_days(snapshot)
    kind = days.kind.fill_null("").lower().replace("-", "_").replace(" ", "_")
    counted = days.group_by("user_id").agg(
        content_days=days.count(where=kind.isin(CONTENT)), community_days=days.count(where=kind.isin(COMMUNITY))
    )
    rows = snapshot.engine.to_arrow(counted)
    place = pc.index_in(pa.array(frame.users, pa.string()), value_set=rows["user_id"].combine_chunks())
    return {name: pc.fill_null(rows[name].take(place), 0).to_numpy().astype(float)
            for name in ("content_days", "community_days")}  # fmt: skip


def standing(part: Floats) -> Floats:
    """(N,) 0 where there is nothing; else the per cent of users who have less, and half of those who have as much."""
    values = np.nan_to_num(part)
    ordered = np.sort(values)
    low, high = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.where(values > 0, 100.0 * (low + high) / (2 * max(len(values), 1)), 0.0)
