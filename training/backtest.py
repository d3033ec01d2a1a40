"""Models and baselines judged on several past dates, each seeing only what was known then."""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from features.blocks.strength import open_by_strength, tie_strengths
from features.errors import TrainingError
from features.labels import require_mature
from training.baselines import churn_baselines, koc_baselines
from training.calibrate import fit_calibration
from training.churn import calibrated, probability_of
from training.folds import Panel, fold_dates, training_folds
from training.frame import Frame
from training.hybrid import View, churn_view, columns_of, gnn_outputs, ranker_view, stacked, tie_view
from training.intervals import Evaluation, Record, bootstrap_records
from training.judged import SERVED, about_users
from training.matrix import Floats
from training.metrics import Task
from training.parallel import aside
from training.ranker import Ranker
from training.settings import TrainSettings
from training.tie_model import TieModel
from training.timeline import Timeline

OF_TIES = ("strength", "strength_x_open")
"""Columns of ties that tell their strength; of users, those of ``OF_USERS``."""

OF_USERS = (tie_strengths, open_by_strength)


@dataclass(frozen=True)
class Opinion:
    """What one model says of the users of the test date, ``said`` (N,), and of drawn rows ``unseen``, see `View`."""

    said: Floats
    unseen: Floats

    @classmethod
    def of(cls, view: View[Ranker | TieModel], frame: Frame) -> "Opinion":
        return cls(view.model.margin(frame), view.unseen)


def evaluate(
    timeline: Timeline, as_of: datetime, settings: TrainSettings, *, ablations: bool = False, at_least: int = 0
) -> dict[Task, Evaluation]:
    """Task -> scores of every model at one test date and what happened afterwards.

    ablations: also judge the hybrid without each of its parts. at_least: influence counts only of those who moved so many
    different people.
    """
    require_mature(timeline.tables, as_of)
    fold_dates(timeline, as_of, settings)
    # First, since labels of the training dates need the ledger of this snapshot, and no frame may need it after them.
    frame, name, horizon = timeline.frame(as_of), timeline.tables.dataset.name, timeline.tables.dataset.time.horizon
    about = about_users(timeline.snapshot(as_of), frame)
    timeline.forget(as_of)
    panel = Panel.of(training_folds(timeline, as_of, settings), settings)
    truth = timeline.labels(as_of)
    found: dict[Task, Evaluation] = {}
    with aside(lambda: _network(panel, frame, columns_of(frame.matrix), settings)) as network:
        if timeline.has_influence:
            timeline.progress(f"{as_of:%Y-%m-%d}: models of influence{', and without each part' if ablations else ''}")
            scores = koc_baselines(frame.matrix, horizon) | _influence(panel, frame, settings, network, ablations=ablations)
            counted = np.where(truth.people_moved >= at_least, truth.influence, 0.0)
            found["koc"] = Evaluation(name, as_of, frame.users, counted, scores, about)
        if timeline.has_churn:
            timeline.progress(f"{as_of:%Y-%m-%d}: models of churn")
            of, left = frame.churn_population, truth.churned.astype(float)
            said = churn_baselines(frame.matrix, horizon) | _churn(panel, frame, settings, network)
            scores = {model: score[of] for model, score in said.items()}
            told = {column: values[of] for column, values in about.items()}
            found["churn"] = Evaluation(name, as_of, frame.users[of], left[of], scores, told)
    return found


def _influence(
    panel: Panel, frame: Frame, settings: TrainSettings, network: Future[tuple[Opinion, Opinion]], *, ablations: bool
) -> dict[str, Floats]:
    """Model -> (N,) what it says of the influence of the frame's users."""
    own, columns = columns_of(frame.matrix, ("own",)), columns_of(frame.matrix)
    opinions = {"lightgbm": Opinion.of(ranker_view(panel, columns, settings), frame)}
    alone = Opinion.of(ranker_view(panel, own, settings), frame) if own != columns else opinions["lightgbm"]
    if ties := tie_view(panel, settings):
        opinions["ties"] = Opinion.of(ties, frame)
    opinions["gnn"], _ = network.result()
    found = {"lightgbm_own": alone.said, **{model: opinion.said for model, opinion in opinions.items()}}
    found[SERVED] = _stacked(opinions, panel)
    return found | (_ablations(panel, frame, opinions, alone, settings) if ablations else {})


def _churn(
    panel: Panel, frame: Frame, settings: TrainSettings, network: Future[tuple[Opinion, Opinion]]
) -> dict[str, Floats]:
    """Model -> (N,) probability that the frame's users leave, which means something for the churn population."""
    own, columns = columns_of(frame.matrix, ("own",)), columns_of(frame.matrix)
    left = panel.churned[panel.churn_drawn]
    values, seen = churn_view(panel, columns, settings)
    standings, ranked = churn_view(panel, columns, settings, standing=True)
    less, less_seen = churn_view(panel, own, settings) if own != columns else (values, seen)
    _, odds = network.result()
    calibration = fit_calibration(probability_of(odds.unseen[panel.churn_known[panel.drawn]]), left)
    return {
        "lightgbm_own": calibrated([less], [less_seen], left).probability(frame),
        "lightgbm": calibrated([values], [seen], left).probability(frame),
        "gnn": calibration.apply(probability_of(odds.said)),
        SERVED: calibrated([values, standings], [seen, ranked], left).probability(frame),
    }


