"""What `koc monitor` tells as gauges: age, drift and alerts of the served batch, and how past lists turned out."""

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from serving.access.principal import LOCAL
from serving.api.observe import Metrics
from serving.api.services import Services
from serving.jobs.jobs import Jobs
from serving.jobs.states import JobState
from serving.monitor import ALERTS, CHURN_OFF_ALERT, health

TOLD = ("precision", "captured", "expected", "left")

Weeks = Sequence[Mapping[str, Any]]


def watch(metrics: Metrics, services: Services, weeks: Weeks | None, *, asked: bool = True) -> None:
    """Set the gauges of the served batch; ``weeks`` as from `judged_weeks`, unless the database could not be ``asked``.

    Raises:
        ScoresError: there is no batch.
    """
    found = health(services.served.batch, weeks)
    metrics.model_age.set(math.nan if found.model_days is None else found.model_days * 86_400)
    alerts = {alert.alert for alert in found.alerts}
    # What the database tells stays as it was while it is away: an alert does not end by an outage.
    for name in ALERTS if asked else (name for name in ALERTS if name != CHURN_OFF_ALERT):
        metrics.alert.labels(name).set(name in alerts)
    for kind in ("feature", "score"):
        metrics.shifted.labels(kind).set(sum(row["shifted"] and row["kind"] == kind for row in found.drift))
    indices = dict.fromkeys(metrics.columns, math.nan) | {row["column"]: row["psi"] for row in found.drift}
    metrics.columns |= {*indices}
    for column, index in indices.items():
        # Of a column that the last model had and this one has not, nothing is known any more.
        metrics.psi.labels(column).set(index)


def judged_weeks(jobs: Jobs) -> Weeks | None:
    """Each week whose labels are closed, as the last `monitor` job told it; None before any."""
    done = jobs.page(LOCAL, states=[JobState.SUCCEEDED], kinds=["monitor"], limit=1)
    return (done[0].result or {}).get("weeks") if done else None


def last_week(weeks: Weeks) -> dict[str, float]:
    """Label -> value of ``koc_realised`` of the last of ``weeks``; nan where it is not told."""
    told = {name: math.nan if weeks[-1][name] is None else float(weeks[-1][name]) for name in TOLD}
    return {**told, "week": datetime.fromisoformat(weeks[-1]["week"]).replace(tzinfo=UTC).timestamp()}
