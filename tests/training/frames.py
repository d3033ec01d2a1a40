"""Frames written by hand: users, ties and purchases of one date without any source tables behind them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.frame import Frame, Purchases, Ties, place_among
from training.matrix import Matrix


def frame_of(
    users: Sequence[str],
    x: Mapping[str, Sequence[float]],
    *,
    ties: Sequence[Mapping[str, Any]] = (),
    bought: Sequence[tuple[str, str, float]] | None = None,
    buyers: Sequence[str] = (),
    horizon_days: float = 10.0,
) -> Frame:
    """``x``: column -> one value per user, all of scope ``own``; ``users`` and ``bought`` ascending.

    ties: rows with user_id, influencer_id and feature columns, ``strength`` 1 where none is given; an unknown user_id is
    somebody who has not acted yet. bought: (user, subject, days ago). buyers: the churn population.
    """
    ids = pa.array(users, pa.string())
    matrix = Matrix(
        np.array(users, object),
        np.array([*x.values()], np.float32).reshape(len(x), len(users)).T.copy(),
        tuple(x),
        {"own": tuple(x), "graph": ()},
    )
    rows = sorted(ties, key=lambda tie: (tie["influencer_id"], tie["user_id"]))
    names = tuple(dict.fromkeys(["strength", *(name for tie in rows for name in tie)]))
    names = tuple(name for name in names if name not in {"user_id", "influencer_id"})
    followers = pa.array([tie["user_id"] for tie in rows], pa.string())
    strangers = followers.filter(pc.invert(pc.is_in(followers, value_set=ids))).unique()
    values = [[tie.get(name, 1.0 if name == "strength" else 0.0) for name in names] for tie in rows]
    known = Ties(
        place_among(followers, pa.concat_arrays([ids, strangers])).astype(np.int32),
        strangers,
        place_among(pa.array([tie["influencer_id"] for tie in rows], pa.string()), ids).astype(np.int32),
        np.array(values, np.float32).reshape(len(rows), len(names)),
        names,
    )
    purchases = None
    if bought is not None:
        subjects = pa.array(sorted({subject for _, subject, _ in bought}), pa.string())
        purchases = Purchases(
            place_among(pa.array([user for user, _, _ in bought], pa.string()), ids).astype(np.int32),
            place_among(pa.array([subject for _, subject, _ in bought], pa.string()), subjects).astype(np.int32),
            np.array([age for _, _, age in bought], np.float64),
        )
    return Frame(matrix, known, purchases, np.isin(np.array(users), [*buyers]), ("10d",), horizon_days)


def random_frame(users: int, ties: int, seed: int, *, ghosts: int = 0) -> Frame:
    """Users u0000, ... with ``acts_10d``, of whom each but the last ten is on either end of some ties, and who bought of ten
    subjects; ``ghosts``: followers who have not acted yet."""
    rng = np.random.default_rng(seed)
    names = [f"u{number:04}" for number in range(users)]
    linked, unseen = names[:-10], [f"v{number:04}" for number in range(ghosts)]
    drawn = {(str(rng.choice(linked)), str(rng.choice([*linked, *unseen]))) for _ in range(ties)}
    rows = [
        {"user_id": follower, "influencer_id": influencer, "strength": 1 + float(rng.exponential())}
        for influencer, follower in sorted(drawn)
        if influencer != follower
    ]
    bought = sorted({(str(rng.choice(names)), f"s{rng.integers(10)}") for _ in range(users)})
    x = {"acts_10d": rng.poisson(3, users).astype(float), "noise": rng.normal(size=users)}
    return frame_of(
        names, x, ties=rows, bought=[(*pair, float(rng.uniform(0.1, 30))) for pair in bought], buyers=names[: users // 2]
    )


def follower_ids(frame: Frame) -> list[str]:
    """(E,) who may follow, for each tie."""
    ids: list[str] = frame.people.take(pa.array(frame.ties.followers)).to_pylist()
    return ids
