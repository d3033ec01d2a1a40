"""Whether the service is alive and ready, and its metrics."""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime

import sqlalchemy as sa
from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy.exc import SQLAlchemyError

from features.errors import NoScoresError, ScoresError
from serving.api.observe import Metrics
from serving.api.problems import errors
from serving.api.schemas import Alive, Ready
from serving.api.security import Reader
from serving.api.services import Given, Services
from serving.api.watched import judged_weeks, last_week, watch

router = APIRouter(tags=["health"])
log = logging.getLogger(__name__)


@router.get("/healthz", response_model=Alive)
async def alive() -> Alive:
    """The process answers; whether it can serve anything is `/readyz`."""
    return Alive(status="alive")


@router.get("/readyz", response_model=Ready, responses={503: {"model": Ready, "description": "Something is missing."}})
def ready(services: Given, response: Response) -> Ready:
    """Whether there is a batch of scores and the operations database answers; says what is missing."""
    database, scores = _database(services), _scores(services)
    missing = database is not None or scores is not None
    if missing:
        response.status_code = 503
    return Ready(ready=not missing, database=database, scores=scores)


@router.get(
    "/metrics",
    response_class=Response,
    responses={**errors(), 200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request, services: Given, principal: Reader) -> Response:  # noqa: ARG001
    """Metrics of this process in the format of Prometheus."""
    found: Metrics = request.app.state.metrics
    weeks, asked = None, False
    # Whoever watches has to see the rest above all while the database is away.
    with suppress(SQLAlchemyError):
        for state, number in services.jobs.counts().items():
            found.jobs.labels(state).set(number)
        weeks = judged_weeks(services.jobs)
        for what, value in (last_week(weeks) if weeks else {}).items():
            found.realised.labels(what).set(value)
        asked = True
    try:
        manifest = services.served.batch.manifest
        found.batch_rows.set(manifest.rows)
        as_of = datetime.fromisoformat(manifest.as_of)
        found.batch_age.set(time.time() - (as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)).timestamp())
        watch(found, services, weeks, asked=asked)
    except ScoresError:
        found.batch_rows.set(0)
    return Response(found.text(), media_type=CONTENT_TYPE_LATEST)


def _database(services: Services) -> str | None:
    try:
        with services.database.read() as connection:
            connection.execute(sa.select(1))
    except SQLAlchemyError as error:
        reason = type(getattr(error, "orig", None) or error).__name__
        return f"the operations database does not answer ({reason}); check that it runs and KOC_DATABASE_URL"
    return None


def _scores(services: Services) -> str | None:
    try:
        _ = services.served.batch
    except NoScoresError:
        return "there are no scores; make some with `koc score`"
    except ScoresError as error:
        # Whoever asks has no key, and the error names places on this machine.
        log.warning("%s", error)
        return "the scores cannot be read; the log tells why, and `koc score` makes new ones"
    return None
