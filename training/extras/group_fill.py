"""Group fill: the probability that an initiator's next group buy fills before its deadline."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import lightgbm
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.snapshot import Snapshot
from training.boosters import fit_boosters, predictor, unseen_margins
from training.calibrate import Calibration, fit_calibration
from training.churn import probability_of
from training.crossfit import people_in_groups
from training.ensemble_files import as_json, ensemble_files, ensemble_of
from training.extras.contract import Extra, ExtraModel, Skipped
from training.folds import Fold
from training.frame import Frame, place_among
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Timeline

COLUMN = "group_fill_probability"
NEEDS = {"group_buys": ("succeeded", "deadline"), "group_buy_members": ()}
LEAST_GROUPS = 150
"""Group buys whose end is known in the training windows; fewer teach less than the rate of all."""

PRIOR = 5.0
"""Group buys at the rate of all that back an initiator's own record."""

ROUNDS = 80
GENTLE: Mapping[str, float | str] = {
    "objective": "binary",
    "num_leaves": 7,
    "min_data_in_leaf": 20,
    "feature_fraction": 0.6,
}
"""Unlike the models of users: of openings there are few."""

OWN = ("size", "hours", "own_tried", "own_rate", "category_rate")
"""What is told of a group buy besides its initiator's features; see `inputs`."""

INITIATOR = (
    "followers", "following", "strength_sum", "strong_ties", "strength_acts", "acts_decayed", "idle_days", "known_days",
    "influence_all", "influence_decayed", "people_moved_all", "followed_share", "shares_all", "acceptance_rate", "fatigue",
    "responders_all", "groups_opened_all", "group_members_brought", "group_fill", "group_fill_time", "groups_joined_all",
    "chain_people_1", "chain_size_all", "helpers", "communities_now", "invited_all",
)  # fmt: skip
"""Features of the initiator that are read where the dataset gives them: of all, a few hundred openings learn chance."""


@dataclass(frozen=True)
class Openings:
    """(k,) group buys by time of opening, equal ones by id.

    ``opened``, ``ended``: seconds since 1970; ``ended`` when it was known how it went, of open ones infinite. ``size``,
    ``hours`` to the deadline: nan where not known. ``filled``: 1 or 0 where ``ended`` is finite.
    """

    initiator: npt.NDArray[np.object_]
    category: npt.NDArray[np.object_]
    opened: Floats
    ended: Floats
    size: Floats
    hours: Floats
    filled: Floats

    def take(self, rows: npt.NDArray[np.generic]) -> "Openings":
        return Openings(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class GroupFill:
    """LightGBM on group buys, of which each member has not seen one group of initiators, calibrated.

    ``columns``: features of initiators that it reads after ``OWN``; ``judged``: see `judge`.
    """

    columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]
    calibration: Calibration
    judged: Mapping[str, float]

    def probability(self, x: npt.NDArray[np.float32]) -> Floats:
        """x: (k, F) as from `inputs` -> (k,) calibrated, in (0, 1)."""
        odds = predictor(self.boosters, len(x))(x).mean(axis=1)
        return self.calibration.apply(1 / (1 + np.exp(-odds)))

    def score(self, snapshot: Snapshot, frame: Frame) -> Mapping[str, Floats]:
        """``group_fill_probability``: (N,) that the next group buy, if like the last, fills in time; nan without one."""
        known = openings(snapshot)
        found = np.full(len(frame.users), np.nan)
        _, last = np.unique(known.initiator[::-1].astype(str), return_index=True)
        next_ones = known.take(len(known.initiator) - 1 - last)
        now = np.full(len(next_ones.initiator), seconds(snapshot.as_of))
        x = inputs(next_ones, now, known, frame, self.columns)
        place = place_among(pa.array(next_ones.initiator, pa.string()), pa.array(frame.users, pa.string()))
        found[place[place >= 0]] = self.probability(x)[place >= 0]
        return {COLUMN: found}

    def report(self) -> Mapping[str, float]:
        """Brier scores on the latest training window of a model that had seen the others only; see `judge`."""
        return self.judged

    def files(self) -> Mapping[str, str]:
        """Trees, calibration and the report."""
        return {
            **ensemble_files("trees", {"columns": self.columns}, self.boosters),
            "calibration.json": self.calibration.to_json(),
            "report.json": as_json(dict(self.judged)),
        }


