"""Whether what is served is fresh, still fits its model, and turned out to be right once labels were closed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import ScoresError
from serving.access.principal import LOCAL
from serving.lists.lists import Lists
from serving.store.batch import Batch

if TYPE_CHECKING:
    import numpy.typing as npt

    from features.tables import Tables
    from training.timeline import Timeline

CHURN = "churn_probability"
FRESH_DAYS = 8
"""Scores are old after as many days: they are made once a week at least, and a day late is no alarm."""

MODEL_DAYS = 62
"""A model is old after as many days: it is trained once or twice a month."""

CHURN_OFF = 0.1
"""Distance of the share expected to leave from the share that left, from which it is an alarm unless chance explains it."""

CHURN_OFF_ALERT = "churn_off"
ALERTS = ("old_scores", "old_model", "score_drift", "feature_drift", CHURN_OFF_ALERT)
"""Every name of an `Alert`."""


@dataclass(frozen=True)
class ServedList:
    """What a list said when it was made: ``rows`` has ``user_id`` and, where it was told, ``churn_probability``."""

    as_of: datetime
    rows: pa.Table


@dataclass(frozen=True)
class Week:
    """The lists of scores of one week (from Monday ``week``), after the horizon: members of several lists count in each, as
    buyers once.

    week        str             ISO date
    lists       int
    people      int             members
    precision   0 to 1          share of the members who moved somebody; None without evidence of influence
    captured    0 to 1          share of all influence at these dates that members had, mean of the lists; None as before
    buyers      int             members with a probability of leaving
    expected    0 to 1          mean of these probabilities; None without
    left        0 to 1          share of them who left
    """

    week: str
    lists: int
    people: int
    precision: float | None
    captured: float | None
    buyers: int
    expected: float | None
    left: float | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def served_lists(lists: Lists) -> list[ServedList]:
    """Every list that was made, the oldest first."""
    found: list[ServedList] = []
    before = None
    while True:
        records, more = lists.all(LOCAL, before=before)
        for record in records:
            payload = lists.payload(record)
            rows = payload.table([name for name in ("user_id", CHURN) if name in payload.columns])
            found.append(ServedList(record.as_of.astimezone(UTC).replace(tzinfo=None), rows))
        if not more:
            return found[::-1]
        before = records[-1].created_at


def realised(tables: "Tables", lists: Iterable[ServedList]) -> list[Week]:
    """One `Week` for each week with lists whose label window is closed in ``tables``, the first one first."""
    from training.timeline import Timeline

    timeline, until = Timeline(tables), tables.observed_until
    weeks: dict[str, list[_Judged]] = {}
    # Lists of one batch share their labels.
    for as_of, same in groupby(sorted(lists, key=lambda each: each.as_of), key=lambda each: each.as_of):
        made = [each for each in same if len(each.rows)]
        if made and as_of + tables.dataset.time.horizon <= until:
            week = (as_of - timedelta(days=as_of.weekday())).date().isoformat()
            truth = _Truth.at(timeline, as_of, until)
            weeks.setdefault(week, []).extend(_judged(truth, each.rows) for each in made)
    return [_week(week, judged) for week, judged in weeks.items()]


@dataclass(frozen=True)
class _Judged:
    people: int
    moved: "npt.NDArray[np.bool_] | None"
    captured: float | None
    buyers: pa.Array
    expected: "npt.NDArray[np.float64]"
    left: "npt.NDArray[np.bool_]"


@dataclass(frozen=True)
class _Truth:
    """What followed one date: ``moved``, of who moved somebody ``user_id`` and ``influence``, None without evidence of it;
    ``stayed``, ids of who ordered, None without orders."""

    moved: pa.Table | None
    stayed: pa.Array | None

    @classmethod
    def at(cls, timeline: "Timeline", as_of: datetime, until: datetime) -> "_Truth":
        # Here, so that a service starts without the engine that it never asks.
        from features.labels import influence_labels, stayed

        view, to_arrow = timeline.view(as_of, until), timeline.tables.engine.to_arrow
        moved, here = None, None
        if timeline.has_influence:
            labels = to_arrow(influence_labels(view, as_of))
            moved = labels.filter(pc.greater(labels["influence"], 0))
        if timeline.has_churn:
            here = to_arrow(stayed(view, as_of))["user_id"].combine_chunks()
        return cls(moved, here)


def _judged(truth: _Truth, rows: pa.Table) -> _Judged:
    users = rows["user_id"].combine_chunks()
    moved, captured = None, None
    if truth.moved is not None:
        moved = pc.is_in(users, value_set=truth.moved["user_id"].combine_chunks()).to_numpy(zero_copy_only=False)
        members = pc.is_in(truth.moved["user_id"], value_set=users)
        whole = pc.sum(truth.moved["influence"]).as_py()
        captured = (pc.sum(truth.moved["influence"].filter(members)).as_py() or 0.0) / whole if whole else None
    if CHURN not in rows.column_names or truth.stayed is None:
        return _Judged(len(users), moved, captured, pa.array([], pa.string()), np.empty(0), np.empty(0, bool))
    known = pc.is_valid(rows[CHURN])
    buyers = users.filter(known.combine_chunks())
    left = ~pc.is_in(buyers, value_set=truth.stayed).to_numpy(zero_copy_only=False)
    return _Judged(len(users), moved, captured, buyers, rows[CHURN].filter(known).to_numpy(), left)


def _week(week: str, judged: Sequence[_Judged]) -> Week:
    moved = [each.moved for each in judged if each.moved is not None]
    captured = [each.captured for each in judged if each.captured is not None]
    buyers = np.concatenate([each.buyers.to_numpy(zero_copy_only=False) for each in judged])
    # Of somebody on several lists chance is thrown once.
    _, once = np.unique(buyers.astype(str), return_index=True)
    expected, left = (np.concatenate([getattr(each, name) for each in judged])[once] for name in ("expected", "left"))
    return Week(
        week=week,
        lists=len(judged),
        people=sum(each.people for each in judged),
        precision=float(np.concatenate(moved).mean()) if moved else None,
        captured=float(np.mean(captured)) if captured else None,
        buyers=len(expected),
        expected=float(expected.mean()) if len(expected) else None,
        left=float(left.mean()) if len(left) else None,
    )


@dataclass(frozen=True)
class Alert:
    """What somebody should look at: a name of `ALERTS`, and a sentence that ends with what to do."""

    alert: str
    text: str


@dataclass(frozen=True)
class Health:
    """How fresh a batch is, how its columns have moved and how lists turned out.

    ``model_days``: since the end of the data that the model was trained on, None where the batch does not tell. ``drift``:
    rows as from `Profile.drift`. ``weeks``: as from `Week.to_dict`, None where none were judged.
    """

    batch: str
    model: str
    score_days: float
    model_days: float | None
    drift: Sequence[Mapping[str, Any]]
    weeks: Sequence[Mapping[str, Any]] | None = None

    @property
    def shifted(self) -> list[str]:
        return [row["column"] for row in self.drift if row["shifted"]]

    @property
    def alerts(self) -> list[Alert]:
        found = []
        if self.score_days > FRESH_DAYS:
            text = f"the scores are of {self.score_days:.0f} days ago; score again, or look at the schedule"
            found.append(Alert("old_scores", text))
        if self.model_days is not None and self.model_days > MODEL_DAYS:
            text = f"{self.model} was trained on what was known {self.model_days:.0f} days ago; train a challenger"
            found.append(Alert("old_model", text))
        by_kind = {
            kind: [row["column"] for row in self.drift if row["shifted"] and row["kind"] == kind]
            for kind in ("score", "feature")
        }
        if by_kind["score"]:
            told = f"{' and '.join(by_kind['score'])} shifted since {self.model} was trained"
            found.append(Alert("score_drift", f"{told}; train a challenger"))
        if features := by_kind["feature"]:
            of = sum(row["kind"] == "feature" for row in self.drift)
            told = f"{len(features)} of {of} features shifted, first {', '.join(features[:5])}"
            found.append(Alert("feature_drift", f"{told}; see whether their tables are recorded as before"))
        if self.weeks and (off := _churn_off(self.weeks[-1])):
            found.append(Alert(CHURN_OFF_ALERT, off))
        return found


def _churn_off(week: Mapping[str, Any]) -> str | None:
    """What to say of the last week if as few or as many left as chance would bring about once in some hundred weeks."""
    expected, left, buyers = week["expected"], week["left"], week["buyers"]
    if expected is None or left is None:
        return None
    chance = 3 * math.sqrt(expected * (1 - expected) / buyers)
    if abs(expected - left) <= max(CHURN_OFF, chance):
        return None
    return (
        f"of {buyers:,} buyers on the lists of the week of {week['week']} {left:.0%} left, {expected:.0%} were expected to; "
        "train a challenger"
    )


def health(batch: Batch, weeks: Sequence[Mapping[str, Any]] | None = None, now: datetime | None = None) -> Health:
    """weeks: how lists turned out, see `Health`."""
    now = (now or datetime.now(UTC)).astimezone(UTC).replace(tzinfo=None)
    manifest = batch.manifest
    try:
        drift = batch.drift().to_pylist()
    except ScoresError:
        drift = []
    return Health(
        batch=manifest.batch,
        model=manifest.model,
        score_days=(now - datetime.fromisoformat(manifest.as_of)) / timedelta(days=1),
        model_days=(
            None
            if manifest.trained_until is None
            else (now - datetime.fromisoformat(manifest.trained_until)) / timedelta(days=1)
        ),
        drift=drift,
        weeks=weeks,
    )
