"""Processes that are killed in the midst of their work, at a point that is the same each time."""

import itertools
import multiprocessing
import os
import pkgutil
import signal
from collections.abc import Callable
from typing import Any
from unittest.mock import patch


def killed(work: Callable[..., object], *arguments: object, call: str, number: int = 1) -> bool:
    """Do ``work`` in a process of its own that is killed (SIGKILL) when it calls ``call`` for the ``number``-th time.

    work: a function of a module, with arguments that can be pickled. call: by its name, such as ``os.replace``. Tells
    whether the process came so far.
    """
    spawning = multiprocessing.get_context("forkserver")
    # Imports are done once, before the first process of a session, and not by each.
    spawning.set_forkserver_preload([work.__module__])
    process = spawning.Process(target=_do, args=(work, arguments, call, number))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"ended with {process.exitcode}, see its traceback above"
    return process.exitcode == -signal.SIGKILL


def _do(work: Callable[..., object], arguments: tuple[object, ...], call: str, number: int) -> None:
    made, called = itertools.count(1), pkgutil.resolve_name(call)

    def counted(*given: Any, **options: Any) -> Any:
        if next(made) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return called(*given, **options)

    with patch(call, counted):
        work(*arguments)
