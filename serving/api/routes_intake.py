"""People come in: external contacts that staff have added, and applications from a form."""

import tempfile
from pathlib import Path as File
from typing import Annotated
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends, Form, Path, Query, Response, UploadFile

from features.errors import ListError
from serving.access.principal import Principal, Scope
from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.routes_outreach import reported
from serving.api.schemas_outreach import ApplicationPage, ApplicationShape, Report, RosterBody
from serving.api.security import Needs, Operator, Reader
from serving.api.services import Given, RequestId
from serving.outreach.applications import Application, Person

router = APIRouter(prefix="/v1", tags=["intake"])

Identifier = Annotated[Principal, Depends(Needs(Scope.IDENTIFY))]
ApplicationId = Annotated[str, Path(min_length=1, max_length=200, pattern=r"^[^\x00]+$")]
After = Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$", description="`next` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=1_000, description="Most applications of a page.")]
Zone = Annotated[str, Form(description="Of times that do not carry their own, such as `Asia/Shanghai`.")]
SUFFIXES = (".csv", ".xlsx", ".tsv", ".txt")


@router.post("/roster", response_model=Report, responses=errors())
def roster(services: Given, principal: Operator, request_id: RequestId, body: RosterBody) -> Response:
    """Bring in external contacts, such as those of WeCom. The same record again changes nothing; a new one updates."""
    return reported(services.roster.bring_in(principal, body.records, request_id=request_id), request_id)


@router.post("/roster/file", response_model=Report, responses=errors())
def roster_file(
    services: Given, principal: Operator, request_id: RequestId, file: UploadFile, zone: Zone = "Asia/Shanghai"
) -> Response:
    """Bring in external contacts from a CSV file or spreadsheet, under our names of columns or those of WeCom."""
    # What reads files takes a second to load, and few processes are ever sent one.
    from serving.outreach.roster_file import read_roster

    suffix = next((ending for ending in SUFFIXES if (file.filename or "").lower().endswith(ending)), None)
    if suffix is None:
        raise ListError(f"{file.filename!r} is none of {', '.join(SUFFIXES)}; save it as one of these")
    if zone not in available_timezones():
        raise ListError(f"unknown zone {zone!r}; use a name such as 'Asia/Shanghai'")
    with tempfile.TemporaryDirectory(prefix="koc-roster-") as folder:
        path = File(folder) / f"roster{suffix}"
        path.write_bytes(file.file.read())
        records = read_roster(path, zone)
    return reported(services.roster.bring_in(principal, records, request_id=request_id), request_id)


@router.post(
    "/applications",
    status_code=201,
    response_model=ApplicationShape,
    responses={200: {"model": ApplicationShape, "description": "It was kept before."}, **errors(409)},
)
def apply(services: Given, principal: Operator, request_id: RequestId, body: Application) -> Response:
    """Keep a filled-in form: what the person can do, and apart from it who they are."""
    applied = services.applications.add(principal, body, request_id=request_id)
    return as_json(_shown(applied), 200 if applied.repeated else 201)


@router.get("/applications", response_model=ApplicationPage, responses=errors())
def applications(services: Given, principal: Reader, after: After = "", limit: Limit = 100) -> Response:
    """Applications by id, without the persons."""
    found = services.applications.all(principal, limit=limit + 1, after=after)
    page = found[:limit]
    following = page[-1].application_id if len(found) > limit else None
    return as_json({"applications": [_shown(one) for one in page], "next": following})


@router.get("/applications/{application_id}", response_model=ApplicationShape, responses=errors(404))
def application(services: Given, principal: Reader, application_id: ApplicationId) -> Response:
    """One application, without the person."""
    return as_json(_shown(services.applications.get(principal, application_id)))


@router.get("/applications/{application_id}/person", response_model=Person, responses=errors(404))
def person(services: Given, principal: Identifier, request_id: RequestId, application_id: ApplicationId) -> Response:
    """Who applied, for keys with scope `identify`; the audit log keeps who asked."""
    return as_json(services.applications.person(principal, application_id, request_id=request_id).model_dump())


def _shown(applied: object) -> dict[str, object]:
    return {**vars(applied), "answers": vars(applied)["answers"].model_dump()}
