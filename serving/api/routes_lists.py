"""Candidate lists: made, read, exported, worked and explained."""

from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Form, Path, Query, Response, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import ValidationError

from features.errors import ListError
from serving.access.principal import Principal
from serving.api.answers import as_json
from serving.api.problems import errors
from serving.api.schemas_lists import (
    AssignBody,
    AssignedShape,
    EligibilityBody,
    HistoryShape,
    ListShape,
    ListsShape,
    MembersPage,
    MoveBody,
    MovedShape,
    NewList,
    WhyShape,
)
from serving.api.security import Operator, Reader
from serving.api.services import Given, RequestId, Services
from serving.api.uploads import on_disk
from serving.lists.exports import Form as FileForm
from serving.lists.lists import CandidateList
from serving.lists.pages import LONGEST_PAGE, Part
from serving.moments import Written

router = APIRouter(prefix="/v1", tags=["lists"])

MOST_AT_ONCE = 20_000
"""Rows of a list that a request waits for."""

_ONE_LINE = r"^[^\x00-\x1f\x7f]+$"
ListId = Annotated[str, Path(min_length=1, max_length=200, pattern=_ONE_LINE)]
UserId = Annotated[str, Path(min_length=1, max_length=200, pattern=_ONE_LINE, description="As in the scores.")]
Arm = Annotated[Part, Query(description="The arm to contact, the one held out, or both.")]


@router.post("/candidate-lists", response_model=ListShape, status_code=201, responses=errors(404))
def create(services: Given, principal: Operator, request_id: RequestId, body: NewList) -> Response:
    """Make a list and reserve its people until it ends; what could not be met is in `shortfalls`.

    A list of more than 20,000 people is made by a job: POST /v1/jobs.
    """
    return _made(services, principal, request_id, body, ())


@router.post("/candidate-lists/with-file", response_model=ListShape, status_code=201, responses=errors(404))
def create_with_file(
    services: Given,
    principal: Operator,
    request_id: RequestId,
    body: Annotated[str, Form(description="As of POST /v1/candidate-lists, as JSON.")],
    exclude: UploadFile,
    column: Annotated[str | None, Form(max_length=200, description="Where the ids stand; by default it is guessed.")] = None,
) -> Response:
    """Make a list without the people of a file: .csv, .tsv, .txt, .xlsx or .parquet with a column of user ids."""
    # What reads files takes a second to load, and few processes are ever sent one.
    from serving.lists.people_file import excluded_in

    try:
        asked = NewList.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**one, "loc": ("body", "body", *one["loc"])} for one in error.errors()]) from None
    with on_disk(exclude) as path:
        people = excluded_in(path, services.served.batch, column or None)
    return _made(services, principal, request_id, asked, people.ids)


@router.get("/candidate-lists", response_model=ListsShape, responses=errors())
def lists(
    services: Given,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
    before: Annotated[
        datetime | None, Written, Query(description="`next_before` of the page before; without a zone, UTC.")
    ] = None,
) -> Response:
    """Lists that the key sees, the latest first, without the ids that they exclude."""
    if before is not None and before.tzinfo is None:
        before = before.replace(tzinfo=UTC)
    found, more = services.lists.all(principal, limit=limit, before=before)
    last = found[-1].created_at if found and more else None
    return as_json({"lists": [_told(one, brief=True) for one in found], "next_before": last})


@router.get("/candidate-lists/{list_id}", response_model=ListShape, responses=errors(404))
def one_list(services: Given, principal: Reader, list_id: ListId) -> Response:
    """A list, and how many people its reads leave out by now."""
    return _shown(services, principal, services.lists.get(principal, list_id))


