"""The rows that models learn from: users and ties of past dates, with labels as they were known when they are fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from features.errors import LeakageError, TrainingError
from training.crossfit import Groups, people_in_groups
from training.frame import Frame
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Labels, Timeline


@dataclass(frozen=True)
class Fold:
    """The training rows of one date: what was known, and labels as they were known when the model was fitted.

    ``people``: (N,) the person whom each user was known to be by then; accounts that merge later are one.
    """

    as_of: datetime
    frame: Frame
    labels: Labels
    people: npt.NDArray[np.object_]


@dataclass(frozen=True)
class Panel:
    """The user rows of all folds, one fold after the other: (N,) each. ``groups``: of people, see `training.crossfit`."""

    folds: Sequence[Fold]
    influence: Floats
    churned: npt.NDArray[np.bool_]
    churn_known: npt.NDArray[np.bool_]
    groups: Groups

    @classmethod
    def of(cls, folds: Sequence[Fold], groups: int) -> "Panel":
        """Raises:
        TrainingError: fewer than two people have a positive label.
        """
        people = np.concatenate([fold.people for fold in folds])
        influence = np.concatenate([fold.labels.influence for fold in folds])
        churned = np.concatenate([fold.labels.churned for fold in folds])
        known = np.concatenate([fold.frame.churn_population for fold in folds])
        positive = influence > 0 if influence.any() else churned & known
        return cls(folds, influence, churned, known, people_in_groups(people, positive, groups))

    def x(self, columns: Sequence[str]) -> npt.NDArray[np.float32]:
        """(N, len(columns)) features."""
        return np.concatenate([fold.frame.matrix.select(columns) for fold in self.folds])

    @property
    def frames(self) -> list[Frame]:
        return [fold.frame for fold in self.folds]

    @property
    def groups_by_fold(self) -> list[Groups]:
        return np.split(self.groups, np.cumsum([len(fold.frame.users) for fold in self.folds])[:-1])


def training_folds(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> list[Fold]:
    """Rows to learn from for a model that is used at ``as_of``, latest date first.

    Raises:
        TrainingError: no date before ``as_of`` has a closed label window and enough history.
        LeakageError: a label window reaches past ``as_of``.
    """
    dates = timeline.training_dates(as_of, settings.dates, settings.dates_per_horizon)
    horizon = timeline.tables.dataset.time.horizon
    if not dates:
        first = timeline.first_event(as_of)
        raise TrainingError(
            f"no training date before {as_of:%Y-%m-%d}: one needs half a horizon of history and a closed window "
            f"of {horizon.days} days, and the first order or response is {f'of {first:%Y-%m-%d}' if first else 'later'}; "
            "choose a later date or a shorter horizon"
        )
    if late := [date for date in dates if date + horizon > as_of]:
        dates_late = ", ".join(f"{date:%Y-%m-%d}" for date in late)
        raise LeakageError(f"the label windows of {dates_late} reach past {as_of:%Y-%m-%d}; train on earlier dates")
    found = []
    for date in dates:
        frame = timeline.frame(date)
        found.append(Fold(date, frame, timeline.labels(date, known_at=as_of), timeline.people(frame.users, as_of)))
    return found
