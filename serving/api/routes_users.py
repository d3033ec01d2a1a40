"""The score card of a user, and who matches the user."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import BaseModel, Field

from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given
from serving.cards import MOST, Card, Match

router = APIRouter(prefix="/v1/users", tags=["users"], responses=errors(404))

UserId = Annotated[str, Path(min_length=1, max_length=200, description="As in the scores.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Most matches.")]


class Potential(BaseModel):
    """What may come, whatever has been."""

    rank: int = Field(ge=1, description="Among everybody in the batch.")
    koc_score: float = Field(description="People expected to be moved within the horizon.")
    koc_percentile: float
    expected_followers: float | None = None
    expected_new: float | None = Field(None, description="Of the people expected, those whose first order it would be.")
    expected_value: float | None = Field(None, description="Minor units expected to be moved.")
    rising: float | None = Field(None, description="Influence lately against before, log2.")
    willingness: float | None = Field(None, description="What sharing, inviting and buying add to the log of the score.")
    reach: float | None = Field(None, description="What the people around and past influence add to it.")


class Activated(BaseModel):
    """What has been, whatever may come."""

    state: str = Field(description="`active`: moved somebody within the last horizon; `lapsed`: before it only; `never`.")
    since: str | None = Field(None, description="Local date of the first time.")
    people_moved: float


class Suppressed(BaseModel):
    """An entry that speaks, or once spoke, against contacting the person."""

    suppression: int
    kind: str
    channel: str | None
    code: str
    starts_at: datetime
    expires_at: datetime | None
    lifted_at: datetime | None
    lifted_because: str | None


class ScoreCard(BaseModel):
    """Everything that is known of one user."""

    model_config = example(
        user_id="u1047",
        batch="20240601T0000-1f0c77aa",
        as_of="2024-06-01T00:00:00Z",
        model="koc/3",
        potential={"rank": 12, "koc_score": 2.07, "koc_percentile": 97.9, "expected_value": 18400.0},
        activated={"state": "active", "since": "2023-11-02", "people_moved": 10.5},
        churn_probability=0.12,
        stage="active",
        attributes={"region": "Hangzhou", "tier": "gold"},
        scores={},
        reason="people moved: 3 in 42 days, 11 ever",
        reason_zh="近 42 天带动 3 人，累计 11 人",
        follow_ups=[
            {
                "influenced_id": "u2001",
                "item_id": "i88",
                "category": "beauty",
                "happened_at": "2024-05-28T11:02:00+08:00",
                "evidence": "tie",
            }
        ],
        likely_followers=[{"user_id": "u2002", "expected_follow_ups": 0.21, "probability": 0.19}],
        next_items=[
            {
                "place": 1,
                "item_id": "i91",
                "category": "beauty",
                "open_people": 9,
                "because": "bought on 2024-05-30",
                "because_zh": "2024-05-30 买过",
            }
        ],
        categories=[{"category": "beauty", "influence": 8.0}],
        history=[
            {
                "batch": "20240601T0000-1f0c77aa",
                "as_of": "2024-06-01T00:00:00",
                "model": "koc/3",
                "koc_score": 2.07,
                "koc_percentile": 97.9,
                "churn_probability": 0.12,
            }
        ],
        blocked_by=None,
        suppressions=[],
        contacts=[],
        outcomes=[],
        lists=[],
    )

    user_id: str
    batch: str
    as_of: datetime
    model: str
    potential: Potential | None = Field(description="Null where nothing tells who moved whom.")
    activated: Activated | None = Field(description="Kept apart from `potential`; null as that.")
    churn_probability: float | None = Field(
        description="Of no order within the horizon; null for who bought nothing lately."
    )
    stage: str | None
    attributes: dict[str, str | None]
    scores: dict[str, Any] = Field(description="Every other column that the model brings.")
    reason: str | None = Field(description="Null beyond the first users of a batch.")
    reason_zh: str | None
    follow_ups: list[dict[str, Any]] = Field(description="Who followed, to what and when, the latest first.")
    likely_followers: list[dict[str, Any]]
    next_items: list[dict[str, Any]] = Field(description="What to hand the user next, the best first.")
    categories: list[dict[str, Any]] = Field(description="People moved so far, by category.")
    history: list[dict[str, Any]] = Field(description="The scores of all kept batches, the latest first.")
    blocked_by: str | None = Field(description="Why nobody may contact the person now; null if nothing stands against it.")
    suppressions: list[Suppressed]
    contacts: list[dict[str, Any]]
    outcomes: list[dict[str, Any]]
    lists: list[dict[str, Any]] = Field(description="Candidate lists that the person stands on, the latest first.")


class Matched(BaseModel):
    """Somebody who is likely to move the member."""

    model_config = example(
        influencer_id="u1047", expected_follow_ups=0.21, probability=0.19, strength=3.5, koc_score=2.07, activation="active"
    )

    influencer_id: str
    expected_follow_ups: float = Field(description="Along their tie, within the horizon.")
    probability: float = Field(ge=0, le=1, description="Of at least one.")
    strength: float
    koc_score: float | None
    activation: str | None


class Matches(BaseModel):
    """Who is likeliest to move a member, the likeliest first."""

    user_id: str
    matches: list[Matched]


@router.get("/{user_id}", response_model=ScoreCard)
def card(user_id: UserId, services: Given, principal: Reader, request: Request) -> Card:
    """The score card: what may come and what has been apart, why, evidence, history, and what operations know."""
    return services.cards.card(user_id, principal, request_id=request.scope["state"]["request_id"])


@router.get("/{user_id}/matches", response_model=Matches)
def matches(user_id: UserId, services: Given, principal: Reader, request: Request, limit: Limit = MOST) -> dict[str, Any]:
    """Whom to introduce to this member: the people tied to the member who are likeliest to move them."""
    found: list[Match] = services.cards.matches(
        user_id, principal, most=limit, request_id=request.scope["state"]["request_id"]
    )
    return {"user_id": user_id, "matches": found}
