"""Who may call what: the key of each request, its rate, and the scope that an operation needs."""

import re
from typing import Annotated

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Send
from starlette.types import Scope as Connection

from features.errors import AccessError
from serving.access.keys import Keys
from serving.access.principal import LOCAL, Principal, Scope
from serving.api.limits import Limiter
from serving.api.loopback import is_loopback
from serving.api.observe import Metrics
from serving.api.problems import of_database, of_error, problem

NO_KEY = "this needs a key: send `Authorization: Bearer koc_...`; make one with `koc keys create NAME --scope read`"


class Needs(SecurityBase):
    """A dependency that hands over the principal of a request if it has the scope."""

    scheme_name = "key"
    model = HTTPBearer(
        bearerFormat="koc_ID_SECRET",
        description="A key of `koc keys create`. On the machine itself none is needed until the first one is made.",
    )

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Principal:
        """Raises:
        ForbiddenError: the key has no such scope.
        """
        principal: Principal = request.scope["state"]["principal"]
        principal.require(self.scope)
        return principal


Reader = Annotated[Principal, Depends(Needs(Scope.READ))]
Operator = Annotated[Principal, Depends(Needs(Scope.OPERATE))]
Trainer = Annotated[Principal, Depends(Needs(Scope.TRAIN))]
Admin = Annotated[Principal, Depends(Needs(Scope.ADMIN))]


class Gate:
    """Lets requests below ``/v1`` and to ``/metrics`` through with a valid key, at most so many a minute.

    What it finds is in ``request.state.principal``.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, limiter: Limiter, metrics: Metrics, host: str) -> None:
        """host: where the service listens. On loopback, as long as no key was ever made, none is needed."""
        self.app = app
        self.keys = keys
        self.limiter = limiter
        self.metrics = metrics
        self.on_loopback = is_loopback(host)

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(("/v1", "/metrics")):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        try:
            principal = await self._principal(scope)
        except AccessError as error:
            await of_error(error, state.get("request_id"))(scope, receive, send)
            return
        except (DBAPIError, PoolTimeout) as error:
            # Nothing below answers for what happens here.
            await of_database(error, state.get("request_id"))(scope, receive, send)
            return
        state["principal"] = principal
        standing = await self.limiter.hit(principal.key_id)
        if not standing.allowed:
            self.metrics.limited.inc()
            said = (
                f"key {principal.name!r} has used its {standing.limit} requests of this minute; go on in {standing.reset} s"
            )
            headers = {"Retry-After": str(standing.reset)}
            refused = problem(429, said, request_id=state.get("request_id"), headers=headers)
            refused.raw_headers.extend(standing.headers())
            await refused(scope, receive, send)
            return
        told = standing.headers()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            await send(message)

        await self.app(scope, receive, sending)

    async def _principal(self, scope: Connection) -> Principal:
        """Raises:
        AccessError: there is no key where one is needed, or it is not valid.
        """
        text = _bearer(scope)
        if text is not None:
            known = self.keys.remembered(text)
            return await run_in_threadpool(self.keys.verify, text) if known is None else known
        if self.on_loopback and _is_local(scope) and not await run_in_threadpool(self.keys.needed):
            return LOCAL
        raise AccessError(NO_KEY)


def _bearer(scope: Connection) -> str | None:
    """The key that a request brings, None if it brings none.

    Raises:
        AccessError: it brings something else.
    """
    for name, value in scope["headers"]:
        if name == b"authorization":
            kind, _, text = value.decode("latin-1").partition(" ")
            if kind.lower() != "bearer":
                raise AccessError(NO_KEY)
            return str(text.strip())
    return None


def _is_local(scope: Connection) -> bool:
    """Whether a request comes from the machine and means it: not through a proxy, nor from a page of another host."""
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    host = re.sub(r":\d+$", "", headers.get("host", ""))
    client = scope.get("client")
    foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    return client is not None and is_loopback(client[0]) and is_loopback(host) and not foreign
