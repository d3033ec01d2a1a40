"""Whether a challenger may take the champion's place: one `Check` for each thing that has to hold, with its numbers."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from training.intervals import POOLED, Evaluation, Record, bootstrap_records
from training.judged import SLICES, SUPPRESSED
from training.metrics import METRICS, Floats, Metric, Task, Weighted
from training.recipe import Recipe

CHALLENGER, CHAMPION = "challenger", "champion"
OVERALL = "overall"


@dataclass(frozen=True)
class Check:
    """One thing that has to hold: ``value`` at least, or of a ``most`` at most, ``limit``; ``text`` says it in words."""

    name: str
    passed: bool
    value: float
    limit: float
    text: str

    @property
    def told(self) -> str:
        return f"{self.name}: {self.text}"


@dataclass(frozen=True)
class Rules:
    """How much worse a challenger may be, at the lower 95 % bound of the difference, and on what.

    ``dates``: test dates that both were judged on, at least. ``same``: least share of people judged by either who were
    judged by both. ``margin``: share of the champion's average precision and captured influence that may be lost overall,
    ``slice_margin``: in a slice. ``error``, ``slice_error``: how much the churn model's calibration error may grow.
    ``level``, ``slice_level``: how much further the logarithm of people expected over people moved may lie from 0.
    ``people``, ``positives``: a slice is large with as many people, and as many of them with a positive label. ``top``:
    share of the people, best first, in which no suppressed account may be. ``resamples``: of each interval.
    """

    dates: int = 2
    same: float = 0.99
    margin: float = 0.05
    slice_margin: float = 0.15
    error: float = 0.02
    slice_error: float = 0.05
    level: float = 0.15
    slice_level: float = 0.4
    people: int = 500
    positives: int = 30
    top: float = 0.01
    resamples: int = 1000


def _level(weighted: Weighted) -> Floats:
    ranking = weighted.ranking
    expected, moved = weighted.weight @ np.exp(ranking.score), weighted.weight @ ranking.relevance
    with np.errstate(divide="ignore"):
        away: Floats = np.where(moved > 0, np.abs(np.log(expected / np.where(moved > 0, moved, 1.0))), np.nan)
    return away


LEVEL = Metric("level", "koc", _level, higher_is_better=False, grows_with_noise=True)
"""Distance of the people expected from the people moved: the absolute logarithm of their ratio, 0 at best."""

JUDGED_BY: Mapping[Task, tuple[Metric, ...]] = {
    "koc": (METRICS["average_precision"], METRICS["captured_at_5pct"], LEVEL),
    "churn": (METRICS["ece"],),
}
"""Captured influence is that of the first 5 %: in a slice the first 1 % are a handful of people."""


def paired(champion: pa.Table, challenger: pa.Table) -> dict[Task, list[Evaluation]]:
    """Task -> both models on the same people at each date that both were judged on; tables as from `judged_table`.

    Labels and slices are those of the challenger's run, which knew more.
    """
    found: dict[Task, list[Evaluation]] = {}
    for task in get_args(Task):
        for date in _common_dates(champion, challenger, task):
            theirs, ours = (_at(table, task, date) for table in (champion, challenger))
            both = ours.join(theirs.select(["person", "score"]), "person", right_suffix="_theirs", join_type="inner")
            both = both.sort_by("person")
            scores = {CHALLENGER: both["score"].to_numpy(), CHAMPION: both["score_theirs"].to_numpy()}
            about = {name: both[name].to_numpy() for name in (*SLICES, SUPPRESSED)}
            label = both["label"].to_numpy()
            found.setdefault(task, []).append(Evaluation("", date, both["person"].to_numpy(), label, scores, about))
    return found


def enough_dates(champion: pa.Table, challenger: pa.Table, rules: Rules) -> Check:
    """Both were judged on several test dates that they share, in everything that either was judged in."""
    tasks = {*champion["task"].to_pylist(), *challenger["task"].to_pylist()}
    fewest = min((len(_common_dates(champion, challenger, task)) for task in tasks), default=0)
    text = f"{fewest} test dates on which both were judged in {' and '.join(sorted(tasks)) or 'anything'}"
    return Check("dates", fewest >= rules.dates, fewest, rules.dates, f"{text}; at least {rules.dates} are needed")


def same_people(champion: pa.Table, challenger: pa.Table, rules: Rules) -> Check:
    """At the shared dates both judged the same people."""
    shares = [1.0]
    for task in get_args(Task):
        for date in _common_dates(champion, challenger, task):
            theirs, ours = ({*_at(table, task, date)["person"].to_pylist()} for table in (champion, challenger))
            shares.append(len(theirs & ours) / len(theirs | ours))
    least = min(shares)
    text = f"{least:.1%} of the people judged by either were judged by both; at least {rules.same:.0%} are needed"
    return Check("people", least >= rules.same, least, rules.same, text)


def not_worse(judged: Mapping[Task, Sequence[Evaluation]], rules: Rules, seed: int = 0) -> list[Check]:
    """One check for each metric, overall and in every large slice: the lower bound of the gain is above the margin.

    The interval is the pooled bootstrap of `training.intervals`, paired by person over all dates.
    """
    checks: list[Check] = []
    for task, dates in judged.items():
        for where, part in parts(dates, rules):
            checks += _compared(where, task, part, rules, seed)
    return checks


def no_suppressed(challenger: pa.Table, dates: Iterable[datetime], rules: Rules) -> Check:
    """Of the people whom the challenger puts first, nobody is suppressed at that date."""
    found = 0
    for date in dates:
        rows = _at(challenger, "koc", date)
        first = math.ceil(rules.top * len(rows) - 1e-9)
        order = np.argsort(-rows["score"].to_numpy(), kind="stable")[:first]
        found += int(np.count_nonzero(rows[SUPPRESSED].to_numpy()[order] != ""))
    text = f"{found} suppressed accounts among the first {rules.top:.0%} of the test dates; none may be there"
    return Check("suppressed", not found, found, 0, text)


def mature(training_dates: Sequence[datetime], horizon: timedelta, as_of: datetime) -> Check:
    """Every label that taught the challenger was closed when it was fitted."""
    open_days = max(((date + horizon - as_of) / timedelta(days=1) for date in training_dates), default=np.inf)
    text = (
        f"the last label window of training closed {abs(open_days):g} days before the challenger was fitted"
        if open_days <= 0
        else f"a label window of training was open for {open_days:g} more days when the challenger was fitted"
    )
    return Check("labels", bool(open_days <= 0), float(open_days), 0, text)


def decide(
    champion: pa.Table,
    challenger: pa.Table,
    *,
    recipe: Recipe,
    rules: Rules,
) -> list[Check]:
    """All checks; champion, challenger: tables as from `judged_table`; ``recipe``: how the challenger was trained."""
    taught = [datetime.fromisoformat(date) for date in recipe.training_dates]
    judged = paired(champion, challenger)
    dates = [evaluation.as_of for evaluation in judged.get("koc", ())]
    return [
        mature(taught, timedelta(days=recipe.horizon_days), datetime.fromisoformat(recipe.as_of)),
        enough_dates(champion, challenger, rules),
        same_people(champion, challenger, rules),
        *not_worse(judged, rules),
        no_suppressed(challenger, dates, rules),
    ]


def _common_dates(champion: pa.Table, challenger: pa.Table, task: str) -> list[datetime]:
    theirs, ours = ({*table.filter(pc.equal(table["task"], task))["as_of"].to_pylist()} for table in (champion, challenger))
    return sorted(theirs & ours)


def _at(table: pa.Table, task: str, date: datetime) -> pa.Table:
    return table.filter(
        pc.and_(pc.equal(table["task"], task), pc.equal(table["as_of"], pa.scalar(date, pa.timestamp("us"))))
    )


def parts(dates: Sequence[Evaluation], rules: Rules) -> Iterator[tuple[str, list[Evaluation]]]:
    """Everybody, then every large slice, by name."""
    yield OVERALL, list(dates)
    for name in SLICES:
        values = sorted({value for each in dates for value in each.about[name]})
        # One value for all, such as of an attribute that no table tells, is no slice but everybody again.
        for value in values if len(values) > 1 else ():
            part = [_only(each, each.about[name] == value) for each in dates]
            part = [each for each in part if len(each.users)]
            people = {person for each in part for person in each.users}
            positive = {person for each in part for person in each.users[each.relevance > 0]}
            if len(people) >= rules.people and len(positive) >= rules.positives:
                yield f"{name} {value}", part


def _only(evaluation: Evaluation, rows: Any) -> Evaluation:
    return replace(
        evaluation,
        users=evaluation.users[rows],
        relevance=evaluation.relevance[rows],
        scores={model: score[rows] for model, score in evaluation.scores.items()},
        about={name: values[rows] for name, values in evaluation.about.items()},
    )


def _compared(where: str, task: Task, part: Sequence[Evaluation], rules: Rules, seed: int) -> Iterator[Check]:
    metrics = JUDGED_BY[task]
    records = bootstrap_records(
        part, task, differences=[(CHALLENGER, CHAMPION)], resamples=rules.resamples, seed=seed, metrics=metrics
    )
    told: dict[tuple[str, str | None, str], Record] = {
        (record.model, record.minus, record.metric): record for record in records if record.as_of == record.dataset == POOLED
    }
    for metric in metrics:
        theirs, ours = told.get((CHAMPION, None, metric.name)), told.get((CHALLENGER, None, metric.name))
        gain = told.get((CHALLENGER, CHAMPION, metric.name))
        if theirs is None or ours is None or gain is None:
            yield Check(f"{metric.name} {where}", False, np.nan, np.nan, "not told, since a score is no probability")
            continue
        # Towards better, whatever the sign of the metric.
        low = gain.ci_low if metric.higher_is_better else -gain.ci_high
        limit = -_margin(metric, where, theirs.value, rules)
        text = (
            f"{ours.value:.4f} against {theirs.value:.4f}, difference {gain.value:+.4f} "
            f"({gain.ci_low:+.4f} to {gain.ci_high:+.4f}) over {gain.users:,} people; the gain has to be above {limit:+.4f}"
        )
        yield Check(f"{metric.name} {where}", bool(low > limit), low, limit, text)


def _margin(metric: Metric, where: str, champion: float, rules: Rules) -> float:
    if metric.higher_is_better:
        return champion * (rules.margin if where == OVERALL else rules.slice_margin)
    if metric is LEVEL:
        return rules.level if where == OVERALL else rules.slice_level
    return rules.error if where == OVERALL else rules.slice_error
