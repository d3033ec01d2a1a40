"""Figures for a run: what a score is made of, whether probabilities hold, how models compare, and how a list fared.

All are drawn on ``Figure`` objects without pyplot, so that nothing global is kept and threads do not meet.
"""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from features.errors import TrainingError
from training.intervals import POOLED, Record
from training.metrics import BINS, METRICS, ece
from training.replay import DIFFERENCES, GROUPS, NOT_CAUSAL, Replay

BLUE, GREY, FAINT = "#1f5fa8", "#5b6570", "#d9dee4"
MAX_BARS = 30
HEADLINES = ("average_precision", "auroc")
WITHOUT = "-without-"
Z = 1.96


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes, *, grid: str) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(color=FAINT, labelcolor=GREY, labelsize=9)
    axes.grid(axis=grid, color=FAINT, linewidth=0.6)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def importance_plot(names: Sequence[str], gains: npt.ArrayLike) -> Figure:
    """The 30 features with the highest gain, as shares of the gain of all.

    names: (n,); gains: (n,) >= 0, in any unit.

    Raises:
        TrainingError: there are not as many names as gains, or none.
    """
    gains = np.asarray(gains, dtype=np.float64)
    if len(names) != len(gains) or not len(gains):
        raise TrainingError(f"{len(names)} names and {len(gains)} gains; give one gain for each of at least one feature")
    share = gains / (gains.sum() or 1.0)
    best = np.argsort(-share, kind="stable")[:MAX_BARS][::-1]
    figure = _figure(8, 1.3 + 0.24 * len(best))
    axes = figure.subplots()
    axes.barh(np.arange(len(best)), share[best], color=BLUE, height=0.7)
    for place, value in enumerate(share[best]):
        axes.annotate(
            f"{value:.1%}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8, color=GREY
        )
    axes.set_yticks(np.arange(len(best)), [names[row] for row in best])
    axes.set_ylim(-0.6, len(best) - 0.4)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0 if share.max() > 0.04 else 1))
    axes.set_xlabel("share of total gain", color=GREY)
    shown = f"{len(best)} of {len(names)} features, {share[best].sum():.0%} of the gain" if len(names) > len(best) else ""
    axes.set_title("\n".join(filter(None, ["Feature importance", shown])), loc="left", fontsize=11)
    _plain(axes, grid="x")
    return figure


def reliability_plot(label: npt.ArrayLike, probability: npt.ArrayLike) -> Figure:
    """Observed against predicted share in 15 bins of equal mass with Wilson's 95 % intervals, above how often each is said.

    label: (n,) bool or 0/1; probability: (n,) in [0, 1]; n >= 1.

    Raises:
        TrainingError: there are no rows, or not as many labels as probabilities.
    """
    label, probability = np.asarray(label, dtype=np.float64), np.asarray(probability, dtype=np.float64)
    if len(label) != len(probability) or not len(label):
        raise TrainingError(
            f"{len(label)} labels and {len(probability)} probabilities; give one of each per user, at least one"
        )
    bins = [rows for rows in np.array_split(np.argsort(probability, kind="stable"), BINS) if len(rows)]
    said = np.array([probability[rows].mean() for rows in bins])
    seen = np.array([label[rows].mean() for rows in bins])
    rows_each = np.array([len(rows) for rows in bins])
    # Wilson, Probable Inference, 1927: stays inside of [0, 1] and is not empty at its ends.
    centre = (seen + Z**2 / (2 * rows_each)) / (1 + Z**2 / rows_each)
    half = Z * np.sqrt(seen * (1 - seen) / rows_each + Z**2 / (4 * rows_each**2)) / (1 + Z**2 / rows_each)
    figure = _figure(6, 6.8)
    axes, below = figure.subplots(2, sharex=True, height_ratios=[4, 1])
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfect")
    axes.vlines(said, centre - half, centre + half, color=BLUE, linewidth=1.6, alpha=0.55, label="95 % interval")
    axes.plot(said, seen, "o", color=BLUE, markersize=5, label=f"bin of {len(label) // len(bins):,} users")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.set_ylabel("observed share", color=GREY)
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    axes.set_title(
        f"Calibration: ECE {ece(label, probability):.3f}\n{len(label):,} users, {label.mean():.1%} positive",
        loc="left",
        fontsize=11,
    )
    below.hist(probability, bins=np.linspace(0, 1, 41).tolist(), color=BLUE, alpha=0.55)
    below.set_xlabel("predicted probability", color=GREY)
    below.set_ylabel("users", color=GREY)
    for each in (axes, below):
        _plain(each, grid="both" if each is axes else "y")
    axes.xaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    return figure


