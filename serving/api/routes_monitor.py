"""Whether what is served is fresh, still fits its model, and turned out to be right."""

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given
from serving.api.watched import judged_weeks
from serving.monitor import ALERTS, health

router = APIRouter(prefix="/v1/monitor", tags=["models"], responses=errors())


class AlertShown(BaseModel):
    """What somebody should look at."""

    alert: str = Field(description=f"{', '.join(ALERTS)}; the label of the metric `koc_alert`, too.")
    text: str


class Drift(BaseModel):
    """How far a column has moved since the model was trained."""

    column: str
    kind: str = Field(description="`feature` or `score`.")
    psi: float = Field(description="Population stability index.")
    limit: float = Field(description="Above it the column has shifted: 0.2, chance, or twice its pace before training.")
    shifted: bool
    unknown_then: float = Field(description="Share of people without a value, at the date of training.")
    unknown_now: float


class JudgedWeek(BaseModel):
    """How the lists of one week turned out, after the horizon."""

    week: str = Field(description="Its Monday.")
    lists: int
    people: int
    precision: float | None = Field(description="Share of the members who moved somebody.")
    captured: float | None = Field(description="Share of all influence that members had, mean of the lists.")
    buyers: int = Field(description="Members with a probability of leaving.")
    expected: float | None = Field(description="Mean of these probabilities.")
    left: float | None = Field(description="Share of them who left.")


class Monitor(BaseModel):
    """Of the batch that is served."""

    model_config = example(
        batch="20240608T0000-7710ce12", model="koc/3", score_days=9.2, model_days=30.2,
        alerts=[{"alert": "old_scores", "text": "the scores are of 9 days ago; score again, or look at the schedule"}],
        drift=[{"column": "orders_42d", "kind": "feature", "psi": 0.03, "limit": 0.2, "shifted": False,
                "unknown_then": 0.0, "unknown_now": 0.0}],
        weeks=[{"week": "2024-04-15", "lists": 2, "people": 200, "precision": 0.31, "captured": 0.22, "buyers": 180,
                "expected": 0.2, "left": 0.22}],
    )  # fmt: skip

    batch: str
    model: str
    score_days: float = Field(description="Since the end of the data that was scored.")
    model_days: float | None = Field(description="Since the end of the data that the model was trained on; null: not told.")
    alerts: list[AlertShown]
    drift: list[Drift] = Field(description="The most shifted first.")
    weeks: list[JudgedWeek] | None = Field(description="Of the last `monitor` job; null before any.")


@router.get("", response_model=Monitor)
def monitor(services: Given, principal: Reader) -> Any:  # noqa: ARG001
    """What `koc monitor` tells: age of scores and model, drift since training, how past lists turned out, and alerts."""
    found = health(services.served.batch, judged_weeks(services.jobs))
    return as_json({**asdict(found), "alerts": found.alerts})
