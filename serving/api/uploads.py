"""Files that come with a request, on disk for as long as they are read."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fastapi import UploadFile

from features.errors import ListError

CONTROL = "".join(map(chr, (*range(32), 127)))


@contextmanager
def on_disk(upload: UploadFile) -> Iterator[Path]:
    """The file in a folder of its own, under the last part of its name, which messages show.

    Raises:
        ListError: it has no name whose ending tells what it is.
    """
    name = (upload.filename or "").replace("\\", "/").rpartition("/")[2].strip(CONTROL + " .")
    if not name or any(mark in name for mark in CONTROL) or len(name.encode()) > 200:
        raise ListError(f"{upload.filename!r} is not the name of a file; send one such as list.xlsx")
    with tempfile.TemporaryDirectory(prefix="koc-upload-") as folder:
        path = Path(folder) / name
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file)
        yield path
