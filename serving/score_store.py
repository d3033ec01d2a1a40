"""Batches of scores: immutable Parquet files under a manifest, switched to by one atomic step."""

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.errors import ScoresError
from serving.evidence import Evidence

USERS, CATEGORIES, TIES = "users.parquet", "categories.parquet", "ties.parquet"
COMMUNITIES = "communities.parquet"
FOLLOW_UPS, NEXT_ITEMS = "evidence.parquet", "next_items.parquet"
MANIFEST, CURRENT = "manifest.json", "current"
FILES = (USERS, CATEGORIES, FOLLOW_UPS, NEXT_ITEMS, TIES, COMMUNITIES)
TIES_SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "influencer_id": pa.string(),
        "expected_follow_ups": pa.float32(),
        "strength": pa.float32(),
    }
)
"""Columns of the ties of a batch; see `serving.scores.tie_scores`."""

COMMUNITIES_SCHEMA = pa.schema(
    {
        "community_id": pa.string(),
        "members": pa.int64(),
        "rated": pa.int64(),
        "expected_leavers": pa.float64(),
        "leave_rate": pa.float64(),
    }
)
"""Columns of the communities of a batch; see `serving.communities.community_churn`."""


@dataclass(frozen=True)
class Manifest:
    """What a batch is: ``rows`` users scored at ``as_of`` by ``model``; ``checksums``: file -> SHA-256."""

    batch: str
    dataset: str
    model: str
    as_of: str
    rows: int
    columns: tuple[str, ...]
    checksums: Mapping[str, str]


class ScoreStore:
    """Batches under one folder; ``current`` names the batch that is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        users: pa.Table,
        categories: pa.Table,
        evidence: Evidence | None = None,
        ties: pa.Table | None = None,
        communities: pa.Table | None = None,
        *,
        dataset: str,
        model: str,
        as_of: datetime,
    ) -> Manifest:
        """Write a batch and make it current; until the last step the previous batch stays.

        ``evidence``: None where nobody is explained. ``ties``: None without a tie model.
        ``communities``: None where nobody is known to be a member.
        """
        evidence = evidence or Evidence.none()
        ties = TIES_SCHEMA.empty_table() if ties is None else ties
        communities = COMMUNITIES_SCHEMA.empty_table() if communities is None else communities
        tables = (users, categories, evidence.follow_ups, evidence.next_items, ties, communities)
        batch = f"{as_of:%Y%m%dT%H%M}-{uuid.uuid4().hex[:8]}"
        partial = self.folder / f".partial-{batch}"
        partial.mkdir(parents=True)
        try:
            for name, table in zip(FILES, tables, strict=True):
                pq.write_table(table, partial / name)
            checksums = {name: _sha256(partial / name) for name in FILES}
            manifest = Manifest(batch, dataset, model, as_of.isoformat(), len(users), tuple(users.column_names), checksums)
            (partial / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
            partial.rename(self.folder / batch)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        pointer = self.folder / f".{CURRENT}-{batch}"
        pointer.write_text(batch, encoding="utf-8")
        os.replace(pointer, self.folder / CURRENT)
        return manifest

    def current(self) -> Manifest:
        """The manifest of the batch that is served; its files are checked when they are read.

        Raises:
            ScoresError: there is none, or it is spoilt.
        """
        pointer = self.folder / CURRENT
        if not pointer.is_file():
            raise ScoresError(f"no scores in {self.folder}; make some with `koc score --dataset dataset.toml`")
        batch = pointer.read_text(encoding="utf-8").strip()
        path = self.folder / batch / MANIFEST
        if not path.is_file():
            raise ScoresError(f"batch {batch} has no {path}; score again with `koc score`")
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Manifest(**{**content, "columns": tuple(content["columns"])})
        except (ValueError, KeyError, TypeError):
            raise ScoresError(f"{path} is not the manifest of a batch; score again with `koc score`") from None

    def users(self) -> pa.Table:
        """The scores of the current batch, best first; columns as in `score_users`."""
        return pq.read_table(self._checked(USERS))

    def categories(self) -> pa.Table:
        """Influence by user and category of the current batch; columns as in `category_influence`."""
        return pq.read_table(self._checked(CATEGORIES))

    def evidence(self) -> Evidence:
        """Who followed the explained users of the current batch, and what to hand them next."""
        return Evidence(pq.read_table(self._checked(FOLLOW_UPS)), pq.read_table(self._checked(NEXT_ITEMS)))

    def ties(self, influencers: pa.Array | None = None) -> pa.Table:
        """Ties of the current batch with what each is expected to carry, of ``influencers`` (ids) alone where given."""
        wanted = None if influencers is None else pc.field("influencer_id").isin(influencers)
        return pq.read_table(self._checked(TIES), filters=wanted)

    def communities(self) -> pa.Table:
        """Churn by community of the current batch; columns as in `community_churn`."""
        return pq.read_table(self._checked(COMMUNITIES))

    def _checked(self, name: str) -> Path:
        """A file of the current batch.

        Raises:
            ScoresError: as `current`, or the file is missing or altered.
        """
        manifest = self.current()
        file = self.folder / manifest.batch / name
        if not file.is_file() or _sha256(file) != manifest.checksums.get(name):
            raise ScoresError(f"{file} is missing or does not match its checksum; score again with `koc score`")
        return file


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
