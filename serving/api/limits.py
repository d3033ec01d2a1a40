"""How many requests a key may make: counted in memory, or in Redis for all processes together."""

import math
import time
from dataclasses import dataclass

import structlog
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError


@dataclass(frozen=True)
class Standing:
    """Where a key stands in this minute: ``remaining`` of ``limit`` requests, anew in ``reset`` seconds."""

    allowed: bool
    limit: int
    remaining: int
    reset: int

    def headers(self) -> tuple[tuple[bytes, bytes], ...]:
        """``RateLimit-Limit``, ``RateLimit-Remaining`` and ``RateLimit-Reset``."""
        return (
            (b"ratelimit-limit", b"%d" % self.limit),
            (b"ratelimit-remaining", b"%d" % self.remaining),
            (b"ratelimit-reset", b"%d" % self.reset),
        )


class Limiter:
    """Counts requests by key and minute."""

    def __init__(self, per_minute: int, redis_url: str | None = None) -> None:
        """Without ``redis_url`` each process counts for itself, so that N workers let N times as many through."""
        self._item: RateLimitItem = RateLimitItemPerMinute(per_minute)
        # The one in memory for event loops: the other starts a thread every hundredth of a second.
        self._counts = FixedWindowRateLimiter(_redis(redis_url) if redis_url else MemoryStorage())

    async def hit(self, key_id: str) -> Standing:
        """Count one request. While Redis does not answer all are let through: a limit is no reason to stand still."""
        try:
            allowed = await self._counts.hit(self._item, key_id)
            reset_time, remaining = await self._counts.get_window_stats(self._item, key_id)
        except StorageError as error:
            structlog.get_logger().warning("rate limits are not counted", error=str(error.storage_error))
            return Standing(True, self._item.amount, self._item.amount, 60)
        return Standing(allowed, self._item.amount, remaining, max(1, math.ceil(reset_time - time.time())))


def _redis(url: str) -> RedisStorage:
    return RedisStorage(f"async+{url}", wrap_exceptions=True, implementation="redispy")
