"""The best people for some filters, at once."""

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from serving.api.problems import errors
from serving.api.schemas_lists import Asked, FilterColumn
from serving.api.security import Reader
from serving.api.services import Given
from serving.lists.criteria import plain

router = APIRouter(prefix="/v1/candidates", tags=["candidates"], responses=errors())

MOST_VALUES = 1_000
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Asked.model_json_schema(ref_template="#/components/schemas/{model}")}},
    }
}


@router.post(
    "",
    response_class=Response,
    responses={
        200: {
            "description": "An array of records with the columns of the scores, best first; `X-Batch` names the batch.",
            "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
        }
    },
    openapi_extra=_BODY,
)
async def candidates(request: Request, services: Given, principal: Reader) -> Response:
    """The best people by the scores alone; nobody is reserved. To act on them, make a list."""
    try:
        asked = Asked.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None
    batch = services.served.batch
    rows = services.previews.best(principal, batch, plain(asked.filters), asked.size, asked.by)
    return Response(batch.json(rows), media_type="application/json", headers={"X-Batch": batch.manifest.batch})


@router.get("/filters", response_model=list[FilterColumn])
def filters(services: Given, principal: Reader) -> list[FilterColumn]:
    """What filters may name: every column of numbers with its ends, every label with its values.

    `category` and `reachable` may be named besides. A key with a row scope is told only the values that it sees.
    """
    found = []
    for info in services.served.batch.columns.values():
        if info.filterable:
            mine = principal.row_scope.get(info.name)
            values = [value for value in info.values if mine is None or value in mine]
            found.append(FilterColumn.model_validate({**vars(info), "values": values[:MOST_VALUES]}))
    return found
