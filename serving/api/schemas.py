"""Shapes of requests and answers that no other file of the API has as its own."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def example(**fields: Any) -> ConfigDict:
    """Configuration of a model with this example in the OpenAPI document."""
    return ConfigDict(json_schema_extra={"examples": [fields]})


class Alive(BaseModel):
    """The process answers."""

    model_config = example(status="alive")

    status: str


class Ready(BaseModel):
    """Whether requests can be answered, and what is missing for it: a sentence for each part, null where it is well."""

    model_config = example(ready=False, database=None, scores="no scores in .koc/scores; make some with `koc score`")

    ready: bool
    database: str | None
    scores: str | None


class ModelVersion(BaseModel):
    """A registered model."""

    model_config = example(
        name="koc",
        version=3,
        aliases=["champion"],
        created="2024-05-31T02:10:00Z",
        run_id="8c1e6b0f3b6a4f0c9c0d1e2f3a4b5c6d",
        metrics={"koc/hybrid/average_precision": 0.41},
    )

    name: str
    version: int
    aliases: list[str] = Field(description="`champion` is what is served, `challenger` what was trained last.")
    created: datetime
    run_id: str
    metrics: dict[str, float] = Field(description="Of the backtest that came with it.")


class Models(BaseModel):
    """Every registered version, the newest first."""

    models: list[ModelVersion]


class AuditEntry(BaseModel):
    """Who did what, when, with how many people."""

    model_config = example(
        entry=17,
        at="2024-05-31T02:10:00Z",
        key_id="3f9c0a52d1a9",
        action="list.export",
        subject="lst_01",
        model_version="koc/3",
        criteria={"attribute_region": ["Hangzhou"]},
        rows=200,
        request_id="6f9c0a52d1a94b6f8f1b0d2a0f3f6a10",
    )

    entry: int = Field(description="Counts up; entries are neither changed nor deleted.")
    at: datetime
    key_id: str
    action: str
    subject: str
    model_version: str | None
    criteria: dict[str, Any]
    rows: int | None
    request_id: str | None


class AuditPage(BaseModel):
    """Entries in the order in which they were written."""

    entries: list[AuditEntry]
    next: int | None = Field(description="`after` of the next page; null at the end.")
