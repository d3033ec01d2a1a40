"""Scores of given users from the freshest events, including people who appeared after the last batch."""

import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.dataset import Dataset, read_dataset
from features.errors import BundleError, DatasetError, LiveError, ScoresError, TrackingError, ValidationError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal
from serving.lists.scope import seen_in
from serving.outreach.people import People
from serving.outreach.suppressions import erased
from serving.settings import ServiceSettings
from serving.sources import sources_token
from serving.state.database import Database
from serving.store.batch import Batch
from serving.store.filters import CATEGORY, REACHABLE
from serving.store.served import Served

if TYPE_CHECKING:
    from features.snapshot import Snapshot
    from training.bundle import Bundle
    from training.frame import Frame
    from training.hybrid import Said
    from training.tracking import Tracker

MOST_MODELS = 2
"""Models whose answers are kept for one state of the sources: the champion, and a challenger beside it."""

SHOWN = 20
"""Users who are named in the audit log."""

MOST_USERS = 1_000
"""Users of one request: telling reasons takes milliseconds for each; a batch tells of everybody."""


@dataclass(frozen=True)
class Fresh:
    """Everybody's features as of the end of the data. ``facts``: as from `serving.scores.user_facts`. ``person_of``: account
    that belongs to a person under another id -> that id. ``snapshot``: what extra models read besides."""

    token: str
    dataset: Dataset
    as_of: datetime
    frame: "Frame"
    facts: pa.Table
    person_of: dict[str, str]
    snapshot: "Snapshot"


@dataclass(frozen=True)
class Opinion:
    """What one model says of a `Fresh`; ``users``: all columns of a batch but reasons, by user_id."""

    fresh: Fresh
    version: int
    bundle: "Bundle"
    said: "Said"
    users: pa.Table


@dataclass(frozen=True)
class LiveScores:
    """Scores as of ``as_of`` (UTC) by ``model``.

    ``scores``: in the order asked for, all columns of a batch, with ``batch_koc_score`` and by how much the score is above
    it, ``change``; None where the batch does not know the user. ``unknown``: ``user_id`` and ``reason`` of everybody else.
    ``batch``, ``batch_as_of``, ``batch_model``: what is compared with; None without a batch.
    """

    as_of: datetime
    model: str
    batch: str | None
    batch_as_of: datetime | None
    batch_model: str | None
    scores: list[dict[str, Any]]
    unknown: list[dict[str, str]]


