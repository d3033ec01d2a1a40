"""Folders for what a process sets aside while it works, which go with it however it ends."""

import fcntl
import shutil
import socket
import tempfile
import weakref
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

LOCK = "in-use.lock"


def scratch_folder(owner: object) -> Path:
    """A new folder among the temporary files (``TMPDIR``) that is removed when ``owner`` goes or the process ends.

    A process that is killed removes nothing. While it lives it holds a lock on each of its folders, so that the next one
    on this machine to ask for a folder knows what nobody uses any more, and removes it.
    """
    place = Path(tempfile.gettempdir())
    # Locks are told to other machines that share the place by some file systems only.
    named = f"koc-{socket.gethostname()}-"
    _sweep(place, named)
    made = Path(tempfile.mkdtemp(prefix=f".{named}", dir=place))
    lock = (made / LOCK).open("w")
    # Where there are no locks nobody sweeps either.
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)
    # It takes its name when it is locked: before, another process would take it for left behind.
    folder = made.rename(place / made.name.removeprefix("."))
    weakref.finalize(owner, _remove, folder, lock)
    return folder


def _sweep(place: Path, named: str) -> None:
    for file in place.glob(f"{named}*/{LOCK}"):
        # Of somebody else, in use, or swept by another process at this moment.
        with suppress(OSError), file.open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clear(file.parent)


def _remove(folder: Path, lock: TextIOWrapper) -> None:
    with suppress(OSError):
        _clear(folder)
    lock.close()


def _clear(folder: Path) -> None:
    """Remove a folder, its lock last: by it the next process finds what this one did not come to."""
    for found in folder.iterdir():
        if found.is_dir():
            shutil.rmtree(found, ignore_errors=True)
        elif found.name != LOCK:
            found.unlink(missing_ok=True)
    if [found.name for found in folder.iterdir()] == [LOCK]:
        shutil.rmtree(folder, ignore_errors=True)