def _network(
    panel: Panel, frame: Frame, columns: Sequence[str], settings: TrainSettings, without: Sequence[str] = ()
) -> tuple[Opinion, Opinion]:
    """The graph network of influence, and its log-odds of churn."""
    gnn, unseen = gnn_outputs(panel, columns, settings, without)
    said = gnn.outputs(frame)
    return Opinion(said[:, 0], unseen[:, 0]), Opinion(said[:, 1], unseen[:, 1])


def _stacked(opinions: Mapping[str, Opinion], panel: Panel) -> Floats:
    stack = stacked({model: opinion.unseen for model, opinion in opinions.items()}, panel)
    return stack.margin(np.stack([opinions[view].said for view in stack.views], axis=1))


def _ablations(
    panel: Panel, frame: Frame, opinions: Mapping[str, Opinion], alone: Opinion, settings: TrainSettings
) -> dict[str, Floats]:
    """The hybrid without the network, without ties, without their strength, and without purchases as edges."""
    own, columns = columns_of(frame.matrix, ("own",)), columns_of(frame.matrix)
    strength = {column for block in OF_USERS for column in block.columns(frame.windows)}
    plain = tuple(column for column in columns if column not in strength)

    reads = {"strength": plain, "ties": own, "items": columns}
    with aside(lambda: {kind: _network(panel, frame, of, settings, (kind,))[0] for kind, of in reads.items()}) as networks:
        weaker = {"lightgbm": Opinion.of(ranker_view(panel, plain, settings), frame)}
        if ties := tie_view(panel, settings, OF_TIES):
            weaker["ties"] = Opinion.of(ties, frame)
        gnn = networks.result()
    parts = {
        "gnn": {model: opinion for model, opinion in opinions.items() if model != "gnn"},
        "ties": {"lightgbm": alone, "gnn": gnn["ties"]},
        "strength": {**weaker, "gnn": gnn["strength"]},
        "items": {**opinions, "gnn": gnn["items"]},
    }
    return {f"{SERVED}-without-{part}": _stacked(rest, panel) for part, rest in parts.items()}


def evaluate_all(
    timelines: Sequence[Timeline],
    settings: TrainSettings,
    *,
    ablations: bool = False,
    at_least: int = 0,
    also: Sequence[datetime] = (),
) -> dict[Task, list[Evaluation]]:
    """All models on all test dates of all datasets; arguments as in `evaluate`.

    also: dates to judge on besides where a dataset names none, such as those on which an earlier model was judged;
    one whose label window is open in the data is left out.

    Raises:
        TrainingError: the history is too short for any test date.
        ImmatureLabelError: the label window of a test date is not closed in the data.
    """
    by_task: dict[Task, list[Evaluation]] = {"koc": [], "churn": []}
    for timeline in timelines:
        dataset = timeline.tables.dataset
        dates = sorted(set(dataset.time.test_dates)) or sorted(
            {
                *timeline.default_test_dates(),
                *(date for date in also if date + dataset.time.horizon <= timeline.tables.observed_until),
            }
        )
        if not dates:
            raise TrainingError(
                f"the history of dataset {dataset.name!r} is too short to judge a model with a horizon of "
                f"{dataset.time.horizon.days} days; shorten time.horizon, or wait for more data"
            )
        for as_of in dates:
            require_mature(timeline.tables, as_of)
        for as_of in dates:
            for task, evaluation in evaluate(timeline, as_of, settings, ablations=ablations, at_least=at_least).items():
                by_task[task].append(evaluation)
    return by_task


def judge(evaluations: Mapping[Task, Sequence[Evaluation]], settings: TrainSettings) -> list[Record]:
    """Metrics with intervals; differences are of the served model minus each other one, paired by user."""
    records = []
    for task, judged in evaluations.items():
        if judged:
            differences = [(SERVED, model) for model in _common(judged) if model != SERVED]
            records += bootstrap_records(
                judged, task, differences=differences, resamples=settings.resamples, seed=settings.seed
            )
    return records


def backtest(
    timelines: Sequence[Timeline], settings: TrainSettings, *, ablations: bool = False, at_least: int = 0
) -> list[Record]:
    """Judge all models on all test dates of all datasets; arguments and errors as in `evaluate_all`."""
    return judge(evaluate_all(timelines, settings, ablations=ablations, at_least=at_least), settings)


def _common(evaluations: Sequence[Evaluation]) -> list[str]:
    return [model for model in evaluations[0].scores if all(model in e.scores for e in evaluations)]
