"""Scores of given users from the freshest events."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given
from serving.live import MOST_USERS, LiveScores

router = APIRouter(prefix="/v1/scores", tags=["scores"], responses=errors())

UserId = Annotated[str, Field(min_length=1, max_length=200)]


class Wanted(BaseModel):
    """Whom to score."""

    model_config = example(user_ids=["u1047", "u9001"])

    user_ids: list[UserId] = Field(min_length=1, max_length=MOST_USERS)
    model: str | None = Field(
        None, max_length=100, description="A version or an alias, such as `challenger`; by default that of the batch."
    )


class Unknown(BaseModel):
    """Somebody without a score."""

    user_id: str
    reason: str


class Fresh(BaseModel):
    """Scores as of the end of the data, and how they compare with the batch that is served."""

    model_config = example(
        as_of="2024-06-01T09:30:00Z",
        model="koc/3",
        batch="20240601T0000-1f0c77aa",
        batch_as_of="2024-06-01T00:00:00Z",
        batch_model="koc/3",
        scores=[
            {
                "user_id": "u1047",
                "koc_score": 2.31,
                "koc_percentile": 98.2,
                "activation": "active",
                "churn_probability": 0.12,
                "stage": "active",
                "reason": "people moved: 3 in 42 days, 11 ever",
                "reason_zh": "近 42 天带动 3 人，累计 11 人",
                "batch_koc_score": 2.07,
                "change": 0.24,
            }
        ],
        unknown=[{"user_id": "u9001", "reason": "no act before 2024-06-01 09:30:00"}],
    )

    as_of: datetime
    model: str
    batch: str | None = Field(description="What is compared with; null before the first batch.")
    batch_as_of: datetime | None
    batch_model: str | None
    scores: list[dict[str, Any]] = Field(
        description="In the order asked for: the columns of a batch, `batch_koc_score`, and by how much the score is above "
        "it, `change`; both are null for people whom the batch does not know."
    )
    unknown: list[Unknown] = Field(description="Everybody asked for who has no score, with the reason.")


@router.post("", response_model=Fresh)
def scores(wanted: Wanted, services: Given, principal: Reader, request: Request) -> LiveScores:
    """Score users now, also those who appeared after the last batch.

    Features depend on the people around, so that a change of any source means to make those of everybody: the first request
    after it waits, and is told to come back (503, `Retry-After`) if that takes long.
    """
    return services.live.score(
        wanted.user_ids, principal, model=wanted.model, request_id=request.scope["state"]["request_id"]
    )
