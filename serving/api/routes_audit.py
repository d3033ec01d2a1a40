"""The audit log."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Query

from serving.api.problems import errors
from serving.api.schemas import AuditEntry, AuditPage
from serving.api.security import Admin
from serving.api.services import Given
from serving.moments import Written

router = APIRouter(prefix="/v1/audit", tags=["audit"], responses=errors())

Since = Annotated[datetime | None, Written, Query(description="Entries from this moment on; without a zone, UTC.")]
Until = Annotated[datetime | None, Written, Query(description="Entries before this moment; without a zone, UTC.")]
Key = Annotated[str | None, Query(description="Id of a key, or `local` for the command line.")]
Action = Annotated[str | None, Query(description="A whole action, or its noun: `list` for `list.create` and the others.")]
After = Annotated[int, Query(ge=0, le=2**63 - 1, description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=10_000, description="Most entries of a page.")]


@router.get("", response_model=AuditPage)
def audit(
    services: Given,
    principal: Admin,  # noqa: ARG001
    since: Since = None,
    until: Until = None,
    key: Key = None,
    action: Action = None,
    after: After = 0,
    limit: Limit = 1000,
) -> AuditPage:
    """Who did what, in the order in which it was done."""
    found = services.audit.read(since=_utc(since), until=_utc(until), key=key, action=action, after=after, limit=limit + 1)
    page = found[:limit]
    entries = [AuditEntry.model_validate(vars(entry)) for entry in page]
    return AuditPage(entries=entries, next=page[-1].entry if len(found) > limit else None)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
