"""Noise buys no rank: what the same model says when noisy groups talk ten times as much."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.tables import Tables
from serving.batch import frame_of_all
from training.pipeline import Trained
from training.timeline import Timeline

TIMES = 10


def louder(market: Tables, groups: pa.Array) -> Tables:
    """The market, where everything that members say in ``groups`` is said ``TIMES`` times, seconds apart."""
    rows = market.engine.to_arrow(market.tables["engagements"])
    noise = rows.filter(pc.is_in(rows["community_id"], groups))
    place = noise.column_names.index("happened_at")
    again = [
        noise.set_column(
            place, "happened_at", pc.add(noise["happened_at"], pa.scalar(number * 1_000_000, pa.duration("us")))
        )
        for number in range(1, TIMES)
    ]
    told = market.engine.from_arrow(pa.concat_tables([rows, *again]))
    return replace(market, tables={**market.tables, "engagements": told})


def test_d37_ten_times_the_messages_move_no_quiet_member(market: Tables, timeline: Timeline, trained: Trained) -> None:
    talk = market.engine.to_arrow(market.tables["engagements"])
    talk = talk.filter(pc.and_(pc.equal(talk["kind"], "message"), pc.is_valid(talk["community_id"])))
    said = talk.group_by("community_id").aggregate([("user_id", "count")]).sort_by([("user_id_count", "descending")])
    noisy = said["community_id"].combine_chunks()[: max(len(said) // 10, 1)]
    as_of = market.observed_until
    frames = (timeline.frame(as_of), frame_of_all(Timeline(louder(market, noisy)), as_of))
    before, after = (trained.bundle.hybrid.said(frame).margin for frame in frames)
    assert before is not None
    assert after is not None
    assert frames[0].users.tolist() == frames[1].users.tolist()
    members = market.engine.to_arrow(market.tables["memberships"])
    loud = set(members.filter(pc.is_in(members["community_id"], noisy))["user_id"].to_pylist())
    spend = frames[0].matrix.column("spend_all")
    quiet = np.array([user not in loud for user in frames[0].users]) & (spend >= np.quantile(spend, 0.8))
    places = [np.argsort(np.argsort(-margin)) / len(margin) for margin in (before, after)]
    moved = np.abs(places[1] - places[0])[quiet]
    assert quiet.sum() > 50
    assert np.median(moved) < 0.01
