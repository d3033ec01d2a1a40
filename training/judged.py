"""What the served model said of each user on the test dates, and what happened: the rows that two models are compared by."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.abuse.verdicts import verdicts
from features.blocks.levels import TIER
from features.blocks.lifecycle import STAGES
from features.snapshot import Snapshot, latest_attributes
from training.frame import Frame, place_among
from training.intervals import Evaluation
from training.metrics import Task

if TYPE_CHECKING:
    from training.tracking import Tracker, Version

JUDGED_FILE = "judged.parquet"

SERVED = "hybrid"
"""The model that the product serves."""

REGION = "region"
"""Name of the attribute, as `features.blocks.levels.TIER` is of the other."""

UNKNOWN = "unknown"
SLICES = (REGION, TIER, "new")
"""What is known of a user on a test date and models are compared by: two attributes, and whether a newcomer, yes or no."""

SUPPRESSED = "suppressed"
"""What is held against the user on the date, a code of `features.abuse.verdicts`; empty for nothing."""

JUDGED = pa.schema(
    {
        "task": pa.string(),
        "as_of": pa.timestamp("us"),
        "person": pa.string(),
        "label": pa.float64(),
        "score": pa.float64(),
        **dict.fromkeys((*SLICES, SUPPRESSED), pa.string()),
    }
)
"""Columns of `judged_table`."""

HASHED = 8
"""Bytes that are kept of the hash of an id: two of a million users share them with a chance of one in 30 million."""


def about_users(snapshot: Snapshot, frame: Frame) -> dict[str, npt.NDArray[np.object_]]:
    """Column -> (N,) text for the users of ``frame``: `SLICES` and `SUPPRESSED`; snapshot: the prepared one behind it."""
    users, told = pa.array(frame.users, pa.string()), {}
    held = snapshot.engine.to_arrow(latest_attributes(snapshot)) if "attributes" in snapshot else None
    for name in (REGION, TIER):
        rows = held.filter(pc.equal(held["name"], name)) if held is not None else None
        told[name] = _looked_up(rows, "value", users, UNKNOWN)
    newcomer = frame.matrix.column("stage") == STAGES.index("newcomer")
    told["new"] = np.where(newcomer, "yes", "no").astype(object)
    told[SUPPRESSED] = _looked_up(verdicts(snapshot) if "suspects" in snapshot else None, "abuse_code", users, "")
    return told


def _looked_up(rows: pa.Table | None, column: str, users: pa.Array, absent: str) -> npt.NDArray[np.object_]:
    if rows is None or not len(rows):
        return np.full(len(users), absent, object)
    place = place_among(users, rows["user_id"].combine_chunks())
    values = rows[column].take(pa.array(place, mask=place < 0))
    found: npt.NDArray[np.object_] = pc.fill_null(values, absent).to_numpy().astype(object)
    return found


def judged_table(evaluations: Mapping[Task, Sequence[Evaluation]]) -> pa.Table:
    """One row per task, test date and user, of the served model.

    task        string     ``koc`` or ``churn``
    as_of       timestamp  the test date
    person      string     hash of the id, the same in every run, so that rows pair and no run lists ids
    label       float64    influence, or 1 for who left
    score       float64    log of the influence expected, or the probability of leaving
    region, tier, new   string  see `SLICES`
    suppressed  string     see `SUPPRESSED`
    """
    parts = [
        pa.table(
            {
                "task": pa.array([task] * len(judged.users), pa.string()),
                "as_of": pa.array([judged.as_of] * len(judged.users), pa.timestamp("us")),
                "person": pa.array([hashed(user) for user in judged.users], pa.string()),
                "label": pa.array(np.asarray(judged.relevance, np.float64)),
                "score": pa.array(np.asarray(judged.scores[SERVED], np.float64)),
                **{name: pa.array(judged.about[name], pa.string()) for name in (*SLICES, SUPPRESSED)},
            },
            schema=JUDGED,
        )
        for task, dates in evaluations.items()
        for judged in dates
    ]
    return pa.concat_tables([JUDGED.empty_table(), *parts])


def hashed(user: Any) -> str:
    return hashlib.blake2b(str(user).encode(), digest_size=HASHED).hexdigest()


def read_judged(tracker: "Tracker", version: "Version") -> pa.Table:
    """The table that the run of a version kept.

    Raises:
        TrackingError: it kept none.
    """
    return pq.read_table(pa.BufferReader(tracker.artifact(version, JUDGED_FILE)))
