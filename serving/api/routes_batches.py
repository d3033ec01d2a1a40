"""What changed from one batch of scores to the next."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from features.errors import ForbiddenError
from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given
from serving.diff import TOP, batch_diff
from serving.outreach.suppressions import erased

router = APIRouter(prefix="/v1/batches", tags=["scores"], responses=errors())

Top = Annotated[int, Query(ge=1, le=1_000, description="Compare the first so many.")]
Name = Annotated[str | None, Query(max_length=100, pattern=r"^[0-9A-Za-z-]+$")]


class MovedPerson(BaseModel):
    """One person in both batches."""

    user_id: str
    rank_before: int | None = Field(description="From 1; null for who was not in the earlier batch.")
    rank: int | None = Field(description="From 1; null for who is not in the later batch.")
    because: str | None = Field(description="`willingness` or `reach`, whichever changed more; null where not known.")
    reason_before: str | None
    reason: str | None


_PERSON = {
    "user_id": "u31", "rank_before": 140, "rank": 12, "because": "willingness", "reason_before": None,
    "reason": "shared 9 times in 42 days",
}  # fmt: skip


class BatchDiff(BaseModel):
    """From the batch before to the batch."""

    model_config = example(
        before="20240601T0000-1f0c77aa", batch="20240608T0000-7710ce12", model_before="koc/3", model="koc/3", top=100,
        people_before=10_000, people=10_120, rank_correlation=0.97, because={"willingness": 61, "reach": 30},
        entered=[_PERSON], left=[], moved=[],
    )  # fmt: skip

    before: str
    batch: str
    model_before: str
    model: str
    top: int
    people_before: int
    people: int
    rank_correlation: float | None = Field(description="Spearman, of the people in both.")
    because: dict[str, int] = Field(description="Of people who stayed at the top, how many changed most by each side.")
    entered: list[MovedPerson]
    left: list[MovedPerson]
    moved: list[MovedPerson] = Field(description="Who stayed at the top and moved most.")


@router.get("/diff", response_model=BatchDiff)
def diff(services: Given, principal: Reader, top: Top = TOP, batch: Name = None, before: Name = None) -> Any:
    """Who entered and who left the top, by default since the batch before the one that is served, and why.

    Ranks are those of everybody, so this is not for keys that see some rows only.
    """
    if principal.row_scope:
        raise ForbiddenError("ranks are among everybody, and this key sees some rows only; use a key without --rows")
    found = batch_diff(*services.served.store.pair(batch, before), top)
    with services.database.read() as connection:
        hidden = erased(connection, found.people_named)
    shown = found.without(hidden)
    services.audit.write(
        principal, "batch.diff", shown.batch,
        model_version=shown.model, criteria={"before": shown.before, "top": top}, rows=len({*shown.people_named}),
    )  # fmt: skip
    return as_json(shown)
