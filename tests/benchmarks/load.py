"""Many connections that ask without a pause: requests a second, and how long answers took.

As a program of its own, so that it takes no time from the server: reads from standard input a line a measurement, which
names a file of requests as they go over the wire (each after its length, 4 bytes) and the seconds to go on; answers with a
line of JSON each: ``answers``, ``per_second``, ``p50_ms``, ``p99_ms``, ``bytes`` of the mean answer, and ``others``: answers
without success. It counts from when every connection has had an answer: a server takes up one new connection between two
rounds of those it has, so that the last of many at once waits for all the others.
"""

import asyncio
import json
import math
import sys
import time
from itertools import cycle
from pathlib import Path
from typing import Any

import uvloop


class Connection(asyncio.Protocol):
    """Sends the next request when the answer to the one before is whole."""

    def __init__(self, run: "Run") -> None:
        self.run, self.new = run, True

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self._ask()

    def _ask(self) -> None:
        self.head, self.missing = b"", -1
        self.begin = time.perf_counter()
        self.transport.write(next(self.run.requests))

    def data_received(self, data: bytes) -> None:
        if self.missing < 0:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return
            length = self.head[:end].lower().partition(b"content-length: ")[2]
            self.size = int(length.partition(b"\r\n")[0])
            self.missing = self.size - (len(self.head) - end - 4)
            self.run.others += not self.head.startswith(b"HTTP/1.1 2")
        else:
            self.missing -= len(data)
        if self.missing == 0:
            if self.new:
                self.new = False
                self.run.joined()
            else:
                self.run.answered(time.perf_counter() - self.begin, self.size)
            if time.perf_counter() < self.run.until:
                self._ask()
            else:
                self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        if self.new:
            self.run.others += 1
            self.run.joined()
        self.run.open -= 1
        if not self.run.open:
            self.run.done.set_result(None)


class Run:
    """One measurement of ``seconds``."""

    def __init__(self, requests: list[bytes], seconds: float, connections: int) -> None:
        self.requests, self.seconds = cycle(requests), seconds
        self.open = self.awaited = connections
        self.begin = self.until = math.inf
        self.took: list[float] = []
        self.bytes = self.others = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def joined(self) -> None:
        """One more connection has had its first answer."""
        self.awaited -= 1
        if not self.awaited:
            self.begin = time.perf_counter()
            self.until = self.begin + self.seconds

    def answered(self, took: float, size: int) -> None:
        """Count an answer, unless connections are still awaited."""
        if not self.awaited:
            self.took.append(took)
            self.bytes += size


async def measure(port: int, requests: list[bytes], seconds: float, connections: int) -> dict[str, float]:
    run = Run(requests, seconds, connections)
    for _ in range(connections):
        await asyncio.get_running_loop().create_connection(lambda: Connection(run), "127.0.0.1", port)
    await run.done
    passed, took = time.perf_counter() - run.begin, sorted(run.took)
    return {
        "answers": len(took),
        "per_second": len(took) / passed,
        "p50_ms": took[len(took) // 2] * 1e3,
        "p99_ms": took[int(len(took) * 0.99)] * 1e3,
        "bytes": run.bytes / len(took),
        "others": run.others,
    }


def read_requests(path: Path) -> list[bytes]:
    content, found, at = path.read_bytes(), [], 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4])
        found.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def main() -> None:
    port, connections = int(sys.argv[1]), int(sys.argv[2])
    for line in sys.stdin:
        path, seconds = line.rsplit(" ", 1)
        found = uvloop.run(measure(port, read_requests(Path(path)), float(seconds), connections))
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
