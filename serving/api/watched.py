"""Gauges of what `koc monitor` tells: drift of the served batch, and how past lists turned out."""

from datetime import UTC, datetime

from serving.access.principal import LOCAL
from serving.api.observe import Metrics
from serving.api.services import Services
from serving.jobs.jobs import Jobs
from serving.jobs.states import JobState
from serving.monitor import health

TOLD = ("precision", "captured", "expected", "left")


def watch(metrics: Metrics, services: Services) -> None:
    """Set the gauges of the served batch.

    Raises:
        ScoresError: there is no batch.
    """
    found = health(services.served.batch, None)
    for kind in ("feature", "score"):
        metrics.shifted.labels(kind).set(sum(row["shifted"] and row["kind"] == kind for row in found.drift))
    for row in found.drift:
        metrics.psi.labels(row["column"]).set(row["psi"])


def last_week(jobs: Jobs) -> dict[str, float]:
    """What the last `monitor` job told of the last week whose labels are closed; {} before any."""
    done = jobs.page(LOCAL, states=[JobState.SUCCEEDED], kinds=["monitor"], limit=1)
    weeks = (done[0].result or {}).get("weeks", []) if done else []
    if not weeks:
        return {}
    told = {name: weeks[-1][name] for name in TOLD if weeks[-1][name] is not None}
    return {**told, "week": datetime.fromisoformat(weeks[-1]["week"]).replace(tzinfo=UTC).timestamp()}
