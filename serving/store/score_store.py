"""Batches of scores under one folder: written whole or not at all, switched to by one atomic step."""

import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc
import pyarrow.parquet as pq

from features.errors import NoScoresError, ScoresError
from serving.evidence import Evidence
from serving.store.arrays import write_arrays
from serving.store.batch import Batch
from serving.store.checked import write_blocks
from serving.store.index import index_categories, index_users
from serving.store.manifest import Manifest, read_manifest, sha256
from serving.store.records import write_records
from serving.store.schemas import (
    BLOCKS,
    CATEGORIES,
    COMMUNITIES,
    COMMUNITIES_SCHEMA,
    DRIFT,
    DRIFT_SCHEMA,
    EXCHANGE,
    FOLLOW_UPS,
    INDEX,
    KPIS,
    KPIS_SCHEMA,
    NEXT_ITEMS,
    RECORDS,
    SERVING,
    TABLE,
    TIES,
    TIES_SCHEMA,
    USERS,
)

CURRENT = "current"
ABANDONED = 86_400.0
"""Seconds after which a half-written batch is taken for left behind by a crash."""


class ScoreStore:
    """Batches under one folder; ``current`` names the batch that is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        users: pa.Table,
        categories: pa.Table | pa.RecordBatchReader,
        evidence: Evidence | None = None,
        ties: pa.Table | None = None,
        communities: pa.Table | None = None,
        kpis: pa.Table | None = None,
        drift: pa.Table | None = None,
        *,
        dataset: str,
        model: str,
        as_of: datetime,
        trained_until: datetime | None = None,
        keep: int | None = None,
        mark: str | None = None,
        served: Callable[[str], bool] = lambda _: True,
    ) -> Manifest:
        """Write a batch and make it current; until the last step the previous batch stays.

        ``categories``: sorted by category where they come as batches, which need not fit into memory together.
        ``evidence``: None where nobody is explained. ``ties``: None without a tie model. ``communities``: None where nobody
        is known to be a member. ``kpis``, ``drift``: None where they were not made. ``trained_until``: the end of the data
        of the model. ``keep``: batches that stay, this one among them, the latest written first; None keeps all. ``mark``:
        ends the name of the batch, so that its maker finds it again with `marked`; None takes a new one. ``served``: asked
        last, of the model, whether the batch becomes current; otherwise it is kept beside the one that is.
        """
        evidence = evidence or Evidence.none()
        ties = TIES_SCHEMA.empty_table() if ties is None else ties
        communities = COMMUNITIES_SCHEMA.empty_table() if communities is None else communities
        kpis = KPIS_SCHEMA.empty_table() if kpis is None else kpis
        drift = DRIFT_SCHEMA.empty_table() if drift is None else drift
        users = best_first(users)
        tables = {
            USERS: users, FOLLOW_UPS: evidence.follow_ups, NEXT_ITEMS: evidence.next_items, TIES: ties,
            COMMUNITIES: communities, KPIS: kpis, DRIFT: drift,
        }  # fmt: skip
        batch = f"{as_of:%Y%m%dT%H%M}-{mark or uuid.uuid4().hex[:8]}"
        partial = self.folder / f".partial-{batch}"
        # Of an attempt under the same mark that was killed.
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            for name, table in tables.items():
                pq.write_table(table, partial / name)
            write_serving(users, _written(categories, partial / CATEGORIES), partial)
            names = [*EXCHANGE, *SERVING, *BLOCKS.values()]
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(lambda name: write_blocks(partial / name, partial / BLOCKS[name]), SERVING))
                checksums = dict(zip(names, pool.map(lambda name: sha256(partial / name), names), strict=True))
            manifest = Manifest(
                batch, dataset, model, as_of.isoformat(), len(users), tuple(users.column_names), checksums,
                datetime.now(UTC).isoformat(), None if trained_until is None else trained_until.isoformat(),
            )  # fmt: skip
            manifest.write(partial)
            for path in (*partial.iterdir(), partial):
                _sync(path)
            partial.rename(self.folder / batch)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        with self._switching():
            if served(model):
                self._switch(batch)
        self.clear(keep, batch)
        return manifest

    def marked(self, mark: str, served: Callable[[str], bool] = lambda _: True) -> Manifest | None:
        """The batch whose name ends with ``mark``, if it was written; current as ``served`` of `write` has it, unless later
        ones were written since."""
        batches = self.batches()
        found = next((manifest for manifest in batches if manifest.batch.endswith(f"-{mark}")), None)
        if found is not None and found is batches[0]:
            with self._switching():
                if served(found.model):
                    # Its maker may have been killed before the last step.
                    self._switch(found.batch)
        return found

    def serve_model(self, model: str) -> Manifest | None:
        """The latest batch of a model made current again, if one is kept; None, and nothing changed, without any."""
        found = next((manifest for manifest in self.batches() if manifest.model == model), None)
        if found is not None:
            self.open(found.batch).verify()
            with self._switching():
                self._switch(found.batch)
        return found

    @contextmanager
    def _switching(self) -> Iterator[None]:
        """One process at a time, so that nobody who asked whether a model is served switches after a promotion did."""
        handle = os.open(self.folder, os.O_RDONLY)
        try:
            # Some shared file systems know no locks.
            with suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def _switch(self, batch: str) -> None:
        pointer = self.folder / f".{CURRENT}-{batch}"
        pointer.write_text(batch, encoding="utf-8")
        _sync(pointer)
        os.replace(pointer, self.folder / CURRENT)
        _sync(self.folder)

    def current_id(self) -> str:
        """The batch that is served, by name.

        Raises:
            NoScoresError: there is none. ScoresError: the pointer is spoilt.
        """
        pointer = self.folder / CURRENT
        try:
            name = pointer.read_text(encoding="utf-8", errors="replace").strip()
        except FileNotFoundError:
            raise NoScoresError(f"no scores in {self.folder}; make some with `koc score --dataset dataset.toml`") from None
        except OSError as error:
            raise ScoresError(f"{pointer} cannot be read ({error.strerror}); check the disk, or score again") from None
        if not _is_name(name):
            raise ScoresError(f"{pointer} names no batch; score again with `koc score`")
        return name

    def current(self) -> Manifest:
        """The manifest of the batch that is served; its files are checked when they are read.

        Raises:
            ScoresError: there is none, or it is spoilt.
        """
        return read_manifest(self.folder / self.current_id())

    def batches(self) -> list[Manifest]:
        """What lies in the folder with a readable manifest, the latest written first."""
        return sorted(self._manifests(), key=lambda found: (found.written_at, found.batch), reverse=True)

    def open(self, batch_id: str | None = None) -> Batch:
        """A batch to read, by default the current one; it stays readable when the store moves on or deletes it.

        Raises:
            ScoresError: there is none of that name, or it is spoilt.
        """
        name = batch_id or self.current_id()
        if batch_id is not None and (not _is_name(name) or not (self.folder / name).is_dir()):
            known = ", ".join(found.batch for found in self.batches()[:20]) or "none"
            raise ScoresError(f"no batch {name} in {self.folder}; there are {known}")
        return Batch(self.folder / name)

    def pair(self, batch_id: str | None = None, before: str | None = None) -> tuple[Batch, Batch]:
        """Two batches, the earlier one first: by default the current one, and the one written before the later one, of the
        same model if there is one.

        Raises:
            ScoresError: there is none of that name, none before it, or one is spoilt.
        """
        later = self.open(batch_id)
        if before is None:
            written = later.manifest.written_at
            earlier = [found for found in self.batches() if found.written_at < written]
            # Between two of the champion there may be one of a challenger, which nobody was served.
            earlier.sort(key=lambda found: found.model != later.manifest.model)
            before = earlier[0].batch if earlier else None
            if before is None:
                raise ScoresError(f"no batch was written before {later.manifest.batch} and is kept; score again to compare")
        return self.open(before), later

    def _manifests(self) -> Iterator[Manifest]:
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.is_dir() and _is_name(path.name):
                try:
                    yield read_manifest(path)
                except ScoresError:
                    continue

    def clear(self, keep: int | None = None, *written: str) -> None:
        """Remove batches beyond ``keep``, the latest written staying and always the current one and those that were just
        ``written``, and what crashes left."""
        if keep is not None:
            stay = {self.current_id(), *written}
            others = [found.batch for found in self.batches() if found.batch not in stay]
            for batch in others[max(keep - len(stay), 0) :]:
                # Out of sight by one step, so that nobody opens half of it.
                (self.folder / batch).rename(self.folder / f".removed-{batch}")
        for path in self.folder.glob(".removed-*"):
            shutil.rmtree(path, ignore_errors=True)
        for path in (*self.folder.glob(".partial-*"), *self.folder.glob(f".{CURRENT}-*")):
            if path.stat().st_mtime < time.time() - ABANDONED:
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def best_first(users: pa.Table) -> pa.Table:
    """``users`` by falling score, equal ones and those without a score in the order given; without NaN."""
    for place, field in enumerate(users.schema):
        if pa.types.is_floating(field.type) and pc.any(pc.is_nan(users[place])).as_py():
            # A number that is not known is written in one way.
            users = users.set_column(place, field, pc.if_else(pc.is_nan(users[place]), None, users[place]))
    if "koc_score" not in users.column_names:
        return users
    falling = np.argsort(-users["koc_score"].to_numpy().astype(np.float64), kind="stable")
    return users if np.array_equal(falling, np.arange(len(users))) else users.take(pa.array(falling))


def write_serving(users: pa.Table, categories: Iterable[pa.RecordBatch], folder: Path) -> None:
    """Write the files that queries read; categories: see `serving.store.index.index_categories`."""
    with pa.OSFile(str(folder / TABLE), "wb") as sink, pa.ipc.new_file(sink, users.schema) as writer:
        writer.write_table(users.combine_chunks())
    starts = write_records(users, folder / RECORDS)
    write_arrays({**index_users(users), **index_categories(users, categories), "records:starts": starts}, folder / INDEX)


def _written(categories: pa.Table | pa.RecordBatchReader, path: Path) -> Iterator[pa.RecordBatch]:
    """The batches, each when it is written."""
    if isinstance(categories, pa.Table):
        named = categories.filter(pc.is_valid(categories["category"]))
        categories = named.sort_by([("category", "ascending"), ("user_id", "ascending")]).to_reader()
    with pq.ParquetWriter(path, categories.schema) as writer:
        for batch in categories:
            writer.write_batch(batch)
            yield batch


def _is_name(name: str) -> bool:
    return bool(name) and not name.startswith(".") and name.isprintable() and Path(name).name == name


def _sync(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder, before the next step."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
