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

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.blocks.lifecycle import STAGES
from features.errors import ScoresError
from features.labels import churn_population
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot, latest_attributes
from serving.evidence import Evidence
from training.explain import say_reasons
from training.frame import Frame
from training.hybrid import Hybrid
from training.matrix import Floats, Matrix, among

USERS, CATEGORIES, MANIFEST, CURRENT = "users.parquet", "categories.parquet", "manifest.json", "current"
FOLLOW_UPS, NEXT_ITEMS = "evidence.parquet", "next_items.parquet"
FILES = (USERS, CATEGORIES, FOLLOW_UPS, NEXT_ITEMS)
EXPLAINED = 10_000
"""Users with a reason in words, from the top; contributions of everybody would take longer than the scores."""

PRIOR = 1.0
"""People moved that a user's own record is weighed against: with less, the market's means say more."""


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


def score_users(hybrid: Hybrid, frame: Frame, snapshot: Snapshot) -> pa.Table:
    """One row per user of the frame, best first, equal scores by user_id.

    user_id              string
    koc_score            float64  people expected to be moved within the horizon, > 0
    koc_percentile       float64  0 to 100, equal scores share the middle
    expected_value       float64  minor units expected to be moved within the horizon; null where no amounts are known
    rising               float64  influence lately against before, log2, above 0 is rising; null without any
    churn_probability    float64  of no order within the horizon, 0 to 1; null without an order in the two horizons before
    stage                string   lifecycle stage
    reason               string   in words, for the first ``EXPLAINED`` users
    reason_zh            string   the same in Chinese
    attribute columns    string   as of the date

    Without evidence of influence there are no koc columns and no reasons, and the likeliest leavers come first.
    """
    matrix, said = frame.matrix, hybrid.said(frame)
    columns: dict[str, pa.Array] = {"user_id": pa.array(matrix.users, pa.string())}
    order = np.arange(len(matrix.users))
    if said.margin is not None:
        order = np.lexsort((matrix.users.astype(str), -said.margin))
        columns["koc_score"] = pa.array(np.exp(said.margin))
        columns["koc_percentile"] = pa.array(percentile(said.margin))
        columns["expected_value"] = pa.array(np.exp(said.margin) * _value_each(matrix), from_pandas=True)
        columns["rising"] = pa.array(matrix.column("influence_rising"), from_pandas=True)
    if said.churn is not None:
        # The model has seen recent buyers only; of others it would say a number without a meaning.
        known = among(matrix.users, churn_population(snapshot), snapshot.engine)
        probability = np.where(known, said.churn, np.nan)
        columns["churn_probability"] = pa.array(probability, mask=~known)
        if said.margin is None:
            order = np.lexsort((matrix.users.astype(str), -probability))
    columns["stage"] = pa.array(np.array(STAGES, dtype=object)[matrix.column("stage").astype(int)], pa.string())
    if said.margin is not None:
        top = order[:EXPLAINED]
        texts = say_reasons(hybrid, frame, said, top.tolist())
        for name, language in (("reason", texts["en"]), ("reason_zh", texts["zh"])):
            column = np.full(len(order), None, dtype=object)
            column[top] = language
            columns[name] = pa.array(column, pa.string())
    columns |= _attributes(snapshot, matrix)
    return pa.table(columns).take(pa.array(order))


def explained(users: pa.Table) -> pa.Array:
    """The ids of those scored users who have a reason, best first."""
    if "reason" not in users.column_names:
        return pa.array([], pa.string())
    return users.filter(pc.is_valid(users["reason"]))["user_id"].combine_chunks()


def category_influence(snapshot: Snapshot) -> pa.Table:
    """(user_id, category, influence) of all ledger rows with a category, in people moved, sorted."""
    ledger = snapshot["ledger"].filter(lambda t: t.category.notnull() & (t.weight > 0))
    moved = ledger.group_by(user_id="influencer_id", category=ledger.category).agg(weight=ledger.weight.sum().cast("int64"))
    rows = snapshot.engine.to_arrow(moved).sort_by([("category", "ascending"), ("user_id", "ascending")])
    influence = np.asarray(rows["weight"].to_numpy(), dtype=float) / WEIGHT_UNIT
    return pa.table({"user_id": rows["user_id"], "category": rows["category"], "influence": influence})


def percentile(score: Floats) -> Floats:
    """(N,) 0 to 100; equal scores share the middle of their places."""
    ordered = np.sort(score)
    low, high = np.searchsorted(ordered, score, "left"), np.searchsorted(ordered, score, "right")
    return 100.0 * (low + high) / (2 * max(len(score), 1))


def _value_each(matrix: Matrix) -> Floats:
    """(N,) money per person moved, in minor units: a user's own record, backed by ``PRIOR`` people at the market's mean."""
    moved, value = matrix.column("influence_all") / WEIGHT_UNIT, matrix.column("influence_value_all")
    if not value.any():
        return np.full(len(value), np.nan)
    each: Floats = (value + PRIOR * value.sum() / moved.sum()) / (moved + PRIOR)
    return each


class ScoreStore:
    """Batches under one folder; ``current`` names the batch that is served."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(
        self,
        users: pa.Table,
        categories: pa.Table,
        evidence: Evidence | None = None,
        *,
        dataset: str,
        model: str,
        as_of: datetime,
    ) -> Manifest:
        """Write a batch and make it current; until the last step the previous batch stays.

        ``evidence``: None where nobody is explained.
        """
        evidence = evidence or Evidence.none()
        tables = (users, categories, evidence.follow_ups, evidence.next_items)
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
        """The manifest of the batch that is served.

        Raises:
            ScoresError: there is none, or it is incomplete or altered.
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
            manifest = Manifest(**{**content, "columns": tuple(content["columns"])})
        except (ValueError, KeyError, TypeError):
            raise ScoresError(f"{path} is not the manifest of a batch; score again with `koc score`") from None
        for name in FILES:
            file = self.folder / batch / name
            if not file.is_file() or _sha256(file) != manifest.checksums.get(name):
                raise ScoresError(f"{file} is missing or does not match its checksum; score again with `koc score`")
        return manifest

    def users(self) -> pa.Table:
        """The scores of the current batch, best first; columns as in `score_users`."""
        return pq.read_table(self.folder / self.current().batch / USERS)

    def categories(self) -> pa.Table:
        """Influence by user and category of the current batch; columns as in `category_influence`."""
        return pq.read_table(self.folder / self.current().batch / CATEGORIES)

    def evidence(self) -> Evidence:
        """Who followed the explained users of the current batch, and what to hand them next."""
        folder = self.folder / self.current().batch
        return Evidence(pq.read_table(folder / FOLLOW_UPS), pq.read_table(folder / NEXT_ITEMS))


def _attributes(snapshot: Snapshot, matrix: Matrix) -> dict[str, pa.Array]:
    """Attribute -> its value for each user of the matrix as of the snapshot."""
    if "attributes" not in snapshot:
        return {}
    rows = snapshot.engine.to_arrow(latest_attributes(snapshot)).to_pydict()
    values: dict[str, dict[str, str]] = {}
    for user, name, value in zip(rows["user_id"], rows["name"], rows["value"], strict=True):
        values.setdefault(name, {})[user] = value
    return {
        f"attribute_{name}": pa.array([values[name].get(user) for user in matrix.users], pa.string())
        for name in sorted(values)
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
