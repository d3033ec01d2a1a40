"""Scores that need no learning; every backtest prints them beside the models."""

from datetime import timedelta

import numpy as np

from training.matrix import Floats, Matrix


def koc_baselines(matrix: Matrix, horizon: timedelta) -> dict[str, Floats]:
    """Baseline -> (N,) scores of influence, higher is better.

    degree: people whom the user may influence (without ties: people ever moved). pagerank: where ties are mapped.
    activity: acts in one horizon. past_influence: ledger weight in one horizon, equal ones by weight over all history.
    recency: the shorter since the last act, the higher.
    """
    window = f"{horizon.days}d"
    scores = {"degree": matrix.column("followers" if "followers" in matrix else "people_moved_all")}
    if "pagerank_log" in matrix:
        scores["pagerank"] = _unknown_last(matrix.column("pagerank_log"))
    scores["activity"] = matrix.column(f"acts_{window}")
    scores["past_influence"] = _first_then(matrix.column(f"influence_{window}"), matrix.column("influence_all"))
    scores["recency"] = -matrix.column("idle_days")
    return scores


def churn_baselines(matrix: Matrix, horizon: timedelta) -> dict[str, Floats]:
    """Baseline -> (N,) scores of churn, higher is likelier to leave: days since the last order, and few orders."""
    window = f"{horizon.days}d"
    recency = -_unknown_last(-matrix.column("recency_days"))
    return {"recency": recency, "activity": -matrix.column(f"orders_{window}")}


def _unknown_last(score: Floats) -> Floats:
    """Those without a value, such as people without a tie, below all who have one."""
    return np.where(np.isnan(score), np.nanmin(score, initial=0.0) - 1.0, score)


def _first_then(first: Floats, then: Floats) -> Floats:
    """Order by ``first``, equal ones by ``then``; equal in both stay equal."""
    _, place = np.unique(np.stack([first, then], axis=1), axis=0, return_inverse=True)
    return place.astype(np.float64).reshape(-1)
