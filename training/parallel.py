"""Several models fitted at the same time, each on one thread."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Job = TypeVar("Job")
Fitted = TypeVar("Fitted")


def fit_each(fit: Callable[[Job], Fitted], jobs: Sequence[Job], threads: int) -> list[Fitted]:
    """``fit`` of every job, in their order.

    LightGBM lets go of the interpreter while it works. One thread for each model beats two threads for one: on a busy
    machine threads of one model wait for each other at every split, and the result would depend on their number.
    """
    with ThreadPoolExecutor(max_workers=threads) as pool:
        return list(pool.map(fit, jobs))


@contextmanager
def aside(fit: Callable[[], Fitted]) -> Iterator[Future[Fitted]]:
    """``fit`` on a thread of its own while the block goes on, which asks for its result or error when it needs them.

    For a model that leaves cores idle, such as a graph network of small batches, beside trees that use them.
    """
    with ThreadPoolExecutor(max_workers=1) as pool:
        yield pool.submit(fit)
