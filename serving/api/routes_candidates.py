"""The best people for some filters, at once."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from serving.access.principal import Principal, Scope
from serving.api.problems import errors
from serving.api.schemas_lists import Asked, FilterColumn
from serving.api.security import Needs, Reader
from serving.api.services import Given, Services
from serving.lists.criteria import plain
from serving.lists.scope import seen

router = APIRouter(prefix="/v1/candidates", tags=["candidates"], responses=errors())

MOST_VALUES = 1_000
_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Asked.model_json_schema(ref_template="#/components/schemas/{model}")}},
    }
}


class _Direct(APIRoute):
    """Calls its endpoint with the request alone: to find out what else it takes would last as long as the whole answer.

    Dependencies are described in the OpenAPI document, and left to the endpoint.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        endpoint: Callable[[Request], Coroutine[Any, Any, Response]] = self.endpoint
        return endpoint


async def candidates(request: Request) -> Response:
    """The best people by the scores alone; nobody is reserved. To act on them, make a list."""
    services: Services = request.app.state.services
    principal: Principal = request.scope["state"]["principal"]
    principal.require(Scope.READ)
    try:
        asked = Asked.model_validate_json(await request.body())
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in error.errors()]) from None
    batch, filters, previews = services.served.batch, plain(asked.filters), services.previews
    out = previews.stopped_lately(batch, filters)
    if out is None:
        rows = await run_in_threadpool(previews.best, principal, batch, filters, asked.size, asked.by)
    else:
        rows = previews.best(principal, batch, filters, asked.size, asked.by, out)
    made_of = {"X-Batch": batch.manifest.batch, "X-Model": batch.manifest.model}
    return Response(batch.json(rows), media_type="application/json", headers=made_of)


router.add_api_route(
    "",
    candidates,
    methods=["POST"],
    response_class=Response,
    responses={
        200: {
            "description": "Records with the columns of the scores, best first; `X-Batch` and `X-Model` name the "
            "batch and its model.",
            "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
        }
    },
    openapi_extra=_BODY,
    dependencies=[Depends(Needs(Scope.READ))],
    route_class_override=_Direct,
)


@router.get("/filters", response_model=list[FilterColumn])
def filters(services: Given, principal: Reader) -> list[FilterColumn]:
    """What filters may name: every column of numbers with its ends, every label with its values.

    `category` and `reachable` may be named besides. A key with a row scope is told values and ends of people whom it sees.
    """
    batch = services.served.batch
    asked = [info for info in batch.columns.values() if info.filterable]
    if principal.row_scope:
        who = seen(batch, principal)
        asked = [batch.info(info.name, who) for info in asked]
    return [FilterColumn.model_validate({**vars(info), "values": info.values[:MOST_VALUES]}) for info in asked]
