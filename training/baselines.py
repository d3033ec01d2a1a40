"""Scores that need no learning; every backtest prints them beside the models."""

import numpy as np

from features.snapshot import Snapshot
from training.matrix import Floats, Matrix


def koc_baselines(matrix: Matrix, snapshot: Snapshot) -> dict[str, Floats]:
    """Baseline -> (N,) scores of influence, higher is better.

    degree: people whom the user may influence (without ties: people ever moved). pagerank: where ties are mapped.
    activity: acts in one horizon. past_influence: ledger weight in one horizon, equal ones by weight over all history.
    recency: the shorter since the last act, the higher.
    """
    horizon = f"{snapshot.time.horizon.days}d"
    scores = {"degree": matrix.column("followers" if "followers" in matrix else "people_moved_all")}
    if "pagerank_log" in matrix:
        rank = matrix.column("pagerank_log")
        # Whoever has no tie ranks below all who have one.
        scores["pagerank"] = np.where(np.isnan(rank), np.nanmin(rank, initial=0.0) - 1.0, rank)
    scores["activity"] = matrix.column(f"acts_{horizon}")
    scores["past_influence"] = _first_then(matrix.column(f"influence_{horizon}"), matrix.column("influence_all"))
    scores["recency"] = -matrix.column("idle_days")
    return scores


def churn_baselines(matrix: Matrix, snapshot: Snapshot) -> dict[str, Floats]:
    """Baseline -> (N,) scores of churn, higher is likelier to leave: days since the last order, and few orders."""
    horizon = f"{snapshot.time.horizon.days}d"
    return {"recency": matrix.column("recency_days"), "activity": -matrix.column(f"orders_{horizon}")}


def _first_then(first: Floats, then: Floats) -> Floats:
    """Order by ``first``, equal ones by ``then``; equal in both stay equal."""
    _, place = np.unique(np.stack([first, then], axis=1), axis=0, return_inverse=True)
    return place.astype(np.float64).reshape(-1)
