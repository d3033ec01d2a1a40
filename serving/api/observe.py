"""What is seen of requests from outside: a request id, a line of log and metrics for each."""

import os
import re
import time
import uuid
from collections.abc import Sequence
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serving.api.problems import problem

REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
"""Ids that are taken over from `X-Request-ID`; others would let a caller write into the logs."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
"""Others are counted together: a caller may make up as many as it likes."""

QUIET = {"/healthz", "/readyz", "/metrics"}
"""Asked every few seconds by machines: counted, not logged."""


class Metrics:
    """The metrics of one application; others add theirs to ``registry``."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter("koc_requests", "Requests by route and status.", labels, registry=self.registry)
        self.seconds = Histogram(
            "koc_request_seconds", "Time to the whole answer.", ("route",), registry=self.registry, buckets=BUCKETS
        )
        self.limited = Counter(
            "koc_rate_limited", "Requests refused because a key had used its limit.", registry=self.registry
        )
        self.batch_age = self.gauge("koc_batch_age_seconds", "Age of the scores that are served.")
        self.batch_rows = self.gauge("koc_batch_rows", "Users in the batch that is served.")
        self.jobs = self.gauge("koc_jobs", "Jobs by state.", ("state",))
        self.shifted = self.gauge("koc_drift_shifted", "Columns that have shifted since training.", ("kind",))
        self.model_age = self.gauge("koc_model_age_seconds", "Age of what the served model was trained on.")
        self.alert = self.gauge("koc_alert", "1 where somebody should look, else 0.", ("alert",))
        self.columns: set[str] = set()
        self.psi = self.gauge("koc_drift_psi", "Population stability index since training.", ("column",))
        self.realised = self.gauge(
            "koc_realised", "How the lists turned out of the last week whose labels are closed.", ("what",)
        )
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def gauge(self, name: str, meaning: str, labels: Sequence[str] = ()) -> Gauge:
        """A value that is set, such as when `/metrics` is asked; of several processes the last to set it counts."""
        return Gauge(name, meaning, labels, registry=self.registry, multiprocess_mode="mostrecent")

    def text(self) -> bytes:
        """What Prometheus reads: of this process, or of all where `koc serve` runs several."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        of_all = CollectorRegistry()
        MultiProcessCollector(of_all)  # type: ignore[no-untyped-call]
        return generate_latest(of_all)

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        children = self._children.get((method, route, status))
        if children is None:
            children = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)


class Observe:
    """Gives each request an id, logs and counts it, and answers what nobody expected with a 500 that tells nothing."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, log: structlog.typing.FilteringBoundLogger) -> None:
        self.app = app
        self.metrics = metrics
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = _request_id(scope)
        # One mapping for the request alone: what the server passes in is shared with others.
        state = scope["state"] = {**scope.get("state", {}), "request_id": request_id}
        header = (b"x-request-id", request_id.encode())
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), header]
            await send(message)

        start = time.perf_counter()
        try:
            await self.app(scope, receive, sending)
        except Exception:
            self.log.exception("unexpected", request_id=request_id, path=scope["path"])
            if not status:
                said = "something went wrong here; ask again, and give this request's id to whoever runs the service"
                await problem(500, said, request_id=request_id)(scope, receive, sending)
        finally:
            seconds = time.perf_counter() - start
            route = getattr(scope.get("route"), "path", "unknown")
            self.metrics.count(scope["method"] if scope["method"] in METHODS else "other", route, status, seconds)
            if route not in QUIET:
                principal = state.get("principal")
                self.log.info(
                    "request",
                    request_id=request_id,
                    key=None if principal is None else principal.name,
                    method=scope["method"],
                    route=route,
                    status=status,
                    ms=round(seconds * 1000, 2),
                )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value.decode())
    return uuid.uuid4().hex
