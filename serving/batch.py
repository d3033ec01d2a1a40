"""One batch of scores: a registered bundle over a dataset's users at a date, written to the score store."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TypedDict, TypeVar

import pyarrow as pa

from features.dataset import Dataset
from features.engine import Engine
from features.errors import BundleError, NoScoresError, ScoresError
from features.tables import Tables
from serving.category_record import category_record
from serving.communities import communities_of
from serving.evidence import Evidence, evidence_of
from serving.kpis import kpis
from serving.scores import explained, score_users, tie_scores, user_facts
from serving.store.manifest import Manifest
from serving.store.schemas import DRIFT_SCHEMA
from serving.store.score_store import ScoreStore
from training.bundle import Bundle
from training.frame import Frame
from training.hybrid import Hybrid
from training.parallel import aside
from training.timeline import Timeline
from training.tracking import CHAMPION, Tracker

BESIDE = 30_000_000
"""Users and ties of which models and facts fit into memory together."""

Told = TypeVar("Told")
Known = TypeVar("Known")


class BatchTables(TypedDict):
    """The tables of a batch; see `ScoreStore.write`."""

    users: pa.Table
    categories: pa.RecordBatchReader
    evidence: Evidence
    ties: pa.Table
    communities: pa.Table
    kpis: pa.Table
    drift: pa.Table


def score_batch(
    tables: Tables,
    tracker: Tracker,
    store: ScoreStore,
    *,
    model: str = "champion",
    as_of: datetime | None = None,
    keep: int | None = None,
    mark: str | None = None,
    served: Callable[[str], bool] | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Score all users with an act before ``as_of`` (default: the end of the data) and make the batch current.

    ``keep``: batches that stay; ``mark``: the end of its name; ``served``: whether a batch of a model becomes current, by
    default `of_champion`; all as in `ScoreStore.write`.

    Raises:
        TrackingError: no such model. BundleError: it was trained for other settings or tables than the dataset's.
        ScoresError: nobody acted before ``as_of``, or it lies more than a horizon after the end of the data.
    """
    version = tracker.find(model).version
    progress(f"loading koc version {version}")
    bundle = load_bundle(tracker, version)
    require_same_settings(bundle, tables.dataset)
    moment = as_of or tables.observed_until
    told = tables_of(Timeline(tables, progress), bundle, moment)
    progress(f"{moment:%Y-%m-%d}: writing the batch")
    return store.write(
        **told,
        dataset=tables.dataset.name,
        model=f"koc/{version}",
        as_of=moment,
        trained_until=bundle.as_of,
        keep=keep,
        mark=mark,
        served=served or of_champion(tracker, store),
    )


def tables_of(timeline: Timeline, bundle: Bundle, as_of: datetime) -> BatchTables:
    """All that a batch says of the users of a date, by the names of `ScoreStore.write`; frame and derived tables are let go.

    Raises:
        BundleError: the dataset lacks features that the model reads. ScoresError: as `frame_of_all`.
    """
    frame = frame_of_all(timeline, as_of)
    require_same_features(bundle.hybrid, frame)
    snapshot = timeline.snapshot(as_of)
    said, (facts, categories, extras) = _beside(
        lambda: bundle.hybrid.said(frame),
        lambda: (user_facts(frame, snapshot), category_record(snapshot), bundle.extras.score(snapshot, frame)),
        snapshot.engine if len(frame.users) + len(frame.ties) > BESIDE else None,
        lambda what: timeline.progress(f"{as_of:%Y-%m-%d}: {what}"),
    )
    users, ties = score_users(bundle.hybrid, frame, said, facts, extras), tie_scores(frame, said)
    del facts, extras
    timeline.progress(f"{as_of:%Y-%m-%d}: evidence of the first users")
    found: BatchTables = {
        "users": users,
        "categories": categories,
        "evidence": evidence_of(snapshot, explained(users)),
        "ties": ties,
        "communities": communities_of(frame, said, snapshot, users, ties),
        "kpis": kpis(snapshot, users),
        "drift": pa.Table.from_pylist(bundle.profile.drift(frame, said), DRIFT_SCHEMA),
    }
    timeline.forget(as_of)
    return found


def _beside(
    models: Callable[[], Told], facts: Callable[[], Known], engine: Engine | None, progress: Callable[[str], None]
) -> tuple[Told, Known]:
    """Models ask nothing of the engine, and facts nothing of the models: each leaves cores idle for the other.

    engine: given where both do not fit into memory, so that they come after each other.
    """
    if engine is None:
        progress("what the models say")
        with aside(models) as telling:
            known = facts()
            return telling.result(), known
    progress("facts about users")
    known = facts()
    progress("what the models say")
    with engine.resting():
        return models(), known


def of_champion(tracker: Tracker, store: ScoreStore) -> Callable[[str], bool]:
    """Tells whether a batch of a model (``koc/3``) is to be served: that of the champion, so that only a promotion brings
    another one to the lists, and any as long as nothing is served."""

    def served(model: str) -> bool:
        try:
            store.current_id()
        except NoScoresError:
            return True
        return model == f"koc/{tracker.find(CHAMPION).version}"

    return served


def load_bundle(tracker: Tracker, version: int) -> Bundle:
    """The bundle behind a registered version."""
    with tempfile.TemporaryDirectory() as folder:
        return Bundle.load(tracker.download(version, Path(folder) / "bundle"))


def frame_of_all(timeline: Timeline, as_of: datetime) -> Frame:
    """The frame of a date that scores can be told of.

    Raises:
        ScoresError: nobody acted before ``as_of``, or it lies more than a horizon after the end of the data.
    """
    tables = timeline.tables
    if as_of > tables.observed_until + tables.dataset.time.horizon:
        raise ScoresError(
            f"the data ends {tables.observed_until:%Y-%m-%d}, more than a horizon before {as_of:%Y-%m-%d}: everybody would "
            "look inactive; score an earlier date, or bring newer tables"
        )
    frame = timeline.frame(as_of)
    if not len(frame.users):
        raise ScoresError(f"nobody acted before {as_of:%Y-%m-%d}; score a later date")
    return frame


def require_same_settings(bundle: Bundle, dataset: Dataset) -> None:
    """Raise unless the features of ``dataset`` mean what they meant in training.

    Raises:
        BundleError: names the setting that differs.
    """
    for name in ("horizon", "window", "min_gap", "lookback", "feature_windows"):
        then, now = getattr(bundle.dataset.time, name), getattr(dataset.time, name)
        if then != now:
            raise BundleError(f"the model was trained with time.{name} = {then}, the dataset has {now}; train again")
    for name in ("credit", "zone", "currency"):
        then, now = getattr(bundle.dataset, name), getattr(dataset, name)
        if then != now:
            raise BundleError(f"the model was trained with {name} = {then}, the dataset has {now}; train again")


def require_same_features(hybrid: Hybrid, frame: Frame) -> None:
    """Raise unless ``frame`` has all features of users and ties that the models read.

    Raises:
        BundleError: names features that are not there.
    """
    absent = [column for column in hybrid.gnn.columns if column not in frame.matrix]
    absent += [column for column in (hybrid.ties.tie_columns if hybrid.ties else ()) if column not in frame.ties.columns]
    if absent:
        raise BundleError(
            f"the model reads {len(absent)} features that the dataset's tables no longer give, such as "
            f"{', '.join(absent[:3])}; map the tables that it was trained on, or train again"
        )
