"""Expected chain value: money of the people whom a user and those they bring will bring within the horizon, all levels."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from features.cascades import SOURCES
from features.labels import chain_labels
from features.snapshot import Snapshot
from training.crossfit import people_in_groups
from training.ensemble_files import as_json, ensemble_files, ensemble_of
from training.extras.contract import Extra, ExtraModel, Skipped
from training.folds import Fold
from training.frame import Frame
from training.hybrid import columns_of
from training.matrix import Floats, values_of
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings
from training.timeline import Timeline

COLUMN = "expected_chain_value"
LEAST_PEOPLE = 30
"""People with a chain of any value in the training rows; fewer teach nothing that would hold later."""

MOST_OTHERS = 8_000
"""Rows without value that are drawn to teach, each standing for several."""

ROUNDS = 120


@dataclass(frozen=True)
class ChainValue:
    """``ranker``: log of expected chain value in ``unit`` minor units; ``judged``: see `judge`."""

    ranker: Ranker
    unit: float
    judged: Mapping[str, float]

    def score(self, snapshot: Snapshot, frame: Frame) -> Mapping[str, Floats]:  # noqa: ARG002 - as the contract has it
        """``expected_chain_value``: (N,) minor units within the horizon, > 0."""
        return {COLUMN: np.exp(self.ranker.margin(frame)) * self.unit}

    def report(self) -> Mapping[str, float]:
        """Rank correlations of people whom the model had not seen; see `judge`."""
        return self.judged

    def files(self) -> Mapping[str, str]:
        """Trees, their unit and the report."""
        content = {"columns": self.ranker.columns}
        return {
            **ensemble_files("ranker", content, self.ranker.boosters),
            "model.json": as_json({"unit": self.unit, "judged": dict(self.judged)}),
        }


def load_chain_value(files: Mapping[str, str]) -> ExtraModel:
    """What `ChainValue.files` gave."""
    content, boosters = ensemble_of("ranker", files)
    about = json.loads(files["model.json"])
    return ChainValue(Ranker(tuple(content["columns"]), boosters), about["unit"], about["judged"])


def fit_chain_value(
    timeline: Timeline, folds: Sequence[Fold], known_at: datetime, settings: TrainSettings
) -> ExtraModel | Skipped:
    """A Tweedie model of chain value on the user table, whose members have each not seen one group of people."""
    tables = timeline.tables
    if not any(all(tables.has(table, *columns) for table, columns in needs.items()) for needs in SOURCES):
        return Skipped(
            "no table tells who brought whom: map parent_share_id, inviter_id, referrer_id, actions or group buys"
        )
    labels = [chain_values(timeline, fold, known_at) for fold in folds]
    value = np.concatenate([label["chain_value"] for label in labels])
    size = np.concatenate([label["chain_size"] for label in labels])
    people = np.concatenate([fold.people for fold in folds])
    if (found := len(np.unique(people[value > 0].astype(str)))) < LEAST_PEOPLE:
        return Skipped(f"{found} people had a chain of any value in the training windows, {LEAST_PEOPLE} are needed")
    rng = np.random.default_rng(settings.seed)
    share = min(1.0, MOST_OTHERS / max(1, int((value == 0).sum())))
    taught = (value > 0) | (rng.random(len(value)) < share)
    columns = columns_of(folds[0].frame.matrix)
    parts = np.split(taught, np.cumsum([len(fold.frame.users) for fold in folds])[:-1])
    x = np.concatenate([fold.frame.matrix.select(columns, rows) for fold, rows in zip(folds, parts, strict=True)])
    fewer = replace(settings, rounds=min(settings.rounds, ROUNDS))
    unit = float(value[value > 0].mean())
    groups = people_in_groups(people[taught], value[taught] > 0, settings.groups)
    stands_for = np.where(value[taught] > 0, 1.0, 1.0 / share)
    ranker, unseen = fit_ranker(x, value[taught] / unit, groups, columns, fewer, stands_for)
    past = x[:, columns.index("chain_size_all")]
    return ChainValue(ranker, unit, judge(unseen, past, value[taught], size[taught] > 0))


def chain_values(timeline: Timeline, fold: Fold, known_at: datetime) -> dict[str, Floats]:
    """``chain_value`` and ``chain_size``: (N,) of the users of a fold, 0 for those without a chain."""
    view = timeline.view(fold.as_of, known_at)
    labels, engine = chain_labels(view, fold.as_of), timeline.tables.engine
    found = values_of(labels, engine, fold.frame.users, ("chain_value", "chain_size"))
    engine.release(labels)
    return found


def judge(
    margin: Floats, past_size: npt.NDArray[np.floating], value: Floats, brought: npt.NDArray[np.bool_]
) -> dict[str, float]:
    """Spearman's rank correlation with the realised value, of rows that the model had not seen.

    brought: (N,) who had a chain in the window, the population judged. ``past_size``: of people in the chain before.
    """

    def correlation(score: npt.NDArray[np.floating]) -> float:
        return float(spearmanr(score[brought], value[brought]).statistic) if brought.sum() > 2 else float("nan")

    return {
        "people_with_a_chain": float(brought.sum()),
        "spearman": correlation(margin),
        "spearman_past_size": correlation(past_size),
    }


CHAIN_VALUE = Extra("chain_value", fit_chain_value, load_chain_value)
