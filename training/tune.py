"""Training settings that rank better than the defaults on dates before the first test date, searched for a bounded time.

Tree-structured Parzen estimator (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011); a trial that falls
behind the median of the others at a validation date is stopped there.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import version

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from features.errors import TrainingError
from training.folds import Panel, training_folds
from training.hybrid import fit_hybrid
from training.intervals import POOLED, Evaluation, Record, bootstrap_records
from training.judged import SERVED
from training.metrics import METRICS, Task
from training.settings import TrainSettings
from training.timeline import Labels, Timeline

SPACE: Mapping[str, BaseDistribution] = {
    "rounds": IntDistribution(50, 400, log=True),
    "leaves": IntDistribution(7, 63, log=True),
    "learning_rate": FloatDistribution(0.02, 0.15, log=True),
    "width": IntDistribution(16, 64, step=16),
    "epochs": IntDistribution(6, 30),
    "dropout": FloatDistribution(0.2, 0.7),
    "gnn_rate": FloatDistribution(0.001, 0.01, log=True),
    "hops": IntDistribution(1, 3),
    "dates_per_horizon": IntDistribution(1, 3),
}
"""Settings that are searched; all defaults lie inside."""

HEADLINE: Mapping[Task, str] = {"koc": "average_precision", "churn": "auroc"}
DEFAULTS, BEST = "defaults", "best trial"
UNPRUNED = 4
"""Trials before the first one may be stopped, the defaults among them."""

Judged = list[dict[Task, Evaluation]]
"""Step by step, what one trial said and what happened; the only scores are those of the served model."""


@dataclass
class Step:
    """One validation date of one dataset; what settings do not change is computed once."""

    timeline: Timeline
    as_of: datetime
    known_at: datetime
    _panels: dict[tuple[int, ...], Panel] = field(default_factory=dict)
    _truth: Labels | None = None

    @property
    def task(self) -> Task:
        """What the step is judged by."""
        return "koc" if self.timeline.has_influence else "churn"

    def judge(self, settings: TrainSettings) -> dict[Task, Evaluation]:
        """What the served model of ``as_of`` says, and what happened afterwards as it was known at ``known_at``."""
        timeline, frame = self.timeline, self.timeline.frame(self.as_of)
        if self._truth is None:
            self._truth = timeline.labels(self.as_of, known_at=self.known_at)
        said = fit_hybrid(self._panel(settings), settings, influence=timeline.has_influence, churn=timeline.has_churn).said(
            frame
        )
        found: dict[Task, Evaluation] = {}
        name, truth, of = timeline.tables.dataset.name, self._truth, frame.churn_population
        if said.margin is not None:
            found["koc"] = Evaluation(name, self.as_of, frame.users, truth.influence, {SERVED: said.margin})
        if said.churn is not None:
            left = truth.churned[of].astype(float)
            found["churn"] = Evaluation(name, self.as_of, frame.users[of], left, {SERVED: said.churn[of]})
        return found

    def value(self, judged: Mapping[Task, Evaluation]) -> float:
        """What trials are compared by; higher is better."""
        evaluation = judged[self.task]
        return METRICS[HEADLINE[self.task]](evaluation.relevance, evaluation.scores[SERVED])

    def _panel(self, settings: TrainSettings) -> Panel:
        key = settings.dates, settings.dates_per_horizon, settings.groups, settings.user_rows, settings.seed
        if key not in self._panels:
            self._panels[key] = Panel.of(training_folds(self.timeline, self.as_of, settings), settings)
        return self._panels[key]


@dataclass(frozen=True)
class Tuned:
    """What a search found.

    ``best``: settings of the best trial, which are the ``defaults`` where none was better. ``records``: every metric of
    both, and best minus defaults, on the ``steps`` (dataset, date); ``first_test``: dataset -> where its test dates begin.
    ``trials``: how many were judged on all steps; ``stopped``: on some of them only.
    """

    best: TrainSettings
    defaults: TrainSettings
    records: Sequence[Record]
    steps: Sequence[tuple[str, datetime]]
    first_test: Mapping[str, datetime]
    task: Task
    trials: int
    stopped: int
    interrupted: bool

    @property
    def settings(self) -> TrainSettings:
        """What to train with: those of the best trial where they are surely better, else the defaults."""
        return self.best if self.surely_better else self.defaults

    @property
    def difference(self) -> Record | None:
        """Best minus defaults over all steps; None where the defaults are the best."""
        return self._difference(self.task)

    @property
    def surely_better(self) -> bool:
        """The 95 % interval of the difference lies above 0, and that of churn not below it."""
        return self.difference is not None and self.difference.ci_low > 0 and not self._churn_suffers

    @property
    def verdict(self) -> str:
        """One sentence: what is used from here on, and why."""
        tried, found = f"{self.trials} trial{'s' if self.trials != 1 else ''}", self.difference
        if found is None:
            return f"the defaults stay: they were the best of {tried}"
        better = f"the best of {tried} minus the defaults is {_signed(found)} in {_named(found)}"
        if self.surely_better:
            return f"the settings found are used: {better}"
        if found.ci_low <= 0:
            return f"the defaults stay: {better}, which may be chance"
        churn = self._difference("churn")
        return f"the defaults stay: {better}, but {_signed(churn)} in {_named(churn)} of churn" if churn else ""

    def to_toml(self) -> str:
        """The file that `TrainSettings.from_file` reads: settings that are not the defaults, and how they were found."""
        standard, found = TrainSettings().to_dict(), self.difference
        changed = {
            name: value
            for name, value in self.settings.to_dict().items()
            if value != standard[name] and name in (*SPACE, "dates")
        }
        values = {r.model: r.value for r in self.records if _overall(r) and r.metric == HEADLINE[self.task] and not r.minus}
        tuned = {
            "verdict": self.verdict,
            "metric": HEADLINE[self.task],
            "defaults": values[DEFAULTS],
            **({"best": values[BEST], "difference": _values(found)} if found else {}),
            "validated_on": [f"{dataset} {date.isoformat()}" for dataset, date in self.steps],
            "first_test_dates": [f"{dataset} {date.isoformat()}" for dataset, date in self.first_test.items()],
            "trials": self.trials,
            "stopped": self.stopped,
            "seed": self.defaults.seed,
            "version": version("kocscout"),
        }
        lines = ["# Written by `koc tune`; koc backtest, train and replay read it with --settings.", "[settings]"]
        lines += [f"{name} = {_toml(value)}" for name, value in changed.items()]
        return "\n".join([*lines, "", "[tuned]", *(f"{name} = {_toml(value)}" for name, value in tuned.items()), ""])

    @property
    def _churn_suffers(self) -> bool:
        churn = self._difference("churn")
        return churn is not None and churn.ci_high < 0

    def _difference(self, task: Task) -> Record | None:
        wanted = (r for r in self.records if _overall(r) and r.minus and (r.task, r.metric) == (task, HEADLINE[task]))
        return next(wanted, None)


def first_test_date(timeline: Timeline) -> datetime:
    """The dataset's own, or of the last closed windows; nothing that is tuned may know what comes after it.

    Raises:
        TrainingError: the history is too short for any test date.
    """
    dates = timeline.tables.dataset.time.test_dates or timeline.default_test_dates()
    if not dates:
        raise _too_short(timeline, "to judge a model")
    return min(dates)


def validation_dates(timeline: Timeline, most: int) -> list[datetime]:
    """Dates a horizon apart, latest first, whose label windows end by the first test date and which leave training dates.

    Raises:
        TrainingError: the history before the first test date is too short for any.
    """
    first, horizon = first_test_date(timeline), timeline.tables.dataset.time.horizon
    dates = (first - horizon * number for number in range(1, most + 1))
    if not (found := [date for date in dates if timeline.training_dates(date, 1)]):
        raise _too_short(timeline, f"to tune before the first test date {first:%Y-%m-%d}", "choose later test dates, ")
    return found


def tune(
    timelines: Sequence[Timeline],
    defaults: TrainSettings,
    *,
    minutes: float,
    most_dates: int = 3,
    most_trials: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
    clock: Callable[[], float] = time.monotonic,
) -> Tuned:
    """Search until ``minutes`` are over; a trial under way then stops at its next date, the defaults alone are finished.

    What is raised is the mean over validation dates and datasets of the served model's average precision (AUROC of churn
    where nothing tells of influence). An interrupt from the keyboard ends the search with what was found by then. The same
    seed and number of trials give the same result. most_dates: validation dates of each dataset. clock: seconds.

    The interval of the difference is a paired bootstrap over users; it does not count that the best trial was chosen by the
    same users, so a narrow win of very many trials may still be chance. Backtests on the test dates tell.

    Raises:
        TrainingError: a history is too short, holds too little to learn from, or datasets are judged by different metrics.
    """
    ends = clock() + 60 * minutes
    for timeline in timelines:
        timeline.progress = progress
    first_test = {timeline.tables.dataset.name: first_test_date(timeline) for timeline in timelines}
    steps = _steps(timelines, first_test, most_dates)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=defaults.seed),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=UNPRUNED),
    )
    study.enqueue_trial({name: getattr(defaults, name) for name in SPACE})
    start: Judged = []
    best, best_value, best_judged, interrupted = defaults, -np.inf, start, False
    try:
        while not start or (clock() < ends and len(study.trials) < (most_trials or np.inf)):
            trial, head = study.ask(dict(SPACE)), _standing(study, ends - clock())
            settings, judged, values = _settings(defaults, trial.params), list[dict[Task, Evaluation]](), list[float]()
            for step in steps:
                if start and judged and (clock() >= ends or trial.should_prune()):
                    study.tell(trial, state=TrialState.PRUNED)
                    break
                step.timeline.progress = _under(progress, head)
                step.timeline.progress(f"{step.timeline.tables.dataset.name} {step.as_of:%Y-%m-%d}")
                judged.append(step.judge(settings))
                values.append(step.value(judged[-1]))
                trial.report(float(np.mean(values)), len(values))
            else:
                study.tell(trial, float(np.mean(values)))
                start = start or judged
                if np.mean(values) > best_value:
                    best, best_value, best_judged = settings, float(np.mean(values)), judged
    except KeyboardInterrupt:
        if not start:
            raise
        interrupted = True
    return Tuned(
        best=best,
        defaults=defaults,
        records=_records(start, best_judged, defaults),
        steps=[(step.timeline.tables.dataset.name, step.as_of) for step in steps],
        first_test=first_test,
        task=steps[0].task,
        trials=len(study.get_trials(states=(TrialState.COMPLETE,))),
        stopped=len(study.get_trials(states=(TrialState.PRUNED,))),
        interrupted=interrupted,
    )


def _steps(timelines: Sequence[Timeline], first_test: Mapping[str, datetime], most: int) -> list[Step]:
    """The latest date of each dataset first, so that a trial that fails on any is stopped early."""
    rounds: list[list[Step]] = [[] for _ in range(most)]
    for timeline in timelines:
        for number, date in enumerate(validation_dates(timeline, most)):
            rounds[number].append(Step(timeline, date, first_test[timeline.tables.dataset.name]))
    steps = [step for one in rounds for step in one]
    if len({step.task for step in steps}) > 1:
        names = ", ".join(sorted({step.timeline.tables.dataset.name for step in steps if step.task == "churn"}))
        raise TrainingError(
            f"nothing tells who moved whom in {names}, so that churn is tuned there; tune that apart from the others"
        )
    return steps


def _settings(defaults: TrainSettings, params: Mapping[str, int | float]) -> TrainSettings:
    """Floats of three digits; with more dates in a horizon more dates in all, so that they reach as far back."""
    short = {name: float(f"{value:.3g}") if isinstance(value, float) else value for name, value in params.items()}
    dates = defaults.dates * int(params["dates_per_horizon"]) // defaults.dates_per_horizon
    return replace(defaults, **short, dates=dates)  # type: ignore[arg-type]


def _records(start: Judged, best: Judged, defaults: TrainSettings) -> list[Record]:
    compared = start is not best
    records = []
    for task in HEADLINE:
        evaluations = [
            replace(
                one[task],
                scores={DEFAULTS: one[task].scores[SERVED], **({BEST: two[task].scores[SERVED]} if compared else {})},
            )
            for one, two in zip(start, best, strict=True)
            if task in one
        ]
        pairs = [(BEST, DEFAULTS)] if compared and evaluations else []
        records += bootstrap_records(evaluations, task, differences=pairs, resamples=defaults.resamples, seed=defaults.seed)
    return records


def _standing(study: optuna.Study, seconds: float) -> str:
    """How far the search is when a trial begins."""
    trials = study.get_trials(deepcopy=False)
    done = [trial.value for trial in trials if trial.value is not None]
    left, number = f"{max(0.0, seconds) / 60:.0f} min left", f"trial {len(trials)}"
    return f"{number}, best so far {max(done):.4f}, defaults {done[0]:.4f}, {left}" if done else f"{number}, {left}"


def _under(progress: Callable[[str], None], head: str) -> Callable[[str], None]:
    return lambda step: progress(f"{head}: {step}")


def _overall(record: Record) -> bool:
    return record.dataset == POOLED and record.as_of == POOLED


def _named(record: Record) -> str:
    return record.metric.replace("_", " ")


def _values(record: Record) -> list[float]:
    return [record.value, record.ci_low, record.ci_high]


def _signed(record: Record) -> str:
    return f"{record.value:+.4f} ({record.ci_low:+.4f} to {record.ci_high:+.4f})"


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return repr(round(value, 6)) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _too_short(timeline: Timeline, purpose: str, remedy: str = "") -> TrainingError:
    dataset = timeline.tables.dataset
    return TrainingError(
        f"the history of dataset {dataset.name!r} is too short {purpose} with a horizon of "
        f"{dataset.time.horizon.days} days; {remedy}shorten time.horizon, or wait for more data"
    )
