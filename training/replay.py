"""What a past list of people, as many by score and as many at random moved afterwards, per contact, with 95 % intervals.

Percentile bootstrap over people (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13): somebody on
the list and among the best by score counts in both whenever drawn, which pairs the two.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from features.errors import TrainingError
from features.labels import require_mature
from features.snapshot import accounts_known
from training.folds import Panel, training_folds
from training.hybrid import fit_hybrid
from training.intervals import LEVELS, as_entry
from training.matrix import Floats
from training.settings import TrainSettings
from training.timeline import Timeline

Name = Literal["list", "score", "random"]
GROUPS: tuple[Name, ...] = ("list", "score", "random")
DIFFERENCES: tuple[tuple[Name, Name], ...] = (("list", "score"), ("list", "random"), ("score", "random"))
FEW = 10
"""With fewer people who moved anybody, resamples of a group know too little of what might have been."""

NOT_CAUSAL = (
    "This is not causal: people on the list were contacted then, the others mostly were not, and no lot decided who. The "
    "differences show whose followers moved more afterwards, not what contacting them brought about."
)


@dataclass(frozen=True)
class Estimate:
    """One value of a group, or of ``group`` less ``minus``, per contact, with its 95 % interval (nan: undefined).

    ``metric``: ``moved_per_contact`` (people moved, mean influence), ``value_per_contact`` (net amount credited, in minor
    units) or ``moved_anybody`` (share of the group with influence > 0).
    """

    group: Name
    metric: str
    value: float
    ci_low: float
    ci_high: float
    minus: Name | None = None

    def to_dict(self) -> dict[str, Any]:
        """As one record of ``koc replay --json``: nan becomes null, and only differences have ``minus``."""
        return as_entry(asdict(self))


@dataclass(frozen=True)
class Replay:
    """Three groups of ``people`` each, out of the ``population`` of all users known at the date.

    ``rows`` of the list = ``people`` + ``repeated`` (rows that name a person again) + the ``unknown`` (ids of people who had
    done nothing by the date, so that neither score nor chance could have picked them; they are in no group).
    ``merged``: rows under another account of a person. ``both``: people on the list and among the best by score.
    ``estimates``: groups first, then differences. ``few``: groups in which fewer than ``FEW`` moved anybody.
    """

    rows: int
    people: int
    repeated: int
    merged: int
    unknown: tuple[str, ...]
    both: int
    population: int
    estimates: tuple[Estimate, ...]
    few: tuple[Name, ...]
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """As in the file of ``koc replay --json``."""
        return {
            **asdict(self),
            "unknown": list(self.unknown),
            "few": list(self.few),
            "estimates": [estimate.to_dict() for estimate in self.estimates],
            "not_causal": NOT_CAUSAL,
        }


def compare(
    users: npt.NDArray[np.object_],
    score: Floats,
    influence: Floats,
    influence_value: Floats | None,
    listed: Sequence[str],
    *,
    person_of: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Replay:
    """What the people of a list moved, as many with the highest score, and as many drawn from all users.

    users: (N,) distinct ids; score: (N,), higher is better, equal ones by user id; influence: (N,) >= 0 and influence_value:
    (N,) in minor units (None: no amounts are known), of the label window. listed: ids as they stand on the list.
    person_of: account -> person; others are themselves.

    The value of ``random`` is the mean over all users. Its interval is where 95 % of groups of that size land: each is
    drawn afresh from resampled users, which is the same as drawing it with replacement.

    Raises:
        TrainingError: nobody on the list is among ``users``.
    """
    order = np.argsort(users.astype(str), kind="stable")
    users, score, influence = users[order], score[order], influence[order]
    persons = [(person_of or {}).get(account, account) for account in listed]
    # Person -> the first of their ids on the list.
    distinct = dict(zip(reversed(persons), reversed(listed), strict=True))
    place = {user: row for row, user in enumerate(users.tolist())}
    unknown = tuple(distinct[person] for person in dict.fromkeys(persons) if person not in place)
    groups = {
        "list": np.array(sorted(place[person] for person in distinct if person in place), dtype=np.intp),
        "score": np.argsort(-score, kind="stable")[: len(distinct) - len(unknown)],
        "random": np.arange(len(users)),
    }
    people = len(groups["list"])
    if not people:
        raise TrainingError(
            f"none of the {len(distinct):,} people on the list is among the {len(users):,} users known at the date"
            f"{f', such as {listed[0]!r}' if listed else ''}; choose another column, or the date of the list"
        )
    outcomes = {"moved_per_contact": influence}
    if influence_value is not None:
        outcomes["value_per_contact"] = influence_value[order]
    outcomes["moved_anybody"] = (influence > 0).astype(np.float64)
    table = np.stack(list(outcomes.values()), axis=1)
    values = _resampled(table, groups["list"], groups["score"], resamples, seed)
    return Replay(
        rows=len(listed),
        people=people,
        repeated=len(persons) - len(distinct),
        merged=sum(account != person for account, person in zip(listed, persons, strict=True)),
        unknown=unknown,
        both=len(np.intersect1d(groups["list"], groups["score"])),
        population=len(users),
        estimates=tuple(_estimates(values, list(outcomes))),
        few=tuple(name for name in GROUPS if int((influence[groups[name]] > 0).sum()) < FEW),
        seed=seed,
    )


def scores_at(timeline: Timeline, as_of: datetime, settings: TrainSettings) -> Floats:
    """(N,) scores of ``timeline.matrix(as_of).users`` by the served model, trained on what was known at ``as_of``.

    Raises:
        TrainingError: the history before ``as_of`` is too short, or holds no influence.
    """
    panel = Panel.of(training_folds(timeline, as_of, settings), settings)
    hybrid = fit_hybrid(panel, settings, influence=True, churn=False)
    return cast(Floats, hybrid.said(timeline.frame(as_of)).margin)


def replay_date(timeline: Timeline, as_of: datetime | None = None) -> datetime:
    """The date to replay: ``as_of``, else the dataset's last test date, else the last whose label window is closed.

    Raises:
        TrainingError: nothing tells who moved whom, or the history is too short.
        ImmatureLabelError: the label window is not closed in the data.
    """
    dataset = timeline.tables.dataset
    if not timeline.has_influence:
        raise TrainingError(
            f"dataset {dataset.name!r} does not tell who moved whom; map ties with orders, share_responses, group buys, "
            "memberships.inviter_id or orders.referrer_id"
        )
    dates = [as_of] if as_of else sorted(dataset.time.test_dates) or timeline.default_test_dates(1)
    if not dates:
        raise TrainingError(
            f"the history of dataset {dataset.name!r} is too short for a replay with a horizon of "
            f"{dataset.time.horizon.days} days; shorten time.horizon, or wait for more data"
        )
    require_mature(timeline.tables, dates[-1])
    return dates[-1]


def known_ids(timeline: Timeline, as_of: datetime) -> pa.Array:
    """Ids (string) of users with an act before ``as_of``, and of all other accounts of theirs."""
    engine = timeline.tables.engine
    acts = timeline.snapshot(as_of)["acts"]
    users = engine.to_arrow(acts.select("user_id").distinct())["user_id"].combine_chunks()
    if not timeline.tables.has("identities"):
        return users
    accounts = accounts_known(timeline.tables, as_of)
    theirs = accounts.filter(pc.is_in(accounts["person_id"], value_set=users))["account"]
    return pa.concat_arrays([users, *theirs.chunks])


def replay(timeline: Timeline, as_of: datetime, listed: Sequence[str], settings: TrainSettings) -> Replay:
    """Compare a list that was used at ``as_of`` with the scores of a model of that day, on the horizon after it.

    Raises:
        TrainingError: nobody on the list was known at ``as_of``, or there is too little to learn from before it.
        ImmatureLabelError: the label window is not closed in the data.
    """
    truth = timeline.labels(as_of)
    persons = timeline.people(np.array(listed, dtype=object), as_of)
    timeline.progress(f"{as_of:%Y-%m-%d}: scores")
    return compare(
        timeline.matrix(as_of).users,
        scores_at(timeline, as_of, settings),
        truth.influence,
        truth.influence_value if timeline.tables.has("orders", "amount") else None,
        listed,
        person_of=dict(zip(listed, persons, strict=True)),
        resamples=settings.resamples,
        seed=settings.seed,
    )


def _resampled(
    table: Floats, listed: npt.NDArray[np.intp], scored: npt.NDArray[np.intp], resamples: int, seed: int
) -> dict[Name, Floats]:
    """table: (N, M). Group -> (1 + B, M) means: those of the group itself, then of its resamples (nan: nobody drawn)."""
    rng = np.random.default_rng(seed)
    pool = np.union1d(listed, scored)
    own = {"list": np.isin(pool, listed), "score": np.isin(pool, scored)}
    found: dict[Name, list[Floats]] = {
        "list": [table[listed].mean(axis=0)],
        "score": [table[scored].mean(axis=0)],
        "random": [table.mean(axis=0)],
    }
    for _ in range(resamples):
        drawn = rng.integers(0, len(pool), len(pool))
        found["list"].append(_mean(table[pool[drawn[own["list"][drawn]]]]))
        found["score"].append(_mean(table[pool[drawn[own["score"][drawn]]]]))
        found["random"].append(table[rng.integers(0, len(table), len(listed))].mean(axis=0))
    return {name: np.stack(means) for name, means in found.items()}


def _mean(rows: Floats) -> Floats:
    return rows.mean(axis=0) if len(rows) else np.full(rows.shape[1], np.nan)


def _estimates(values: Mapping[Name, Floats], metrics: Sequence[str]) -> list[Estimate]:
    pairs: list[tuple[Name, Name | None]] = [*((name, None) for name in GROUPS), *DIFFERENCES]
    found = []
    for group, minus in pairs:
        draws = values[group] - values[minus] if minus else values[group]
        low, high = np.nanpercentile(draws[1:], LEVELS, axis=0)
        found += [
            Estimate(group, metric, float(draws[0, m]), float(low[m]), float(high[m]), minus)
            for m, metric in enumerate(metrics)
        ]
    return found