class Live:
    """Features of everybody, kept in memory until a source changes; a change is read once, whoever asks.

    Features of a user depend on the people around, so that a frame is always of all users.
    """

    def __init__(self, settings: ServiceSettings, served: Served, database: Database) -> None:
        self.settings, self.served, self.database = settings, served, database
        self.audit = Audit(database)
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-scores")
        self._making: tuple[tuple[str, int], Future[Opinion]] | None = None
        self._opinions: OrderedDict[int, Opinion] = OrderedDict()

    def score(
        self,
        users: Sequence[str],
        principal: Principal = LOCAL,
        *,
        model: str | None = None,
        now: datetime | None = None,
        request_id: str | None = None,
    ) -> LiveScores:
        """Scores of ``users`` (ids, at most ``MOST_USERS``) now; of one named twice, once.

        ``model``: a version or an alias; by default the model of the current batch, without one the champion. People whom
        ``principal`` does not see, and erased ones, are unknown.

        Raises:
            ScoresError: too many users, or no such model. LiveError: the sources cannot be used, the model was trained for
            others, or features are being made for longer than ``live_seconds``.
        """
        asked = list(dict.fromkeys(users))
        if len(asked) > MOST_USERS:
            raise ScoresError(
                f"{len(asked):,} users are asked for, {MOST_USERS:,} are the most; ask in parts, or score everybody by a job"
            )
        batch, now = self._batch(), now or datetime.now(UTC)
        opinion = self._opinion(self._version(model, batch), now)
        rows = self._places(opinion, asked, principal)
        gone = self._erased([*rows])
        known = [user for user in asked if user in rows and user not in gone]
        scores = _told(opinion, np.array([rows[user] for user in known], np.int64))
        before = _scores_before(batch, opinion, known)
        for record, earlier in zip(scores, before, strict=True):
            record["batch_koc_score"] = earlier
            record["change"] = None if earlier is None else record["koc_score"] - earlier
        manifest = batch.manifest if batch else None
        self.audit.write(
            principal, "scores.view", known[0] if len(known) == 1 else f"{len(known)} users",
            model_version=f"koc/{opinion.version}", criteria={"users": known[:SHOWN]}, rows=len(known),
            request_id=request_id, now=now,
        )  # fmt: skip
        return LiveScores(
            as_of=opinion.fresh.as_of.replace(tzinfo=UTC),
            model=f"koc/{opinion.version}",
            batch=manifest.batch if manifest else None,
            batch_as_of=datetime.fromisoformat(manifest.as_of).replace(tzinfo=UTC) if manifest else None,
            batch_model=manifest.model if manifest else None,
            scores=scores,
            unknown=[
                {"user_id": user, "reason": _why_unknown(opinion, user, principal, user in gone)}
                for user in asked
                if user not in rows or user in gone
            ],
        )

    def close(self) -> None:
        """Let go of the thread, once it has done what it is doing."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _batch(self) -> Batch | None:
        try:
            return self.served.batch
        except ScoresError:
            return None

    def _version(self, model: str | None, batch: Batch | None) -> int:
        if model is None and batch is not None:
            return int(batch.manifest.model.rpartition("/")[2])
        try:
            return self._tracker.find(model or "champion").version
        except TrackingError as error:
            raise (ScoresError(str(error)) if model else LiveError(str(error))) from error

    def _erased(self, users: Sequence[str]) -> set[str]:
        with self.database.read() as connection:
            return erased(connection, users)

    def _places(self, opinion: Opinion, asked: Sequence[str], principal: Principal) -> dict[str, int]:
        """User -> row, of those who have acted and whom ``principal`` sees."""
        place = pc.index_in(pa.array(asked, pa.string()), value_set=opinion.users["user_id"].combine_chunks())
        found = place.drop_null()
        own = opinion.users.take(found)
        users, seen = own["user_id"].to_pylist(), seen_in(own, principal)
        if not {CATEGORY, REACHABLE}.isdisjoint(principal.row_scope):
            # Of these a batch alone can tell; whom it does not know yet nobody sees by them.
            inside = People(self.served).inside(principal, users) if self._batch() else set()
            seen &= np.array([user in inside for user in users], dtype=bool)
        return {user: row for user, row, sees in zip(users, found.to_pylist(), seen.tolist(), strict=True) if sees}

    @cached_property
    def _tracker(self) -> "Tracker":
        from training.tracking import Tracker

        return Tracker(self.settings.tracking_uri, self.settings.home)

    def _opinion(self, version: int, now: datetime) -> Opinion:
        """What the model says of the sources as they are, or were while this waited."""
        deadline = time.monotonic() + self.settings.live_seconds
        try:
            dataset = read_dataset(self.settings.dataset)
        except DatasetError as error:
            raise LiveError(f"fresh scores cannot be made: {error}") from error
        token = sources_token(dataset, now, timedelta(minutes=self.settings.database_minutes))
        while True:
            with self._lock:
                kept = self._opinions.get(version)
                if kept and kept.fresh.token == token:
                    self._opinions.move_to_end(version)
                    return kept
                if self._making is None or self._making[1].done():
                    self._making = ((token, version), self._pool.submit(self._make, dataset, token, version))
                key, making = self._making
            if wait([making], timeout=max(0.0, deadline - time.monotonic())).not_done:
                raise LiveError(
                    f"scores of everybody in {dataset.name} are being made from changed sources, for longer than "
                    f"{self.settings.live_seconds:g} s; ask again later, or score by a job (POST /v1/jobs)",
                    retry_after=max(1, round(self.settings.live_seconds)),
                )
            if key == (token, version):
                try:
                    return making.result()
                except (DatasetError, ValidationError, BundleError, ScoresError, TrackingError) as error:
                    raise LiveError(f"fresh scores cannot be made: {error}") from error

    def _make(self, dataset: Dataset, token: str, version: int) -> Opinion:
        from serving.batch import load_bundle, require_same_features, require_same_settings
        from serving.scores import score_columns, with_extras

        with self._lock:
            earlier = self._opinions.get(version)
            bundle = earlier.bundle if earlier else None
            del earlier
            # Of an earlier state nobody asks again: its features go before the new ones come, so that they never lie side
            # by side in memory.
            self._opinions = OrderedDict((v, o) for v, o in self._opinions.items() if o.fresh.token == token)
            fresh = next((opinion.fresh for opinion in self._opinions.values()), None)
        bundle = bundle or load_bundle(self._tracker, version)
        require_same_settings(bundle, dataset)
        fresh = fresh or self._read(dataset, token)
        require_same_features(bundle.hybrid, fresh.frame)
        said = bundle.hybrid.said(fresh.frame)
        users = score_columns(fresh.frame, said, fresh.facts)
        users = with_extras(users, bundle.extras.score(fresh.snapshot, fresh.frame))
        opinion = Opinion(fresh, version, bundle, said, users)
        with self._lock:
            self._opinions[version] = opinion
            while len(self._opinions) > MOST_MODELS:
                self._opinions.popitem(last=False)
        return opinion

    def _read(self, dataset: Dataset, token: str) -> Fresh:
        from features.blocks.all import ALL_BLOCKS
        from features.engine import DuckDB
        from features.intake.open_tables import open_tables
        from features.snapshot import accounts_known
        from serving.batch import frame_of_all
        from serving.scores import user_facts
        from training.timeline import Timeline

        engine = DuckDB(memory_limit=self.settings.memory, threads=self.settings.threads)
        timeline = Timeline(open_tables(dataset, engine, blocks=ALL_BLOCKS)[0])
        as_of = timeline.tables.observed_until
        frame = frame_of_all(timeline, as_of)
        accounts = accounts_known(timeline.tables, as_of).to_pydict() if "identities" in timeline.tables.tables else {}
        person_of = dict(zip(accounts.get("account", ()), accounts.get("person_id", ()), strict=True))
        snapshot = timeline.snapshot(as_of)
        return Fresh(token, dataset, as_of, frame, user_facts(frame, snapshot), person_of, snapshot)


def _told(opinion: Opinion, rows: "np.ndarray[Any, np.dtype[np.int64]]") -> list[dict[str, Any]]:
    from serving.scores import explain

    table = opinion.users.take(pa.array(rows))
    if opinion.said.margin is not None and len(rows):
        reasons = explain(opinion.bundle.hybrid, opinion.fresh.frame, opinion.said, rows)
        for name in reasons.column_names:
            table = table.append_column(name, reasons[name])
    records: list[dict[str, Any]] = table.to_pylist()
    return records


def _scores_before(batch: Batch | None, opinion: Opinion, users: Sequence[str]) -> list[float | None]:
    """Of each user what the batch says; None if it does not know the user, or is of another dataset."""
    nothing: list[float | None] = [None] * len(users)
    if batch is None or "koc_score" not in batch.columns or "koc_score" not in opinion.users.column_names:
        return nothing
    if batch.manifest.dataset != opinion.fresh.dataset.name:
        return nothing
    rows = batch.rows_of(list(users))
    found = iter(batch.table(rows[rows >= 0], ["koc_score"])["koc_score"].to_pylist())
    return [next(found) if row >= 0 else None for row in rows]


def _why_unknown(opinion: Opinion, user: str, principal: Principal, erased: bool) -> str:
    before = f"no act before {opinion.fresh.as_of:%Y-%m-%d %H:%M:%S}"
    if principal.row_scope:
        # One reason for all, so that a key does not learn who exists outside of what it sees.
        return f"{before}, or outside of what this key sees"
    if erased:
        return "erased"
    person = opinion.fresh.person_of.get(user)
    return f"an account of {person}; ask for that id" if person else before
