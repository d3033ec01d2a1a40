"""`koc serve`: the API."""

import errno
import os
import socket
from contextlib import suppress
from typing import Annotated, Any

import typer

from serving.cli.operations import DatabaseUrl, operations
from serving.cli.options import DEFAULT_HOME, Home, notes


def serve(
    host: Annotated[
        str, typer.Option(envvar="KOC_HOST", help="Address to listen at; beyond loopback a key is needed.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="KOC_PORT", min=1, max=65_535, help="Port to listen at.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes that answer.")] = 1,
    home: Home = DEFAULT_HOME,
    database_url: DatabaseUrl = None,
) -> None:
    """Answer requests for lists, score cards and results, and take in outreach and outcomes; docs/service.md has more.

    Example: koc serve --port 8080 --workers 2
    """
    import tempfile

    import uvicorn

    from features.errors import AccessError
    from serving.access.keys import Keys
    from serving.api.loopback import is_loopback

    with operations(home, database_url) as database:
        keys = Keys(database)
        if not is_loopback(host) and not keys.any_valid():
            raise AccessError(
                f"{host} can be reached from other machines and there is no valid key; "
                "make one with `koc keys create NAME --scope operate`, or listen at 127.0.0.1"
            )
        open_to_all = not keys.needed()
    _require_free(host, port)
    # What processes are told is the environment, in which each reads the settings.
    told = {"KOC_HOST": host, "KOC_PORT": str(port), "KOC_HOME": str(home)}
    os.environ.update(told | ({} if database_url is None else {"KOC_DATABASE_URL": database_url}))
    shown = f"[{host}]" if ":" in host else host
    notes.print(f"http://{shown}:{port}/docs lists the operations.", soft_wrap=True, markup=False, highlight=False)
    if open_to_all:
        notes.print("No key was made yet: whoever is on this machine may do everything.", soft_wrap=True)
    with tempfile.TemporaryDirectory() as counts:
        if workers > 1:
            # Where processes put their counts, so that each of them can tell those of all.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        uvicorn.run(
            "serving.api.app:app_of_environment",
            factory=True,
            host=host,
            port=port,
            workers=workers,
            loop="uvloop",
            http="httptools",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )


def _require_free(host: str, port: int) -> None:
    """Raise where somebody else listens, before an address is shown that they answer at; of other troubles uvicorn tells.

    Raises:
        typer.BadParameter: the port is taken.
    """
    with suppress(OSError):
        kind, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(kind, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if kind == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            if _taken(probe, where):
                raise typer.BadParameter(f"{host}:{port} is taken; stop what listens there, or give another --port")


def _taken(probe: socket.socket, where: Any) -> bool:
    try:
        probe.bind(where)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False
