"""Communities: how they are made up, what they are worth, whether they will last, and who could lead them."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given
from serving.community_pages import SortBy, Wanted, page, unnamed

router = APIRouter(prefix="/v1/communities", tags=["communities"], responses=errors())

Word = Annotated[str | None, Query(max_length=200)]


class CommunityPage(BaseModel):
    """Communities of one batch; docs/communities.md tells what each column means."""

    model_config = example(
        batch="20240601T0000-1f0c77aa",
        model="koc/3",
        as_of="2024-06-01T00:00:00Z",
        total=1,
        next=None,
        communities=[
            {
                "community_id": "c0417",
                "source": "given",
                "kind": "wecom_group",
                "origin": "event",
                "members": 62,
                "size_band": "to_149",
                "value_per_head": 51230.0,
                "leaderless": True,
                "candidate_id": "u1047",
                "candidate_moves": 0.8,
                "survival_90d": 0.31,
                "survival_base_rate": 0.36,
                "survival_counted": 140,
            }
        ],
    )

    batch: str
    model: str
    as_of: datetime
    total: int = Field(description="Communities that pass the filters, on all pages.")
    next: int | None = Field(description="`start` of the next page; null after the last.")
    communities: list[dict[str, Any]]


@router.get("", response_model=CommunityPage)
def communities(
    services: Given,
    principal: Reader,
    kind: Word = None,
    origin: Word = None,
    space: Word = None,
    size_band: Word = None,
    leaderless: bool | None = None,
    alive: bool | None = None,
    by: SortBy = SortBy.VALUE,
    rising: Annotated[bool, Query(description="The lowest first.")] = False,
    start: Annotated[int, Query(ge=0, le=100_000_000)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> CommunityPage:
    """Communities of the current batch, the highest value per head first.

    A key with a row scope sees the communities that are the main one of somebody whom it sees, and of the people named
    those whom it sees. People who were erased, or whom nobody may contact now, are not named.
    """
    batch = services.served.batch
    wanted = Wanted(kind, origin, space, size_band, leaderless, alive, by, rising, start, limit)
    found = page(batch, wanted, principal)
    with services.database.read() as connection:
        rows = unnamed(found.rows, connection, datetime.now(UTC))
    return CommunityPage(
        batch=batch.manifest.batch,
        model=batch.manifest.model,
        as_of=datetime.fromisoformat(batch.manifest.as_of).replace(tzinfo=UTC),
        total=found.total,
        next=found.next,
        communities=rows.to_pylist(),
    )
