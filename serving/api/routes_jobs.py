"""Jobs: batch scoring, long lists and training, asked for here and done by workers."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.api.problems import errors
from serving.api.schemas import example
from serving.api.security import Reader
from serving.api.services import Given, RequestId
from serving.jobs.jobs import Job
from serving.jobs.states import JobState
from serving.jobs.work import ListArguments, MonitorArguments, ScoreArguments, TrainArguments

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=errors())


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ScoreJob(_Asked):
    """Score everybody and make that the batch that is served; needs scope `train`."""

    kind: Literal["score"]
    arguments: ScoreArguments = ScoreArguments()


class ListJob(_Asked):
    """Make a list of any size; needs scope `operate`. The id of the list is that of the job."""

    kind: Literal["list"]
    arguments: ListArguments


class TrainJob(_Asked):
    """Judge the models on past dates, fit and register one as challenger; needs scope `train`."""

    kind: Literal["train"]
    arguments: TrainArguments = TrainArguments()


class MonitorJob(_Asked):
    """Tell how past lists turned out, which `/metrics` shows; needs scope `train`."""

    kind: Literal["monitor"]
    arguments: MonitorArguments = MonitorArguments()


JobAsked = Annotated[ScoreJob | ListJob | TrainJob | MonitorJob, Field(discriminator="kind")]
EXAMPLES = {
    "score": {"summary": "Nightly scores", "value": {"kind": "score", "arguments": {"model": "champion"}}},
    "list": {
        "summary": "A long list",
        "value": {
            "kind": "list",
            "arguments": {"name": "spring", "criteria": {"size": 100_000, "filters": {"koc_percentile": {"min": 50}}}},
        },
    },
    "train": {"summary": "A challenger", "value": {"kind": "train", "arguments": {"settings": {"dates": 6}}}},
}


class JobAnswer(BaseModel):
    """Where a job stands."""

    model_config = example(
        job_id="5b0f1c0e8d4a4a6c9c55f0a1f0d2b7aa",
        kind="score",
        arguments={"model": "champion", "as_of": None},
        state="running",
        progress=0.62,
        step="2024-05-31: what the models say",
        attempts=1,
        most_attempts=3,
        cancel_asked=False,
        result=None,
        error=None,
        created_by="3f9c0a52d1a9",
        created_at="2024-05-31T02:00:00Z",
        started_at="2024-05-31T02:00:01Z",
        finished_at=None,
    )

    job_id: str
    kind: str
    arguments: dict[str, Any] = Field(description="What was asked for, with the defaults of what was not.")
    state: JobState
    progress: float = Field(ge=0, le=1, description="Share that is done.")
    step: str | None = Field(description="What is being done.")
    attempts: int = Field(description="How often it was begun.")
    most_attempts: int = Field(description="A job whose worker or process dies is begun again until then.")
    cancel_asked: bool
    result: dict[str, Any] | None = Field(description="`batch`, `list_id` or `model` once it succeeded.")
    error: str | None = Field(description="Why it failed, or how its last attempt was lost.")
    created_by: str = Field(description="Id of the key that asked for it.")
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobPage(BaseModel):
    """Jobs, the newest first."""

    jobs: list[JobAnswer]
    next: str | None = Field(description="`after` of the next page; null at the end.")


JobId = Annotated[str, Path(max_length=100, description="Id of the job, as its creation told it.")]
States = Annotated[list[JobState] | None, Query(description="Only jobs in these states; repeat for several.")]
Kinds = Annotated[list[Literal["score", "list", "train"]] | None, Query(description="Only these kinds; repeat for several.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Most jobs of a page.")]
After = Annotated[str | None, Query(max_length=100, description="`next` of the page before.")]
LOCATION = {"Location": {"description": "Where to ask how far the job is.", "schema": {"type": "string"}}}


@router.post(
    "",
    status_code=202,
    response_model=JobAnswer,
    responses={202: {"headers": LOCATION, "description": "The job waits for a worker."}},
    openapi_extra={"requestBody": {"content": {"application/json": {"examples": EXAMPLES}}}},
)
def create(services: Given, principal: Reader, asked: JobAsked, request_id: RequestId, response: Response) -> JobAnswer:
    """Ask for a job; `koc worker` does it. The same arguments twice are two jobs."""
    arguments = asked.arguments.model_dump(mode="json")
    job = services.jobs.create(principal, asked.kind, arguments, request_id=request_id)
    response.headers["Location"] = f"{router.prefix}/{job.job_id}"
    return _answer(job)


@router.get("", response_model=JobPage, responses=errors(404))
def page(
    services: Given, principal: Reader, state: States = None, kind: Kinds = None, limit: Limit = 100, after: After = None
) -> JobPage:
    """Jobs that this key asked for, or with scope `admin` all; the newest first."""
    found = services.jobs.page(principal, states=state or (), kinds=kind or (), limit=limit + 1, after=after)
    more = found[limit - 1].job_id if len(found) > limit else None
    return JobPage(jobs=[_answer(job) for job in found[:limit]], next=more)


@router.get("/{job_id}", response_model=JobAnswer, responses=errors(404))
def get(services: Given, principal: Reader, job_id: JobId) -> JobAnswer:
    """How far a job is, and what came out of it."""
    return _answer(services.jobs.get(principal, job_id))


@router.post("/{job_id}/cancel", response_model=JobAnswer, responses=errors(404, 409))
def cancel(services: Given, principal: Reader, job_id: JobId, request_id: RequestId) -> JobAnswer:
    """Cancel a queued job at once; a running one stops within seconds, and leaves nothing half done."""
    return _answer(services.jobs.cancel(principal, job_id, request_id=request_id))


@router.post("/{job_id}/retry", status_code=202, response_model=JobAnswer, responses=errors(404, 409))
def retry(services: Given, principal: Reader, job_id: JobId, request_id: RequestId) -> JobAnswer:
    """Queue a failed or cancelled job again."""
    return _answer(services.jobs.retry(principal, job_id, request_id=request_id))


def _answer(job: Job) -> JobAnswer:
    return JobAnswer.model_validate({name: value for name, value in vars(job).items() if name in JobAnswer.model_fields})