def load_group_fill(files: Mapping[str, str]) -> ExtraModel:
    """What `GroupFill.files` gave."""
    content, boosters = ensemble_of("trees", files)
    calibration = Calibration.from_json(files["calibration.json"])
    return GroupFill(tuple(content["columns"]), boosters, calibration, json.loads(files["report.json"]))


def fit_group_fill(
    timeline: Timeline, folds: Sequence[Fold], known_at: datetime, settings: TrainSettings
) -> ExtraModel | Skipped:
    """Trees on the group buys that were opened in the windows of the folds and whose end is known."""
    if absent := [table for table, columns in NEEDS.items() if not timeline.tables.has(table, *columns)]:
        return Skipped(f"it needs {absent[0]} with {', '.join(NEEDS[absent[0]]) or 'its keys'}")
    columns = tuple(column for column in INITIATOR if column in folds[0].frame.matrix)
    rows = [labelled(timeline, fold, known_at, columns) for fold in folds]
    count, filled = sum(len(row.filled) for row in rows), sum(int(row.filled.sum()) for row in rows)
    if count < LEAST_GROUPS or not LEAST_GROUPS / 10 <= filled <= count - LEAST_GROUPS / 10:
        return Skipped(
            f"{filled} of {count} group buys of the training windows filled; it needs {LEAST_GROUPS}, a tenth of each kind"
        )
    judged: dict[str, float] = {}
    if len(rows) > 1 and (earlier := fitted(rows[1:], columns, settings)):
        judged = judge(earlier.probability(rows[0].x), rows[0])
    model = fitted(rows, columns, settings, judged)
    return model or Skipped("only one initiator had a group buy of either end")


@dataclass(frozen=True)
class Labelled:
    """(k,) group buys of one window: inputs (k, F) as from `inputs`, whether filled in time, and the initiator's person."""

    x: npt.NDArray[np.float32]
    filled: Floats
    people: npt.NDArray[np.object_]

    def column(self, name: str) -> Floats:
        """(k,) one of ``OWN``."""
        return self.x[:, OWN.index(name)].astype(np.float64)


def labelled(timeline: Timeline, fold: Fold, known_at: datetime, columns: Sequence[str]) -> Labelled:
    """The group buys opened within the horizon after the date of ``fold``, whose end was known at ``known_at``."""
    known = openings(timeline.view(fold.as_of, known_at))
    start = seconds(fold.as_of)
    end = start + timeline.tables.dataset.time.horizon.total_seconds()
    # Of openings that may still fill those that were quick are known already, and alone would say that all fill.
    due = np.nan_to_num(known.opened + 3_600 * known.hours, nan=-np.inf)
    closed = np.isfinite(known.ended) & (due <= seconds(known_at))
    wanted = known.take((known.opened >= start) & (known.opened < end) & closed)
    x = inputs(wanted, wanted.opened, known, fold.frame, columns)
    return Labelled(x, wanted.filled, timeline.people(wanted.initiator, known_at))


def openings(snapshot: Snapshot) -> Openings:
    """All group buys of a snapshot. One counts as filled if it succeeded, and not later than its deadline."""
    groups = snapshot["group_buys"]
    groups = groups.filter(groups.initiator_id.notnull())
    rows = groups.select(
        "group_buy_id", "initiator_id", "item_id", "size", "opened_at", "deadline", "closed_at", "succeeded"
    )
    if snapshot.has("items", "category"):
        items = snapshot["items"].select(item_key="item_id", category="category")
        rows = rows.left_join(items, rows.item_id == items.item_key).drop("item_key")
    table = snapshot.engine.to_arrow(rows).sort_by([("opened_at", "ascending"), ("group_buy_id", "ascending")])
    opened, due, closed = (_numbers(table[name]) / 1e6 for name in ("opened_at", "deadline", "closed_at"))
    succeeded = _numbers(table["succeeded"])
    ended = np.where(np.isnan(succeeded), np.inf, np.where(np.isnan(closed), due, closed))
    late = closed > due
    category = (
        table["category"] if "category" in table.column_names else pa.chunked_array([pa.nulls(len(table), pa.string())])
    )
    return Openings(
        table["initiator_id"].to_numpy(zero_copy_only=False),
        pc.fill_null(category, "").to_numpy(zero_copy_only=False),
        opened,
        ended,
        _numbers(table["size"]),
        (due - opened) / 3_600,
        np.where(late, 0.0, np.nan_to_num(succeeded)),
    )