@router.get("/candidate-lists/{list_id}/members", response_model=MembersPage, responses=errors(404))
def members(
    services: Given,
    principal: Reader,
    request_id: RequestId,
    list_id: ListId,
    after: Annotated[str | None, Query(max_length=500, description="`next_cursor` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=LONGEST_PAGE)] = 100,
    part: Arm = Part.CONTACT,
) -> Response:
    """The rows of a list, page by page: none comes twice and none is missed, whatever is scored meanwhile."""
    page = services.pages.page(principal, list_id, after=after, limit=limit, part=part, request_id=request_id)
    return as_json(page)


@router.get(
    "/candidate-lists/{list_id}/export",
    response_class=Response,
    responses={
        **errors(404),
        200: {
            "description": "The file; `X-Rows` and `X-Taken-Out` tell how many people are in it and who is not.",
            "content": {
                form.media_type.partition(";")[0]: {"schema": {"type": "string", "format": "binary"}} for form in FileForm
            },
        },
    },
)
def export(
    services: Given,
    principal: Reader,
    request_id: RequestId,
    list_id: ListId,
    form: Annotated[FileForm, Query(description="CSV that Excel opens, Parquet or Excel.")] = FileForm.CSV,
    part: Arm = Part.CONTACT,
) -> StreamingResponse:
    """The people to contact as a file; those held out only if asked for.

    `state` and `state_reason` are to be filled in and returned with POST /v1/returned-exports. Texts that a spreadsheet
    would compute begin with an apostrophe in CSV and Excel.
    """
    made = services.exports.export(principal, list_id, form, part=part, request_id=request_id)
    headers = {
        "Content-Disposition": f'attachment; filename="{made.name}"',
        "X-Rows": str(made.rows),
        "X-Taken-Out": orjson.dumps(made.taken_out).decode(),
    }
    return StreamingResponse(made.chunks, media_type=form.media_type, headers=headers)


@router.post("/candidate-lists/{list_id}/close", response_model=ListShape, responses=errors(404, 409))
def close(services: Given, principal: Operator, request_id: RequestId, list_id: ListId) -> Response:
    """End a list now: its people are free for others."""
    return _shown(services, principal, services.lists.close(principal, list_id, request_id=request_id))


@router.post("/candidate-lists/{list_id}/assign", response_model=AssignedShape, responses=errors(404))
def assign(services: Given, principal: Operator, request_id: RequestId, list_id: ListId, body: AssignBody) -> Response:
    """Give people to staff: by owner, by rule, in turn, or by hand."""
    return as_json(services.members.assign(principal, list_id, body.how, again=body.again, request_id=request_id))


@router.post("/candidate-lists/{list_id}/states", response_model=MovedShape, responses=errors(404, 409))
def move(services: Given, principal: Operator, request_id: RequestId, list_id: ListId, body: MoveBody) -> Response:
    """Note where people now stand: all of them, or after an error nobody.

    Forward from `selected` over `surveyed`, `added` and `in_group` to `active`, also in longer steps; back from `active` to
    `in_group` and from there to `added`; out to `unsuitable` from anywhere, and from there to `selected`, with a reason.
    """
    moved = services.members.move(principal, list_id, body.user_ids, body.state, body.reason, request_id=request_id)
    return as_json({"members": moved})


@router.get("/candidate-lists/{list_id}/members/{user_id}/history", response_model=HistoryShape, responses=errors(404))
def history(services: Given, principal: Reader, list_id: ListId, user_id: UserId) -> Response:
    """What happened to a person on a list."""
    return as_json({"events": services.members.history(principal, list_id, user_id)})


@router.get("/candidate-lists/{list_id}/why/{user_id}", response_model=WhyShape, responses=errors(404))
def why(services: Given, principal: Reader, list_id: ListId, user_id: UserId) -> Response:
    """Why a person is, or is not, on a list: every rule, and the first that fails."""
    return as_json(services.eligibility.why(principal, list_id, user_id))


@router.post("/eligibility", response_model=WhyShape, responses=errors(404))
def eligibility(services: Given, principal: Reader, body: EligibilityBody) -> Response:
    """Whether a list made now could have a person, and the first rule that fails."""
    return as_json(services.eligibility.check(principal, body.criteria, body.user_id))


def _made(services: Services, principal: Principal, request_id: str | None, body: NewList, excluded: Any) -> Response:
    if body.criteria.size > MOST_AT_ONCE:
        raise ListError(
            f"size {body.criteria.size:,} is above {MOST_AT_ONCE:,}, which a request waits for; make the list with "
            'POST /v1/jobs, {"kind": "list", "arguments": {...}}'
        )
    made = services.lists.create(principal, body.criteria, name=body.name, excluded=excluded, request_id=request_id)
    return as_json({**_told(made), "taken_out": {}}, 201)


def _shown(services: Services, principal: Principal, found: CandidateList) -> Response:
    _, taken_out = services.pages.counts(principal, found)
    return as_json({**_told(found), "taken_out": taken_out})


def _told(found: CandidateList, *, brief: bool = False) -> dict[str, Any]:
    criteria = found.criteria.model_dump(mode="json", exclude_defaults=True)
    if brief and "user_ids" in criteria.get("exclude", {}):
        criteria["exclude"].pop("user_ids")
    return {**vars(found), "criteria": criteria}
