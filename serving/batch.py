"""One batch of scores: a registered bundle over a dataset's users at a date, written to the score store."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from features.errors import BundleError, ScoresError
from features.tables import Tables
from serving.communities import community_churn
from serving.evidence import evidence_of
from serving.store.manifest import Manifest
from serving.store.score_store import ScoreStore
from serving.scores import category_influence, explained, score_users, tie_scores
from training.bundle import Bundle
from training.frame import Frame
from training.hybrid import Hybrid
from training.timeline import Timeline
from training.tracking import Tracker


def score_batch(
    tables: Tables,
    tracker: Tracker,
    store: ScoreStore,
    *,
    model: str = "champion",
    as_of: datetime | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Manifest:
    """Score all users with an act before ``as_of`` (default: the end of the data) and make the batch current.

    Raises:
        TrackingError: no such model. BundleError: it was trained for other settings or tables than the dataset's.
        ScoresError: nobody acted before ``as_of``, or it lies more than a horizon after the end of the data.
    """
    version = tracker.find(model)
    with tempfile.TemporaryDirectory() as folder:
        progress(f"loading koc version {version.version}")
        bundle = Bundle.load(tracker.download(version.version, Path(folder) / "bundle"))
    require_same_settings(bundle, tables)
    timeline = Timeline(tables, progress)
    moment = as_of or tables.observed_until
    if moment > tables.observed_until + tables.dataset.time.horizon:
        raise ScoresError(
            f"the data ends {tables.observed_until:%Y-%m-%d}, more than a horizon before {moment:%Y-%m-%d}: everybody would "
            "look inactive; score an earlier date, or bring newer tables"
        )
    frame = timeline.frame(moment)
    if not len(frame.users):
        raise ScoresError(f"nobody acted before {moment:%Y-%m-%d}; score a later date")
    require_same_features(bundle.hybrid, frame)
    progress(f"{moment:%Y-%m-%d}: what the models say")
    snapshot, said = timeline.snapshot(moment), bundle.hybrid.said(frame)
    users = score_users(bundle.hybrid, frame, said, snapshot)
    categories, ties = category_influence(snapshot), tie_scores(frame, said)
    progress(f"{moment:%Y-%m-%d}: evidence of the first users")
    evidence = evidence_of(snapshot, explained(users))
    progress(f"{moment:%Y-%m-%d}: writing the batch")
    communities = community_churn(frame, said, snapshot)
    return store.write(
        users,
        categories,
        evidence,
        ties,
        communities,
        dataset=tables.dataset.name,
        model=f"koc/{version.version}",
        as_of=moment,
    )


def require_same_settings(bundle: Bundle, tables: Tables) -> None:
    """Raise unless the features of ``tables`` mean what they meant in training.

    Raises:
        BundleError: names the setting that differs.
    """
    trained, given = bundle.dataset, tables.dataset
    for name in ("horizon", "window", "min_gap", "lookback", "feature_windows"):
        then, now = getattr(trained.time, name), getattr(given.time, name)
        if then != now:
            raise BundleError(f"the model was trained with time.{name} = {then}, the dataset has {now}; train again")
    for name in ("credit", "zone", "currency"):
        then, now = getattr(trained, name), getattr(given, name)
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