def inputs(asked: Openings, now: Floats, known: Openings, frame: Frame, columns: Sequence[str]) -> npt.NDArray[np.float32]:
    """(k, F) of the group buys ``asked``: ``OWN``, then ``columns`` of the initiators in ``frame``, nan where it lacks them.

    size         members asked for, the initiator included
    hours        from opening to the deadline
    own_tried    group buys of the initiator whose end was known at ``now``
    own_rate     how many of them filled, backed by ``PRIOR`` at the rate of all that had ended
    category_rate  the same of group buys in the category
    """
    overall = _rate(np.zeros(len(now)), now, np.zeros(len(known.opened)), known, np.full(len(now), 0.5))[1]
    of = _codes(asked.initiator, known.initiator)
    tried, own = _rate(of[0], now, of[1], known, overall)
    kinds = _codes(asked.category, known.category)
    _, category = _rate(kinds[0], now, kinds[1], known, overall)
    place = place_among(pa.array(asked.initiator, pa.string()), pa.array(frame.users, pa.string()))
    features = frame.matrix.select(columns, place)
    features[place < 0] = np.nan
    return np.column_stack([asked.size, asked.hours, tried, own, category, features]).astype(np.float32)


def _codes(asked: npt.NDArray[np.object_], known: npt.NDArray[np.object_]) -> tuple[Floats, Floats]:
    """Numbers that tell equal names."""
    _, code = np.unique(np.concatenate([asked, known]).astype(str), return_inverse=True)
    return code[: len(asked)].astype(np.float64), code[len(asked) :].astype(np.float64)


def _rate(asked: Floats, now: Floats, owner: Floats, known: Openings, backing: Floats) -> tuple[Floats, Floats]:
    """(k,) group buys of the same owner that had ended before ``now``, and how many of them filled, backed by ``PRIOR``."""
    order = np.lexsort((known.ended, owner))
    owners, ends = owner[order], known.ended[order]
    total = np.concatenate([[0.0], np.cumsum(known.filled[order])])
    keys = np.rec.fromarrays([owners, ends])
    low = np.searchsorted(owners, asked, "left")
    high = np.searchsorted(keys, np.rec.fromarrays([asked, now], dtype=keys.dtype), "left")
    tried, filled = (high - low).astype(np.float64), total[high] - total[low]
    return tried, (filled + PRIOR * backing) / (tried + PRIOR)


def fitted(
    rows: Sequence[Labelled], columns: Sequence[str], settings: TrainSettings, judged: Mapping[str, float] | None = None
) -> GroupFill | None:
    """Trees and their calibration, None where the group buys of one person alone tell both ends apart."""
    x, filled = np.concatenate([row.x for row in rows]), np.concatenate([row.filled for row in rows])
    people = np.concatenate([row.people for row in rows])
    if len(np.unique(people[filled > 0].astype(str))) < settings.groups:
        return None
    groups = people_in_groups(people, filled > 0, settings.groups)
    boosters = fit_boosters(x, filled, groups, [*OWN, *columns], settings, GENTLE, rounds=ROUNDS)
    unseen = probability_of(unseen_margins(boosters, x, groups))
    return GroupFill(tuple(columns), boosters, fit_calibration(unseen, filled), judged or {})


def judge(probability: Floats, rows: Labelled) -> dict[str, float]:
    """Brier scores of the model, and of the initiators' past rate backed by the rate of all, on later group buys."""
    return {
        "group_buys": float(len(rows.filled)),
        "filled": float(rows.filled.mean()) if len(rows.filled) else float("nan"),
        "brier": brier(probability, rows.filled),
        "brier_past_rate": brier(rows.column("own_rate"), rows.filled),
    }


def brier(probability: Floats, filled: Floats) -> float:
    """Mean squared error; nan without rows."""
    return float(np.mean((probability - filled) ** 2)) if len(filled) else float("nan")


def seconds(moment: datetime) -> float:
    """Since 1970, of a moment in UTC."""
    return (moment - datetime(1970, 1, 1)).total_seconds()


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Float values, nan for null; of times microseconds since 1970."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    numbers: Floats = column.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return numbers


GROUP_FILL = Extra("group_fill", fit_group_fill, load_group_fill)
