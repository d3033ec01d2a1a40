"""What candidates amount to, by category."""

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from features.errors import ForbiddenError
from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given

router = APIRouter(prefix="/v1/kpis", tags=["kpis"], responses=errors())


class Asset(BaseModel):
    """What the candidates of one category amount to; money in minor units, exact."""

    category: str | None = Field(description="Null for influence without a category, and in the total.")
    candidates: int = Field(description="People who moved somebody.")
    reached: int = Field(description="People around these by ties, or moved by them.")
    led_in: int = Field(description="People moved.")
    served: int = Field(description="Of these, people who were moved to a second thing or bought again.")
    paid: int = Field(description="Of those led in, people who paid.")
    won: int = Field(description="People whose first order it was.")
    amount: int = Field(description="Credited for orders of others.")
    cost: int | None = Field(description="Rewards that are money, and contacts; null where none are known.")
    lead_in_rate: float | None = Field(description="`led_in` over `reached`.")
    service_rate: float | None = Field(description="`served` over `led_in`.")
    cash_in_rate: float | None = Field(description="`paid` over `led_in`.")
    acquisition_cost: float | None = Field(description="`cost` over `won`.")
    lifetime_value_each: float | None = Field(description="Mean expected within 365 days of each person won.")


_BEAUTY = {
    "category": "beauty", "candidates": 120, "reached": 2400, "led_in": 600, "served": 150, "paid": 480, "won": 90,
    "amount": 5_432_100, "cost": 270_000, "lead_in_rate": 0.25, "service_rate": 0.25, "cash_in_rate": 0.8,
    "acquisition_cost": 3000.0, "lifetime_value_each": 18_250.5,
}  # fmt: skip


class Kpis(BaseModel):
    """The ledger of assets as of a batch."""

    model_config = example(
        batch="20240601T0000-1f0c77aa",
        model="koc/3",
        as_of="2024-06-01T00:00:00Z",
        categories=[_BEAUTY],
        total={**_BEAUTY, "category": None},
    )

    batch: str
    model: str
    as_of: datetime
    categories: list[Asset]
    total: Asset = Field(description="People counted once; money is the sum of the categories.")


@router.get("", response_model=Kpis)
def kpis(services: Given, principal: Reader) -> dict[str, Any]:
    """Amounts, costs and rates of all candidates by category; of everybody, so not for keys that see some rows only."""
    if principal.row_scope:
        raise ForbiddenError(
            "the ledger of assets is of everybody, and this key sees some rows only; use a key without --rows"
        )
    batch = services.served.batch
    rows = batch.kpis().to_pylist()
    return {
        "batch": batch.manifest.batch,
        "model": batch.manifest.model,
        "as_of": datetime.fromisoformat(batch.manifest.as_of).replace(tzinfo=UTC),
        "categories": [row for row in rows if row["scope"] == "category"],
        "total": next(row for row in rows if row["scope"] == "total"),
    }