def weights_plot(weights: Mapping[str, float], spreads: Mapping[str, float]) -> Figure:
    """What each view of a stack adds to the margin: its weight times how far apart it puts users.

    weights: view -> weight >= 0; spreads: view -> standard deviation of its margins, of those where it is known.
    """
    added = {view: weight * spreads[view] for view, weight in weights.items() if view in spreads}
    views = sorted(added, key=lambda view: added[view])
    figure = _figure(8, 1.5 + 0.3 * len(views))
    axes = figure.subplots()
    axes.barh(views, [added[view] for view in views], color=BLUE, height=0.7)
    for place, view in enumerate(views):
        axes.annotate(
            f"weight {weights[view]:.2f}", (added[view], place), (4, 0), textcoords="offset points", va="center",
            fontsize=8, color=GREY,
        )  # fmt: skip
    axes.margins(x=0.15)
    axes.set_xlabel("weight x standard deviation of the margin", color=GREY)
    axes.set_title("What the models weigh in the score", loc="left", fontsize=11)
    _plain(axes, grid="x")
    return figure


def headlines(records: Sequence[Record]) -> list[str]:
    """The metrics by which the tasks of ``records`` are drawn, that of influence first."""
    return [metric for metric in HEADLINES if any(record.metric == metric for record in records)]


def intervals_plot(records: Sequence[Record], metric: str) -> Figure:
    """Each model's pooled value with its 95 % interval and, faint, its single dates; beside them the differences.

    records: as from ``bootstrap_records``. A row of panels for all datasets together, where there are several, and one for
    each. Differences are of one model minus that of the line. Models that do without a part (``-without-``) come below the
    others; both are sorted by the first row.

    Raises:
        TrainingError: no record is a pooled value of ``metric``.
    """
    pooled = [record for record in records if record.metric == metric and record.as_of == POOLED]
    if not pooled:
        known = ", ".join(sorted({record.metric for record in records})) or "none"
        raise TrainingError(f"no pooled values of {metric!r} to draw; the records hold {known}")
    datasets = list(dict.fromkeys(record.dataset for record in pooled if record.dataset != POOLED))
    rows = [POOLED, *datasets] if len(datasets) > 1 else datasets
    own, paired = ([record for record in pooled if bool(record.minus) == minus] for minus in (False, True))
    higher = METRICS[metric].higher_is_better
    # By the widest pool that has the model; models that only some datasets have come below.
    rank = {
        record.model: (WITHOUT not in record.model, -rows.index(record.dataset), record.value if higher else -record.value)
        for record in own
        if record.dataset in rows
    }
    models = sorted(rank, key=lambda model: rank[model])
    columns = 2 if paired else 1
    figure = _figure(4.0 + 3.6 * columns, 1.2 + len(rows) * (0.9 + 0.24 * len(models)))
    grid = figure.subplots(len(rows), columns, sharex="col", sharey=True, squeeze=False)
    for (left, *right), place in zip(grid, rows, strict=True):
        dates = [r for r in records if (r.metric, r.dataset) == (metric, place) and r.as_of != POOLED and not r.minus]
        values, lines = [record.value for record in dates], [models.index(record.model) for record in dates]
        left.plot(values, lines, "|", color=GREY, markersize=8)
        _draw(left, [(record, models.index(record.model)) for record in own if record.dataset == place])
        count = len({record.as_of for record in dates})
        text = "all datasets" if place == POOLED else f"{place}, {count} date{'s' if count != 1 else ''}"
        left.set_title(text, loc="left", fontsize=10, color=GREY)
        left.set_yticks(range(len(models)), models)
        left.set_ylim(-0.6, len(models) - 0.4)
        for axes in right:
            here = [record for record in paired if record.dataset == place]
            axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
            _draw(axes, [(record, models.index(record.minus)) for record in here if record.minus])
            axes.set_title(f"{paired[0].model} minus each", loc="left", fontsize=10, color=GREY)
        for axes in (left, *right):
            axes.tick_params(labelbottom=True)
            axes.locator_params(axis="x", nbins=6)
            _plain(axes, grid="both")
    better = "higher" if higher else "lower"
    title = f"{metric.replace('_', ' ')} by model, {better} is better\nmean of dates with 95 % interval; | single dates"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return figure


