"""The `koc` command as a shell runs it, inside this process."""

import io
import os
from collections.abc import Mapping
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from unittest.mock import patch

from serving.cli.main import main
from serving.cli.options import console, notes


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit status and both of its outputs."""

    status: int
    out: str
    err: str


def koc(*arguments: object, columns: int = 120, env: Mapping[str, str] | None = None) -> Ran:
    """Run ``koc`` with ``arguments`` on a terminal of ``columns``; outputs are no terminals."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    status = 0
    variables = {"COLUMNS": str(columns), "TERM": "dumb", **(env or {})}
    argv = ["koc", *(str(argument) for argument in arguments)]
    with ExitStack() as inside:
        # The consoles have read the width of the terminal when they were made.
        for change in (patch.object(console, "_width", columns), patch.object(notes, "_width", columns),
                       patch("sys.argv", argv), patch.dict(os.environ, variables),
                       redirect_stdout(out), redirect_stderr(err)):  # fmt: skip
            inside.enter_context(change)
        try:
            main()
        except SystemExit as left:
            status = left.code if isinstance(left.code, int) else int(left.code is not None)
    for stream in (out, err):
        stream.seek(0)
    return Ran(status, out.read(), err.read())
