import asyncio
import time

import fakeredis
import pytest
from limits.aio.storage import RedisStorage

from serving.api.app import create_app
from serving.api.limits import Limiter
from serving.api.services import Services
from tests.serving.api.conftest import Caller


@pytest.fixture(autouse=True)
def _early_in_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows begin with whole minutes; none ends within a test."""
    if time.time() % 60 > 50:
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 15)


async def hits(limiter: Limiter, keys: str) -> list[tuple[bool, int]]:
    return [(standing.allowed, standing.remaining) for standing in [await limiter.hit(key) for key in keys]]


def test_each_key_has_its_own_requests_of_a_minute() -> None:
    found = asyncio.run(hits(Limiter(2), "aabaa"))
    assert found == [(True, 1), (True, 0), (True, 1), (False, 0), (False, 0)]


def test_a_used_up_limit_is_a_problem_that_says_when_to_go_on(plain_services: Services, caller: Caller) -> None:
    settings = plain_services.settings.model_copy(update={"requests_per_minute": 2})
    client = caller("admin")
    client._transport.app = create_app(settings, plain_services)  # type: ignore[attr-defined]
    answers = [client.get("/v1/audit") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert [answer.headers["ratelimit-remaining"] for answer in answers] == ["1", "0", "0"]
    refused = answers[-1]
    assert refused.headers["content-type"] == "application/problem+json"
    assert 0 < int(refused.headers["retry-after"]) <= 60
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert "key 'admin' has used its 2 requests of this minute; go on in" in refused.json()["detail"]
    assert caller("admin").get("/v1/audit").status_code == 200, "another key is not concerned"
    assert client.get("/healthz").status_code == 200


def test_two_processes_share_a_limit_through_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    server = fakeredis.FakeServer()

    def connected(url: str) -> RedisStorage:
        pool = fakeredis.FakeAsyncRedis(server=server).connection_pool
        return RedisStorage(f"async+{url}", implementation="redispy", connection_pool=pool)

    monkeypatch.setattr("serving.api.limits._redis", connected)

    async def both() -> list[bool]:
        first, second = Limiter(2, "redis://shared:6379"), Limiter(2, "redis://shared:6379")
        return [(await limiter.hit("a")).allowed for limiter in (first, second, first, second)]

    assert asyncio.run(both()) == [True, True, False, False]


def test_while_redis_does_not_answer_nobody_is_stopped() -> None:
    standing = asyncio.run(Limiter(2, "redis://127.0.0.1:1").hit("a"))
    assert standing.allowed
