"""Who may not be contacted: suppressed, consent withdrawn, erased; and appeals."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.schemas_outreach import (
    Erase,
    ErasedShape,
    Lift,
    NewSuppressions,
    NewWithdrawals,
    SuppressionShape,
    SuppressionsShape,
)
from serving.api.security import Admin, Operator, Reader
from serving.api.services import Given, RequestId
from serving.outreach.suppressions import Cause

router = APIRouter(prefix="/v1", tags=["suppressions"])

UserId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.post("/suppressions", status_code=201, response_model=SuppressionsShape, responses=errors())
def suppress(services: Given, principal: Operator, request_id: RequestId, body: NewSuppressions) -> Response:
    """Keep people from being contacted, for a while or for good. Lists leave them out from now on, old ones too."""
    added = services.suppressions.add(
        principal,
        Cause.SUPPRESSED,
        body.user_ids,
        body.code,
        evidence=body.evidence,
        starts_at=body.starts_at,
        expires_at=body.expires_at,
        request_id=request_id,
    )
    return as_json({"suppressions": added}, 201)


@router.post("/consent-withdrawals", status_code=201, response_model=SuppressionsShape, responses=errors())
def withdraw(services: Given, principal: Operator, request_id: RequestId, body: NewWithdrawals) -> Response:
    """Take note that people withdrew their consent, for one channel or for all. Lifting the entry is consenting again."""
    added = services.suppressions.add(
        principal,
        Cause.CONSENT_WITHDRAWN,
        body.user_ids,
        body.code,
        channel=body.channel,
        evidence=body.evidence,
        starts_at=body.starts_at,
        request_id=request_id,
    )
    return as_json({"suppressions": added}, 201)


@router.post("/suppressions/{suppression}/lift", response_model=SuppressionShape, responses=errors(404, 409))
def lift(services: Given, principal: Operator, request_id: RequestId, suppression: Number, body: Lift) -> Response:
    """End an entry with a reason, such as an appeal that was upheld."""
    return as_json(services.suppressions.lift(principal, suppression, body.reason, request_id=request_id))


@router.get("/users/{user_id}/suppressions", response_model=SuppressionsShape, responses=errors(404))
def of_user(services: Given, principal: Reader, user_id: UserId) -> Response:
    """All entries of one person, the latest first, with past and lifted ones; empty for people nobody knows."""
    return as_json({"suppressions": services.suppressions.of(principal, user_id)})


@router.post("/erasures", response_model=ErasedShape, responses=errors())
def erase(services: Given, principal: Admin, request_id: RequestId, body: Erase) -> Response:
    """Erase a person: delete what operations keep of them, and tell which tables of the deployment still hold them."""
    return as_json(services.erasures.erase(principal, body.user_id, body.code, request_id=request_id))
