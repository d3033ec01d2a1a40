"""The daily work of staff, and spreadsheets that come back."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response, UploadFile

from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.schemas_lists import ReturnedShape, StaffShape, WorklistShape
from serving.api.security import Operator, Reader
from serving.api.services import Given, RequestId
from serving.api.uploads import on_disk

router = APIRouter(prefix="/v1", tags=["worklists"])

_ONE_LINE = r"^[^\x00-\x1f\x7f]+$"


@router.get("/worklists", response_model=StaffShape, responses=errors())
def staff(services: Given, principal: Reader) -> Response:
    """Who of staff has how many people to work on."""
    return as_json({"staff": services.worklists.staff(principal)})


@router.get("/worklists/{staff}", response_model=WorklistShape, responses=errors(404))
def worklist(
    services: Given,
    principal: Reader,
    request_id: RequestId,
    staff: Annotated[str, Path(min_length=1, max_length=200, pattern=_ONE_LINE)],
    list_id: Annotated[
        str | None, Query(min_length=1, max_length=200, pattern=_ONE_LINE, description="Of one list.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 50,
) -> Response:
    """Whom a member of staff should talk to next: with an item, the reason, and words to say in Chinese."""
    return as_json(services.worklists.of(principal, staff, list_id=list_id, limit=limit, request_id=request_id))


@router.post("/returned-exports", response_model=ReturnedShape, responses=errors())
def returned(services: Given, principal: Operator, request_id: RequestId, file: UploadFile) -> Response:
    """Take back an export with `state` and `state_reason` filled in, of any lists.

    Rows that cannot be carried out are told with their number and what to do; the others are.
    """
    # What reads files takes a second to load, and few processes are ever sent one.
    from serving.lists.returned import take_back

    with on_disk(file) as path:
        return as_json(take_back(services.members, principal, path, request_id=request_id))
