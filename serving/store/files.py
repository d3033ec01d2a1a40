"""The files of a batch, open for reading."""

from collections.abc import Collection
from pathlib import Path
from threading import Lock

from serving.store.checked import BLOCK, Checked, spoilt
from serving.store.manifest import Manifest
from serving.store.schemas import BLOCKS


class Files:
    """The files that the manifest names, or ``only`` some; they stay readable when the folder is removed.

    Raises:
        SpoiltScoresError: one is missing.
    """

    def __init__(self, folder: Path, manifest: Manifest, only: Collection[str] | None = None) -> None:
        self._folder, self._checksums = folder, manifest.checksums
        wanted = set(manifest.checksums if only is None else only)
        wanted |= {BLOCKS[name] for name in wanted if name in BLOCKS}
        try:
            self._open = {name: (folder / name).open("rb") for name in manifest.checksums if name in wanted}
        except OSError as error:
            raise spoilt(error.filename) from None
        self._checked: dict[str, Checked] = {}
        self._lock = Lock()

    def __getitem__(self, name: str) -> Checked:
        """A file, of which nothing is compared with its checksums yet but those of its blocks.

        Raises:
            SpoiltScoresError: it is missing, or of another length than was written; or its checksums were altered.
        """
        with self._lock:
            if name not in self._checked:
                self._checked[name] = self._opened(name)
            return self._checked[name]

    def whole(self, name: str) -> Checked:
        """A file whose content is as it was written.

        Raises:
            SpoiltScoresError: it is missing, or was altered.
        """
        found = self[name]
        found.require()
        return found

    def verify(self) -> None:
        """Compare all checksums.

        Raises:
            SpoiltScoresError: a file was altered.
        """
        # One after the other, since whoever answers meanwhile needs the other cores.
        for name in self._open:
            self.whole(name)

    def _opened(self, name: str) -> Checked:
        if name not in self._open:
            raise spoilt(self._folder / name)
        blocks = BLOCKS.get(name)
        if blocks not in self._open:
            return Checked(self._open[name], bytes.fromhex(self._checksums[name]))
        digests = self._opened(blocks)
        digests.require()
        return Checked(self._open[name], bytes(digests.mapped), BLOCK)
