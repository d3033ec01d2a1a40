"""The application: every route, behind keys, limits, logs and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib.metadata import version
from typing import Any

import structlog
from fastapi import FastAPI

from serving.api import (
    problems,
    routes_audit,
    routes_batches,
    routes_candidates,
    routes_communities,
    routes_docs,
    routes_health,
    routes_intake,
    routes_jobs,
    routes_kpis,
    routes_lists,
    routes_models,
    routes_monitor,
    routes_outreach,
    routes_scores,
    routes_suppressions,
    routes_users,
    routes_worklists,
)
from serving.api.body_limit import BodyLimit
from serving.api.limits import Limiter
from serving.api.logs import start_logs
from serving.api.observe import Metrics, Observe
from serving.api.security import Gate
from serving.api.services import Services
from serving.settings import ServiceSettings

ROUTERS = (
    routes_candidates.router,
    routes_communities.router,
    routes_lists.router,
    routes_worklists.router,
    routes_users.router,
    routes_scores.router,
    routes_batches.router,
    routes_outreach.router,
    routes_suppressions.router,
    routes_intake.router,
    routes_jobs.router,
    routes_kpis.router,
    routes_models.router,
    routes_monitor.router,
    routes_audit.router,
    routes_health.router,
    routes_docs.router,
)
TAGS = [
    {"name": "candidates", "description": "The best people for some filters, at once."},
    {"name": "lists", "description": "Candidate lists: made, read, exported, worked and explained."},
    {"name": "worklists", "description": "The daily work of staff, and spreadsheets that come back."},
    {"name": "users", "description": "Everything that is known of one person."},
    {"name": "scores", "description": "Scores of given people now."},
    {"name": "communities", "description": "What is so of each community, and who could lead it."},
    {"name": "outreach", "description": "Contacts and outcomes come in, results go out."},
    {"name": "suppressions", "description": "Who may not be contacted, and who is erased."},
    {"name": "intake", "description": "External contacts and applications come in."},
    {"name": "jobs", "description": "Scores of everybody, long lists and training, done by workers."},
    {"name": "kpis", "description": "What candidates amount to, by category."},
    {"name": "models", "description": "What was trained and what is served."},
    {"name": "audit", "description": "Who did what with whom."},
    {"name": "health", "description": "For load balancers and monitoring."},
]
DESCRIPTION = """Ranked lists of customers whose sharing makes their friends buy, to work on and to report back about.

Every request below `/v1` needs a key of `koc keys create`, sent as `Authorization: Bearer koc_...`. Errors are problem
details after RFC 9457 and say what to do. Moments are in UTC, money is in minor units of the currency.
"""


def create_app(settings: ServiceSettings, services: Services | None = None) -> FastAPI:
    """services: opened already, and left open; without them they are opened from ``settings`` and closed at the end.

    Raises:
        StateError: the operations database cannot be opened.
    """
    opened = services or Services.open(settings)
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:  # noqa: ARG001
        yield
        if services is None:
            opened.live.close()
            opened.database.close()

    app = FastAPI(
        title="kocscout",
        version=version("kocscout"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.services = opened
    app.state.metrics = metrics
    for router in ROUTERS:
        app.include_router(router)
    problems.install(app)
    limiter = Limiter(settings.requests_per_minute, settings.redis_url)
    # The one added last sees a request first.
    app.add_middleware(BodyLimit)
    app.add_middleware(Gate, keys=opened.keys, limiter=limiter, metrics=metrics, host=settings.host)
    app.add_middleware(Observe, metrics=metrics, log=structlog.get_logger())
    _describe_problems(app)
    return app


def app_of_environment() -> FastAPI:
    """The application as a server process makes it: settings from the environment, logs as JSON."""
    start_logs()
    return create_app(ServiceSettings())


def _describe_problems(app: FastAPI) -> None:
    """Let the OpenAPI document hold the shape of problems, which routes refer to by name, and those of every body."""
    made = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        document = made()
        schema = problems.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        schemas.update(schema.pop("$defs"), Problem=schema)
        of_bodies = {str(status): problems.errors(status)[status] for status in (400, 413)}
        for operations in document["paths"].values():
            for operation in operations.values():
                if "requestBody" in operation:
                    operation["responses"] |= of_bodies
        return document

    app.openapi = openapi  # type: ignore[method-assign]
