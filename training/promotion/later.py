"""What two bundles say at dates after both were trained, once the labels of these are closed: the strictest comparison."""

from collections.abc import Sequence
from datetime import datetime

from features.errors import PromotionError
from training.bundle import Bundle
from training.intervals import Evaluation
from training.judged import SERVED, about_users
from training.metrics import Task
from training.timeline import Timeline


def later_dates(timeline: Timeline, trained_until: datetime, most: int = 3) -> list[datetime]:
    """The last closed windows, a horizon apart, of which none begins before ``trained_until``.

    Raises:
        PromotionError: there is none yet.
    """
    horizon, end = timeline.tables.dataset.time.horizon, timeline.tables.observed_until
    dates = [end - horizon * step for step in range(most, 0, -1)]
    if found := [date for date in dates if date >= trained_until]:
        return found
    raise PromotionError(
        f"the models were trained until {trained_until:%Y-%m-%d %H:%M} and the data ends {end:%Y-%m-%d %H:%M}: no label "
        f"window of {horizon.days} days after both is closed; wait, or compare what their runs recorded (without --dataset)"
    )


def judged_later(bundle: Bundle, timeline: Timeline, dates: Sequence[datetime]) -> dict[Task, list[Evaluation]]:
    """What the very models of ``bundle`` say at ``dates`` and what happened, as `training.backtest.evaluate` gives it."""
    found: dict[Task, list[Evaluation]] = {"koc": [], "churn": []}
    name = timeline.tables.dataset.name
    for date in dates:
        frame = timeline.frame(date)
        about, truth, said = about_users(timeline.snapshot(date), frame), timeline.labels(date), bundle.hybrid.said(frame)
        if said.margin is not None:
            scores = {SERVED: said.margin}
            found["koc"].append(Evaluation(name, date, frame.users, truth.influence, scores, about))
        if said.churn is not None:
            of = frame.churn_population
            told = {column: values[of] for column, values in about.items()}
            label = truth.churned[of].astype(float)
            found["churn"].append(Evaluation(name, date, frame.users[of], label, {SERVED: said.churn[of]}, told))
    return found
