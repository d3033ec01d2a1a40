"""The service with one more endpoint, which returns bytes from memory: what any answer of that size costs."""

from fastapi import FastAPI, Request, Response

from serving.api.app import app_of_environment


def app_with_floor() -> FastAPI:
    """``POST /v1/floor`` has a number of bytes as its body."""
    app = app_of_environment()
    contents: dict[int, bytes] = {}

    async def floor(request: Request) -> Response:
        size = int(await request.body())
        if size not in contents:
            contents[size] = b"x" * size
        return Response(contents[size], media_type="application/json")

    app.add_api_route("/v1/floor", floor, methods=["POST"])
    return app
