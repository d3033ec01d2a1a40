"""One batch of scores: a registered bundle over a dataset's users at a date, written to the score store."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from features.errors import BundleError
from features.tables import Tables
from serving.scores import Manifest, ScoreStore, category_influence, score_users
from training.bundle import Bundle
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
        TrackingError: no such model. BundleError: it was trained for other settings than the dataset's.
    """
    version = tracker.find(model)
    with tempfile.TemporaryDirectory() as folder:
        progress(f"loading koc version {version.version}")
        bundle = Bundle.load(tracker.download(version.version, Path(folder) / "bundle"))
    require_same_settings(bundle, tables)
    timeline = Timeline(tables, progress)
    moment = as_of or tables.observed_until
    users = score_users(bundle, timeline.matrix(moment), timeline.snapshot(moment))
    categories = category_influence(timeline.snapshot(moment))
    progress("writing the batch")
    return store.write(users, categories, dataset=tables.dataset.name, model=f"koc/{version.version}", as_of=moment)


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
    if trained.credit != given.credit:
        raise BundleError(
            f"the model was trained with credit = {trained.credit}, the dataset has {given.credit}; train again"
        )
