"""Contacts and outcomes come in, results of lists go out."""

from typing import Annotated

from fastapi import APIRouter, Header, Path, Response

from serving.api.answers import as_json
from serving.api.problems import errors, problem
from serving.api.schemas_outreach import Contacts, OutcomesBody, Report, ResultsShape
from serving.api.security import Operator, Reader
from serving.api.services import Given, RequestId
from serving.outreach.posted import KEY_IN_USE, Posted

router = APIRouter(prefix="/v1", tags=["outreach"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=150,
        pattern=r"^[\x21-\x7e]+$",
        description="Names the post, so that it can be sent again; with the position it is the key of records without one.",
    ),
]
ListId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
SHOWN = 3


@router.post("/outreach", response_model=Report, responses=errors(409))
def outreach(
    services: Given, principal: Operator, request_id: RequestId, body: Contacts, idempotency_key: IdempotencyKey = None
) -> Response:
    """Keep contacts, each once under its key.

    Refused are contacts with people who are held out, suppressed, erased or above the monthly cap, who withdrew their
    consent for the channel, or who are reserved for another list, and contacts for a list that had ended. A contact that
    has happened all the same is kept with `already_happened`. Of a post of several records those that can be kept are; 409
    or 422 says that none was.
    """
    posted = services.outreach.record(principal, body.records, idempotency_key=idempotency_key, request_id=request_id)
    return reported(posted, request_id)


@router.post("/outcomes", response_model=Report, responses=errors(409))
def outcomes(
    services: Given, principal: Operator, request_id: RequestId, body: OutcomesBody, idempotency_key: IdempotencyKey = None
) -> Response:
    """Keep what people did, each record once under its key: of those held out too, since results compare both.

    Of a post of several records those that can be kept are; 409 or 422 says that none was.
    """
    posted = services.outcomes.record(principal, body.records, idempotency_key=idempotency_key, request_id=request_id)
    return reported(posted, request_id)


@router.get("/candidate-lists/{list_id}/results", response_model=ResultsShape, responses=errors(404))
def results(services: Given, principal: Reader, list_id: ListId) -> Response:
    """What contacted and held-out people did since the list was made, and the difference with its 95 % interval."""
    return as_json(services.results.of(principal, list_id))


def reported(posted: Posted, request_id: str | None) -> Response:
    """The report; a problem where nothing at all was kept."""
    if not posted.nothing_taken:
        return as_json(
            {
                "accepted": posted.accepted,
                "repeated": posted.repeated,
                "rejected": [vars(one) for one in posted.rejected],
                "against": dict(posted.against),
            }
        )
    status = 409 if all(one.reason == KEY_IN_USE for one in posted.rejected) else 422
    found = [
        {"field": f"body.records.{one.position}", "value": one.user_id, "message": f"{one.reason}: {one.remedy}"}
        for one in posted.rejected
    ]
    said = "; ".join(one.remedy for one in posted.rejected[:SHOWN])
    more = f"; and {len(posted.rejected) - SHOWN:,} more" if len(posted.rejected) > SHOWN else ""
    return problem(status, f"{said}{more}", request_id=request_id, kind="nothing-kept", errors=found)
