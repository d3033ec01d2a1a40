"""Several models fitted at the same time, each on one thread."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
