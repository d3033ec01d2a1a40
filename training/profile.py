"""How features and scores were distributed when a model was trained, and how far others have moved from that: the PSI.

The population stability index is the sum over bins of (p - q) ln(p / q): Siddiqi, Credit Risk Scorecards (2006), chapter 9,
who calls .1 a small and .25 a large shift. Of two samples of one population it is about chi-squared with bins - 1 degrees of
freedom times 1/n + 1/m: Yurdakul, Statistical Properties of Population Stability Index (2018), which tells what is chance.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import chi2

from training.crossfit import Rows
from training.frame import Frame
from training.hybrid import Said
from training.matrix import Floats

BINS = 10
SHIFTED = 0.2
"""PSI from which a column counts as shifted, unless chance alone explains as much."""

CHANCE = 0.02
"""Probability that any column of unshifted data is called shifted, shared out over all columns (Bonferroni)."""

SMOOTH = 0.5
"""Added to every count: an empty bin would make the index infinite."""

FEATURE, SCORE = "feature", "score"
"""Kinds of columns."""

PACES = 2.0
"""How often a column may move by what it had moved within the horizon before training: what counts all history moves by
itself as time passes, and shifts only when it leaves its pace, such as by losing its values."""

KOC_SCORE, CHURN = "koc_score", "churn_probability"


@dataclass(frozen=True)
class Bins:
    """One column: inner ``edges``, rising, and ``counts`` of the bins between them, one more, and last of unknown values;
    ``pace``: the index by which it had moved within the horizon before training, >= 0."""

    kind: str
    edges: tuple[float, ...]
    counts: tuple[int, ...]
    pace: float = 0.0

    @classmethod
    def of(cls, kind: str, values: Floats) -> "Bins":
        """Bins of about equal mass; a value that many share is an edge once."""
        known = values[~np.isnan(values)]
        inner = np.quantile(known, np.arange(1, BINS) / BINS, method="lower") if len(known) else np.empty(0)
        edges = tuple(float(edge) for edge in np.unique(inner))
        return cls(kind, edges, counted(edges, values))


@dataclass(frozen=True)
class Profile:
    """Column -> its bins, at the date of training."""

    columns: Mapping[str, Bins]

    @classmethod
    def of(cls, frame: Frame, said: Said, rows: Rows | None = None, *, before: Frame | None = None) -> "Profile":
        """frame: that of the date of training; said: what the model says of it, or of its ``rows`` (N,) alone; before: a
        frame that is older by a horizon, which tells the pace of each feature."""
        found = cls({name: Bins.of(kind, values) for name, kind, values in _columns(frame, said, rows)})
        if before is None:
            return found
        pace = {str(row["column"]): float(row["psi"]) for row in found.drift(before, Said({}, None, None))}  # type: ignore[arg-type]
        return cls({name: replace(bins, pace=pace.get(name, 0.0)) for name, bins in found.columns.items()})

    def drift(self, frame: Frame, said: Said) -> list[dict[str, object]]:
        """One row per column of the profile that ``frame`` has, the most shifted first.

        column        string
        kind          string   ``feature`` or ``score``
        psi           float64  >= 0
        limit         float64  above it the column is shifted: the most of `SHIFTED`, what chance explains, and `PACES` paces
        shifted       bool
        unknown_then  float64  share of people without a value, 0 to 1, at the date of training
        unknown_now   float64
        """
        counts = {
            name: counted(self.columns[name].edges, values)
            for name, _, values in _columns(frame, said)
            if name in self.columns
        }
        rows = []
        for name, found in counts.items():
            bins, now = self.columns[name], np.array(found)
            then = np.array(bins.counts)
            index, limit = psi(then, now), max(limit_of(then, now, len(counts)), PACES * bins.pace)
            rows.append(
                {
                    "column": name,
                    "kind": bins.kind,
                    "psi": index,
                    "limit": limit,
                    "shifted": index > limit,
                    "unknown_then": float(then[-1] / max(1, then.sum())),
                    "unknown_now": float(now[-1] / max(1, now.sum())),
                }
            )
        rows.sort(key=lambda row: (-float(row["psi"] / row["limit"]), row["column"]))  # type: ignore[operator]
        return rows

    def to_json(self) -> str:
        told = {name: [bins.kind, bins.edges, bins.counts, bins.pace] for name, bins in self.columns.items()}
        return json.dumps(told, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Profile":
        told: dict[str, Any] = json.loads(text)
        return cls(
            {name: Bins(kind, tuple(edges), tuple(counts), pace) for name, (kind, edges, counts, pace) in told.items()}
        )


def counted(edges: tuple[float, ...], values: Floats) -> tuple[int, ...]:
    """Values at or below the first edge, up to the next one, ..., above the last; and last the unknown ones."""
    known = values[~np.isnan(values)]
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    return (*counts.tolist(), len(values) - len(known))


def psi(then: npt.ArrayLike, now: npt.ArrayLike) -> float:
    """then, now: (bins,) counts. 0 for equal shares; a bin that is empty in both says nothing."""
    both = np.stack([np.asarray(then, np.float64), np.asarray(now, np.float64)])
    q, p = (_shares(counts) for counts in both[:, both.any(axis=0)])
    return float(((p - q) * np.log(p / q)).sum())


def _shares(counts: Floats) -> Floats:
    shares: Floats = (counts + SMOOTH) / (counts + SMOOTH).sum()
    return shares


def limit_of(then: npt.ArrayLike, now: npt.ArrayLike, columns: int) -> float:
    """`SHIFTED`, or the PSI that unshifted samples as small as these exceed with probability `CHANCE` / columns."""
    then, now = np.asarray(then), np.asarray(now)
    used = int(np.count_nonzero(then + now))
    chance = chi2.ppf(1 - CHANCE / columns, max(1, used - 1)) * (1 / max(1, then.sum()) + 1 / max(1, now.sum()))
    return max(SHIFTED, float(chance))


def _columns(frame: Frame, said: Said, rows: Rows | None = None) -> Iterator[tuple[str, str, Floats]]:
    """Name, kind and values of each column, one after the other, so that they need not fit."""
    some = slice(None) if rows is None else rows
    for name in frame.matrix.columns:
        yield name, FEATURE, frame.matrix.column(name)[some]
    if said.margin is not None:
        yield KOC_SCORE, SCORE, np.exp(said.margin)
    if said.churn is not None:
        yield CHURN, SCORE, np.where(frame.churn_population[some], said.churn, np.nan)
