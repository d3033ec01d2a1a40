"""Loops that no library has, in machine code."""

from collections.abc import Callable
from functools import cache

import numba

# Of the layers under loops on several threads, the one that numba brings itself dies where two threads call it at once.
numba.config.THREADING_LAYER = "threadsafe"


@cache
def compiled(loop: Callable[..., None], *, parallel: bool = False) -> Callable[..., None]:
    """``loop`` in machine code, made once, and kept for the next process where there is a folder for it; other threads may
    run meanwhile.

    parallel: what it says of ``prange`` is done on all processors.
    """
    try:
        return numba.njit(nogil=True, cache=True, parallel=parallel)(loop)  # type: ignore[no-any-return]
    except RuntimeError:
        return numba.njit(nogil=True, parallel=parallel)(loop)  # type: ignore[no-any-return]