def _draw(axes: Axes, placed: Sequence[tuple[Record, int]]) -> None:
    """Values with their intervals, each on its line, and in figures beside the panel."""
    for record, line in placed:
        figure = f"{record.value:+.3f}" if record.minus else f"{record.value:.3f}"
        axes.annotate(figure, (1.01, line), xycoords=("axes fraction", "data"), va="center", fontsize=8, color=GREY)
        axes.hlines(line, record.ci_low, record.ci_high, color=BLUE, linewidth=2.5, alpha=0.55)
        axes.plot(record.value, line, "o", color=BLUE, markersize=5)


def confusion_plot(names: Sequence[str], matrix: npt.NDArray[np.int64]) -> Figure:
    """Share of each row that falls into each column, with its count; matrix: (n, n) rows truth, columns told."""
    figure = _figure(8.0, 6.5)
    axes = figure.subplots()
    axes.imshow(matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1), cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(matrix), strict=True):
        dark = matrix[row, column] > matrix[row].sum() / 2
        axes.text(
            column, row, f"{matrix[row, column]:,}", ha="center", va="center", fontsize=8, color="white" if dark else GREY
        )
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("told")
    axes.set_ylabel("truth")
    _plain(axes, grid="both")
    axes.grid(visible=False)
    return figure


def replay_plot(replay: Replay, title: str, currency: str) -> Figure:
    """Each group's value with its 95 % interval, below them the differences and where they are nothing; a column per metric.

    Amounts are drawn in whole units of ``currency``.
    """
    heads = {
        "moved_per_contact": "people moved per contact",
        "value_per_contact": f"{currency} credited per contact",
        "moved_anybody": "share who moved anybody",
    }
    metrics = [metric for metric in heads if any(estimate.metric == metric for estimate in replay.estimates)]
    pairs = [*((group, None) for group in GROUPS), *DIFFERENCES]
    names = [f"{group} - {minus}" if minus else group for group, minus in pairs]
    figure = _figure(2.0 + 3.2 * len(metrics), 4.9)
    grid = figure.subplots(2, len(metrics), sharey="row", squeeze=False)
    for column, metric in enumerate(metrics):
        scale = 0.01 if metric == "value_per_contact" else 1.0
        for row, part in enumerate((slice(0, len(GROUPS)), slice(len(GROUPS), None))):
            axes = grid[row, column]
            for place, pair in enumerate(pairs[part]):
                (found,) = (e for e in replay.estimates if (e.group, e.minus) == pair and e.metric == metric)
                axes.hlines(place, found.ci_low * scale, found.ci_high * scale, color=BLUE, linewidth=2.5, alpha=0.55)
                axes.plot(found.value * scale, place, "o", color=BLUE, markersize=6)
            axes.axvline(0, color=GREY, linewidth=1, linestyle="--")
            axes.locator_params(axis="x", nbins=6)
            axes.set_yticks(range(len(names[part])), names[part])
            axes.set_ylim(len(names[part]) - 0.4, -0.6)
            if metric == "moved_anybody":
                axes.xaxis.set_major_formatter(PercentFormatter(1))
            _plain(axes, grid="both")
        grid[0, column].set_title(heads[metric], loc="left", fontsize=10, color=GREY)
    figure.suptitle(
        f"{title}\n{replay.people:,} people in each group of {replay.population:,} users, 95 % intervals",
        x=0.01, ha="left", fontsize=11,
    )  # fmt: skip
    figure.supxlabel(textwrap.fill(NOT_CAUSAL, 28 + 45 * len(metrics)), x=0.01, ha="left", fontsize=8, color=GREY)
    return figure
