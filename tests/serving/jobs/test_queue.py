import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakeredis import TcpFakeServer

from serving.jobs.queue import Queue
from serving.settings import ServiceSettings


@pytest.fixture
def redis_url() -> Iterator[str]:
    """A Redis that speaks its protocol over a socket, as the real one does."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"redis://127.0.0.1:{server.server_address[1]}/0"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["file", "redis"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> ServiceSettings:
    url = request.getfixturevalue("redis_url") if request.param == "redis" else None
    return ServiceSettings(home=tmp_path, redis_url=url)


def waited(queue: Queue, seconds: float) -> float:
    began = time.monotonic()
    queue.wait(seconds)
    return time.monotonic() - began


def test_a_call_wakes_one_worker_at_once_wherever_it_comes_from(settings: ServiceSettings) -> None:
    caller, worker = Queue(settings), Queue(settings)
    threading.Timer(0.3, caller.ring, ["job"]).start()
    assert 0.2 < waited(worker, 20) < 5
    assert waited(worker, 1.2) >= 1.2
    # A call from before the worker began to listen is heard, too.
    caller.ring("job")
    assert waited(worker, 20) < 1
    caller.close()
    worker.close()


def test_a_worker_that_shall_stop_does_not_wait_on(settings: ServiceSettings) -> None:
    began = time.monotonic()
    Queue(settings).wait(20, lambda: time.monotonic() - began > 0.3)
    assert time.monotonic() - began < 3


def test_where_nobody_can_be_called_that_is_told_once_and_the_wait_goes_on(tmp_path: Path) -> None:
    told: list[str] = []
    queue = Queue(ServiceSettings(home=tmp_path, redis_url="redis://127.0.0.1:1/0"), told.append)
    queue.ring("job")
    assert waited(queue, 0.5) >= 0.5
    queue.ring("job")
    assert len(told) == 1
    assert told[0].startswith("cannot wake a worker through redis://127.0.0.1:1/0: ")
    assert told[0].endswith("workers look every few seconds")
