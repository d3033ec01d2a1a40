"""Extra models beside the hybrid: fitted where their tables are there, kept in the bundle, each adds columns of scores."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from features.errors import BundleError
from features.snapshot import Snapshot
from training.folds import Fold
from training.frame import Frame
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Timeline

FOLDER = "extras"
"""Of a bundle, with one folder for each extra model."""


class ExtraModel(Protocol):
    """A fitted extra model."""

    def score(self, snapshot: Snapshot, frame: Frame) -> Mapping[str, Floats]:
        """Column -> (N,) for the users of ``frame``, nan where nothing can be said; snapshot: the prepared one behind it."""
        ...

    def report(self) -> Mapping[str, float]:
        """Metric -> value on rows that the judged model had not seen; nan where there were too few."""
        ...

    def files(self) -> Mapping[str, str]:
        """Name -> text in formats that run no code (JSON, LightGBM text); equal models give equal texts."""
        ...


@dataclass(frozen=True)
class Skipped:
    """Why an extra model was not fitted: the table or the number of rows that it lacks."""

    reason: str


@dataclass(frozen=True)
class Extra:
    """A kind of extra model.

    ``fit``: timeline, folds as from `training.folds.training_folds` (latest first), the date at which the model is used
    and settings -> model. The frames of the folds are there, their snapshots are not; labels are told by
    `Timeline.view(fold.as_of, known_at)`, of what was known at that date. Seconds are all that it may take.
    ``load``: the model of its `files`.
    """

    name: str
    fit: "Fit"
    load: Callable[[Mapping[str, str]], ExtraModel]


Fit = Callable[[Timeline, Sequence[Fold], datetime, TrainSettings], ExtraModel | Skipped]


@dataclass(frozen=True)
class Extras:
    """What came of all kinds: the models, and why the others were skipped, by name."""

    models: Mapping[str, ExtraModel] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)

    def score(self, snapshot: Snapshot, frame: Frame) -> dict[str, Floats]:
        """Column -> (N,) of all models."""
        return {name: values for model in self.models.values() for name, values in model.score(snapshot, frame).items()}

    def files(self) -> dict[str, str]:
        """Path in the bundle -> text."""
        return {
            f"{FOLDER}/{name}/{file}": text for name, model in self.models.items() for file, text in model.files().items()
        }


def fit_extras(
    kinds: Sequence[Extra],
    timeline: Timeline,
    folds: Sequence[Fold],
    known_at: datetime,
    settings: TrainSettings,
    progress: Callable[[str], None] = lambda _: None,
) -> Extras:
    """All ``kinds`` on what was known at ``known_at``."""
    models, skipped = {}, {}
    for kind in kinds:
        progress(f"extra model: {kind.name.replace('_', ' ')}")
        fitted = kind.fit(timeline, folds, known_at, settings)
        if isinstance(fitted, Skipped):
            skipped[kind.name] = fitted.reason
        else:
            models[kind.name] = fitted
    return Extras(models, skipped)


def load_extras(kinds: Sequence[Extra], files: Mapping[str, str]) -> Extras:
    """The models of a bundle; files: path -> text of its files.

    Raises:
        BundleError: it holds an extra model that is not among ``kinds``.
    """
    parts: dict[str, dict[str, str]] = {}
    for path, text in files.items():
        if path.startswith(f"{FOLDER}/"):
            _, name, file = path.split("/", 2)
            parts.setdefault(name, {})[file] = text
    known = {kind.name: kind for kind in kinds}
    if unknown := sorted({*parts} - {*known}):
        raise BundleError(f"the bundle holds the extra model {unknown[0]!r}, which this version does not know; train again")
    return Extras({name: known[name].load(parts[name]) for name in sorted(parts)})
