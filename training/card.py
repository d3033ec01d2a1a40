"""The model card of a version in Markdown: what it learned from, how good it is on whom, what it is for and what not.

After Mitchell et al., Model Cards for Model Reporting (FAT* 2019), in their order as far as it fits.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from training.intervals import POOLED, Evaluation, Record, bootstrap_records
from training.judged import SERVED
from training.metrics import METRICS, Task
from training.promotion.checks import OVERALL, Rules, parts

if TYPE_CHECKING:
    from training.pipeline import Trained

CARD_FILE = "card.md"
TASKS: dict[Task, str] = {
    "koc": "Influence: who moves others within the horizon",
    "churn": "Churn: who orders nothing within the horizon",
}

INTENDED = """## Intended use

Ranking customers of this dataset's shop for people to contact, and telling who is likely to stop ordering. A person looks at
a list before anybody is contacted. It is not made for deciding about prices, credit, employment or access to goods, nor for
people of another shop.

## Limits

- Scores tell what is likely, not what contact would change; only a list with a holdout can tell that.
- Who has done nothing yet has no score, and of newcomers little is known: see their slice.
- Follow-ups that no table records (talk in person, other channels) count for nobody.
- A change of what is recorded, of prices or of season shifts scores; `koc monitor` tells when features have moved.
- Metrics are those of models fitted in the same way on what was known at each test date. The model of this version has
  learned from labels up to its own date; its lists are judged once later ones are closed (`koc monitor --dataset`).

## To contest a score

`koc card USER` (or `GET /v1/users/USER`) shows a person's scores, the reasons and the events behind them. Who disagrees
tells the operator of the service: a wrong event is corrected in the tables and gone with the next scores, a wrong suspicion
is lifted (`POST /v1/suppressions/NUMBER/lift`) and not held against the person again for the same acts, and who wants no
contact is suppressed, who wants no score erased. Changes are in the audit log.
"""


def model_card(trained: "Trained") -> str:
    """Data, dates, metrics with 95 % intervals overall and in large slices, calibration, limits, use, how to contest."""
    bundle = trained.bundle
    dataset = bundle.dataset
    dates = sorted({judged.as_of for task in trained.evaluations.values() for judged in task})
    people = {fold.as_of: len(fold.frame.users) for fold in trained.folds}
    lines = [
        f"# Model card: {dataset.name} as of {bundle.as_of:%Y-%m-%d %H:%M}",
        "",
        "## Data",
        "",
        f"- Tables: {', '.join(sorted(dataset.tables))}",
        f"- Known until {bundle.as_of:%Y-%m-%d %H:%M} (UTC); horizon of labels {dataset.time.horizon.days} days, credit "
        f"{dataset.credit}",
        "- Learned from " + ", ".join(f"{date:%Y-%m-%d} ({count:,} people)" for date, count in people.items()),
        f"- Judged at {', '.join(f'{date:%Y-%m-%d}' for date in dates)}, each time fitted on what was known then",
        f"- Features: {len(bundle.hybrid.gnn.columns)}; fingerprint of the training rows `{bundle.fingerprint[:12]}`",
        *([f"- Caution: {dataset.caution}"] if dataset.caution else []),
        "",
        "## Model",
        "",
        f"- Influence: {_views(trained)}",
        f"- Churn: {'mean of two LightGBM ensembles, calibrated' if bundle.hybrid.churn else 'not learned, no orders'}",
        *(f"- Extra model: {name}" for name in bundle.extras.models),
        *(f"- Not fitted: {name}, {reason}" for name, reason in bundle.extras.skipped.items()),
        "- Settings: " + ", ".join(f"{name} {value}" for name, value in bundle.settings.items()),
        "",
    ]
    for task, judged in trained.evaluations.items():
        if judged:
            lines += [
                f"## {TASKS[task]}",
                "",
                *_metrics(task, trained),
                "",
                *_slices(task, judged, int(bundle.settings["resamples"])),
                "",
            ]
    return "\n".join([*lines, INTENDED])


def _views(trained: "Trained") -> str:
    stack = trained.bundle.hybrid.stack
    if stack is None:
        return "not learned, nothing tells who moved whom"
    return ", ".join(f"{view} weight {weight:.2f}" for view, weight in zip(stack.views, stack.weights, strict=True))


def _metrics(task: Task, trained: "Trained") -> Iterator[str]:
    """Pooled over the test dates: what is served, and what it gains over each baseline in its first metric."""
    pooled = [r for r in trained.records if r.task == task and r.as_of == POOLED and r.dataset == POOLED]
    yield "| metric, mean of the test dates | value (95 % interval) |"
    yield "| --- | --- |"
    for record in pooled:
        if record.model == SERVED and record.minus is None:
            yield f"| {_words(record.metric)} | {_told(record)} |"
    first = next(name for name, metric in METRICS.items() if metric.task == task)
    for record in pooled:
        if record.model == SERVED and record.minus is not None and record.metric == first:
            yield f"| {_words(first)}, gain over {record.minus} | {_told(record, '+')} |"


def _slices(task: Task, judged: Sequence[Evaluation], resamples: int) -> Iterator[str]:
    metrics = [metric for metric in METRICS.values() if metric.task == task]
    yield f"| slice | people | positive | {' | '.join(_words(metric.name) for metric in metrics)} |"
    yield "| --- | --- | --- |" + " --- |" * len(metrics)
    for where, part in parts([_served(each) for each in judged], Rules()):
        if where == OVERALL:
            continue
        records = {
            record.metric: record
            for record in bootstrap_records(part, task, resamples=resamples)
            if record.as_of == record.dataset == POOLED
        }
        some = next(iter(records.values()))
        cells = " | ".join(_told(records[metric.name]) if metric.name in records else "-" for metric in metrics)
        yield f"| {where} | {some.users:,} | {some.positives:,} | {cells} |"


def _served(judged: Evaluation) -> Evaluation:
    return Evaluation(
        judged.dataset, judged.as_of, judged.users, judged.relevance, {SERVED: judged.scores[SERVED]}, judged.about
    )


def _told(record: Record, sign: str = "") -> str:
    if record.value != record.value:
        return "-"
    return f"{record.value:{sign}.3f} ({record.ci_low:{sign}.3f} to {record.ci_high:{sign}.3f})"


def _words(metric: str) -> str:
    return {"ece": "calibration error (ece)", "brier": "Brier score", "auroc": "AUROC"}.get(metric, metric.replace("_", " "))
