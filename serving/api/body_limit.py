"""The most that the body of a request may hold."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 * 2**20
"""A spreadsheet of a million rows fits."""


class BodyLimit:
    """Refuses a larger body: before it is read where its length is told, else as soon as it is too long."""

    def __init__(self, app: ASGIApp, *, most_bytes: int = MOST_BYTES) -> None:
        self.app = app
        self.most_bytes = most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        told = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        read = 0

        async def receiving() -> Message:
            nonlocal read
            if told.isdigit() and int(told) > self.most_bytes:
                raise _too_large(self.most_bytes)
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most_bytes:
                raise _too_large(self.most_bytes)
            return message

        await self.app(scope, receiving, send)


def _too_large(most_bytes: int) -> HTTPException:
    said = f"the body is larger than {most_bytes:,} bytes; send it in parts"
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, said)
