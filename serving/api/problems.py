"""Errors as RFC 9457 problem details: what was wrong, where, and what to do."""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from features.errors import (
    AccessError,
    ConflictError,
    ForbiddenError,
    KocError,
    LiveError,
    NoScoresError,
    NotFoundError,
    SpoiltScoresError,
    StateError,
    TrackingError,
)

MEDIA_TYPE = "application/problem+json"
_PARAMETER = re.compile(r"\{[^}]*\}")
STATUS: dict[type[KocError], HTTPStatus] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    ConflictError: HTTPStatus.CONFLICT,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    AccessError: HTTPStatus.UNAUTHORIZED,
    LiveError: HTTPStatus.SERVICE_UNAVAILABLE,
    NoScoresError: HTTPStatus.SERVICE_UNAVAILABLE,
    SpoiltScoresError: HTTPStatus.SERVICE_UNAVAILABLE,
    StateError: HTTPStatus.SERVICE_UNAVAILABLE,
    TrackingError: HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Of an error or the nearest class above it; any other one is about what was asked: 422."""


class FieldProblem(BaseModel):
    """One value of a request that cannot be used."""

    field: str = Field(description="Where the value stands, such as `body.size` or `query.limit`.")
    value: Any = Field(None, description="The value met; left out where it is long or missing.")
    message: str = Field(description="What is wrong with it and what would be right.")


class Problem(BaseModel):
    """Why a request was not answered, after RFC 9457."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "type": "urn:koc:not-found",
                    "title": "Not Found",
                    "status": 404,
                    "detail": "user 'u17' is not in batch 20240531T0000-1f0c; check the id, or score again",
                    "request_id": "6f9c0a52d1a94b6f8f1b0d2a0f3f6a10",
                }
            ]
        }
    )

    type: str = Field(description="The kind of problem, the same for every problem of a kind.")
    title: str = Field(description="The HTTP status in words.")
    status: int = Field(ge=400, le=599)
    detail: str = Field(description="What was met, where, and what to do.")
    request_id: str | None = Field(None, description="Also in `X-Request-ID` and in the logs.")
    errors: list[FieldProblem] | None = Field(None, description="The values that cannot be used, one by one.")


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """``responses`` of a router or route: these problems, and those that any request may meet."""
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: schema}}
        for status in sorted({*statuses, 401, 403, 422, 429, 500, 503})
    }


def problem(
    status: int,
    detail: str,
    *,
    request_id: str | None = None,
    kind: str | None = None,
    errors: Sequence[Mapping[str, Any]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """The response. ``kind``: in ``type``, by default the status in words."""
    status, title = int(status), HTTPStatus(status).phrase
    content: dict[str, Any] = {
        "type": f"urn:koc:{kind or re.sub('[^a-z]+', '-', title.lower())}",
        "title": title,
        "status": status,
        "detail": detail,
    }
    if request_id is not None:
        content["request_id"] = request_id
    if errors is not None:
        content["errors"] = list(errors)
    headers = dict(headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(orjson.dumps(content, default=str), status, headers, MEDIA_TYPE)


def of_error(error: KocError, request_id: str | None) -> Response:
    """The problem that one of our errors is."""
    nearest = next((kind for kind in type(error).__mro__ if kind in STATUS), None)
    status = HTTPStatus.UNPROCESSABLE_ENTITY if nearest is None else STATUS[nearest]
    after = error.retry_after if isinstance(error, LiveError) else None
    return problem(status, str(error), request_id=request_id, headers={"Retry-After": str(after)} if after else None)


def install(app: FastAPI) -> None:
    """Let ``app`` answer every error that a handler can meet with a problem; `serving.api.observe` does so for the rest."""
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)


async def _koc_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, KocError)
    return of_error(error, _id(request))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    method, path = request.method, request.url.path
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = _allowed(request) or headers.get("Allow", "")
    detail = {
        404: f"there is nothing at {path}; /docs lists what there is",
        405: f"{path} does not answer {method}; /docs lists what it answers",
    }.get(error.status_code, error.detail)
    return problem(error.status_code, detail, request_id=_id(request), headers=headers)


def _allowed(request: Request) -> str:
    """The methods of all operations at the path, where a router knows of those of one; a path without parameters first."""
    paths, asked = request.app.openapi()["paths"], request.url.path
    at = [asked] if asked in paths else [path for path in paths if re.fullmatch(_PARAMETER.sub("[^/]+", path), asked)]
    return ", ".join(sorted({method.upper() for path in at for method in paths[path]}))


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    found = [_field(entry) for entry in error.errors()]
    detail = "; ".join(f"{entry['field']}: {entry['message']}" for entry in found[:3])
    more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
    return problem(422, f"{detail}{more}", request_id=_id(request), kind="invalid-request", errors=found)


def _field(entry: Mapping[str, Any]) -> dict[str, Any]:
    message = str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "extra_forbidden":
        message = "there is no such field; /docs lists those that there are"
    found: dict[str, Any] = {"field": ".".join(map(str, entry["loc"])), "message": message}
    value = entry.get("input")
    # Of whole numbers those that the encoder can write.
    short = isinstance(value, float | bool) or (isinstance(value, int) and abs(value) < 2**63)
    if entry["type"] != "missing" and (short or (isinstance(value, str) and len(value) <= 200)):
        found["value"] = value
    return found


async def _database_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    return of_database(error, _id(request))


def of_database(error: SQLAlchemyError, request_id: str | None) -> Response:
    """The problem that the operations database does not answer, or has taken something else; logged with what it said."""
    structlog.get_logger().error("database", request_id=request_id, error=str(error))
    if isinstance(error, IntegrityError):
        said = "another request has changed the same at the same time, and nothing of this one is kept; ask again"
        return problem(409, said, request_id=request_id, kind="changed-meanwhile")
    said = "the operations database does not answer; ask again shortly, and see /readyz"
    return problem(503, said, request_id=request_id, kind="database", headers={"Retry-After": "5"})


def _id(request: Request) -> str | None:
    found: str | None = request.scope.get("state", {}).get("request_id")
    return found


HANDLERS: dict[type[Exception], Callable[[Request, Exception], Any]] = {
    KocError: _koc_error,
    HTTPException: _http_error,
    RequestValidationError: _validation_error,
    DBAPIError: _database_error,
    PoolTimeout: _database_error,
}
