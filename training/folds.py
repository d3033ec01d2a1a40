"""The rows that models learn from: users and ties of past dates, with labels as they were known when they are fitted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from features.errors import LeakageError, TrainingError
from training.crossfit import Groups, Rows, people_in_groups
from training.frame import Frame
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Labels, Timeline

Value = TypeVar("Value", bound=np.generic)


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
    """The user rows of all folds, one fold after the other: (N,) each. ``groups``: of people, see `training.crossfit`.

    ``drawn``: rows that stand for all of them, each drawn with the chance ``share``, whatever its labels; all rows where
    they are no more than ``user_rows``. What models say unseen is asked of these rows only.
    """

    folds: Sequence[Fold]
    influence: Floats
    churned: Rows
    churn_known: Rows
    groups: Groups
    drawn: Rows
    share: float

    @classmethod
    def of(cls, folds: Sequence[Fold], settings: TrainSettings) -> "Panel":
        """Raises:
        TrainingError: fewer than two people have a positive label.
        """
        people = np.concatenate([fold.people for fold in folds])
        influence = np.concatenate([fold.labels.influence for fold in folds])
        churned = np.concatenate([fold.labels.churned for fold in folds])
        known = np.concatenate([fold.frame.churn_population for fold in folds])
        positive = influence > 0 if influence.any() else churned & known
        groups = people_in_groups(people, positive, settings.groups)
        # By the number of rows and not by labels, or a label would choose the rows of the member that must not see it.
        share = min(1.0, settings.user_rows / len(people))
        drawn = np.random.default_rng(settings.seed).random(len(people)) < share
        return cls(folds, influence, churned, known, groups, drawn, share)

    @property
    def churn_drawn(self) -> Rows:
        """(N,) the rows drawn of the churn populations."""
        return self.drawn & self.churn_known

    @property
    def telling(self) -> Rows:
        """(N,) the rows drawn and all rows with influence, which are few and say most."""
        return self.drawn | (self.influence > 0)

    @property
    def stands_for(self) -> Floats:
        """(telling,) how many rows each of the `telling` ones stands for, so that means are those of all rows."""
        return np.where(self.influence[self.telling] > 0, 1.0, 1.0 / self.share)

    def x(self, columns: Sequence[str], rows: Rows) -> npt.NDArray[np.float32]:
        """(rows.sum(), len(columns)) features; rows: (N,)."""
        wanted = self.by_fold(rows)
        return np.concatenate([fold.frame.matrix.select(columns, of) for fold, of in zip(self.folds, wanted, strict=True)])

    @property
    def frames(self) -> list[Frame]:
        return [fold.frame for fold in self.folds]

    def by_fold(self, rows: npt.NDArray[Value]) -> list[npt.NDArray[Value]]:
        """rows: (N,), taken apart by fold."""
        return np.split(rows, np.cumsum([len(fold.frame.users) for fold in self.folds])[:-1])


def training_folds(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> list[Fold]:
    """Rows to learn from for a model that is used at ``as_of``, latest date first; arguments and errors as in `fold_dates`.

    Of the training dates the timeline keeps frames, not snapshots.
    """
    found = []
    for date in fold_dates(timeline, as_of, settings):
        frame = timeline.frame(date)
        timeline.forget(date)
        found.append(Fold(date, frame, timeline.labels(date, known_at=as_of), timeline.people(frame.users, as_of)))
    return found


def fold_dates(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> list[datetime]:
    """Dates to learn from for a model that is used at ``as_of``, latest first.

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
    return dates
