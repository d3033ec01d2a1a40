"""How likely each community is to be alive in three months, counted on what communities did until now."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.blocks.acquaintances import BANDS
from features.snapshot import Snapshot

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Places = NDArray[np.int64]

AHEAD = 90
"""Days until a community is asked for: operators say that its life is three months."""

GRACE = 30
"""Days within which an act of a member shows that a community lives: at AHEAD days, and today."""

STEP = 30
"""Days between two past dates that are learned from."""

LEAST_ROWS = 40
RIDGE = 1.0
EVENT = ("event", "活动")
"""Origins of communities that were made for an event."""


@dataclass(frozen=True)
class Survival:
    """(C,) each. ``alive``: somebody acted in the community within ``GRACE`` days. ``probability``: that somebody does so
    in the ``GRACE`` days after ``AHEAD`` days, 0 to 1; nan where nothing can be learned.

    ``base_rate``: how many communities of the same origin that were alive at a past date were so ``AHEAD`` days later, and
    ``counted`` on how many (community, date); nan and 0 where no such date lies in the data.
    """

    alive: Flags
    silent_days: Floats
    probability: Floats
    base_rate: Floats
    counted: Places


def survival_of(snapshot: Snapshot, ids: pa.Array, origin: pa.Array) -> Survival | None:
    """Of communities ``ids`` (C,) with their ``origin`` (C,), null where unknown; None without acts in communities.

    A logistic regression on past dates whose outcome is known at the snapshot: days of silence, acts and members who acted
    lately, members, origin and age. The penalty keeps rare classes near the rate of all.
    """
    acts = acts_in_communities(snapshot, ids)
    if acts is None:
        return None
    event = np.isin(np.array(origin.to_pylist(), dtype=object), EVENT)
    count, today = len(ids), float(_day(snapshot.as_of))
    begun = np.full(count, np.inf)
    np.minimum.at(begun, acts.community, acts.day)
    # Members may have joined long before talk was recorded: what there was of it then is not known.
    first = acts.day[acts.talk].min(initial=today)
    dates = np.arange(today - AHEAD - GRACE, first + GRACE, -STEP)
    seen = [acts.before(date, event) for date in dates]
    known = [begun < date for date in dates]
    later = [acts.any_between(date + AHEAD, date + AHEAD + GRACE) for date in dates]
    now = acts.before(today, event)
    alive = now[:, 0] <= np.log1p(GRACE)
    rate, counted = np.full(count, np.nan), np.zeros(count, dtype=np.int64)
    probability = np.full(count, np.nan)
    if len(dates):
        x, y = np.concatenate(seen)[np.concatenate(known)], np.concatenate(later)[np.concatenate(known)]
        born = np.concatenate([event] * len(dates))[np.concatenate(known)]
        lived = x[:, 0] <= np.log1p(GRACE)
        for which in (True, False):
            rows = lived & (born == which)
            rate[event == which] = (y[rows].sum() + 1) / (rows.sum() + 2) if rows.any() else np.nan
            counted[event == which] = rows.sum()
        probability = fit_logistic(x, y, now) if len(y) >= LEAST_ROWS else np.full(count, (y.sum() + 1) / (len(y) + 2))
        probability[np.isinf(begun)] = np.nan
    return Survival(alive, np.expm1(now[:, 0]), probability, rate, counted)


@dataclass(frozen=True)
class Acts:
    """Acts of members in communities by day, (K,): ``community`` place among the ids, ``person`` code, ``day`` since 1970,
    ``talk`` for more than a join. ``count`` communities. Memberships, (L,): ``member_of`` (place), ``joined`` and ``left``
    in days, inf for who has not left."""

    community: Places
    person: Places
    day: Floats
    talk: Flags
    count: int
    member_of: Places
    joined: Floats
    left: Floats

    def before(self, date: float, event: Flags) -> Floats:
        """(C, F) what was known of each community at a date; the first column is log(1 + days of silence)."""
        old = self.day < date
        last = np.full(self.count, -np.inf)
        np.maximum.at(last, self.community[old], self.day[old])
        begun = np.full(self.count, np.inf)
        np.minimum.at(begun, self.community[old], self.day[old])
        silence = np.where(np.isfinite(last), date - last, 3_650.0)
        recent = old & (self.day >= date - GRACE)
        lately = np.bincount(self.community[recent & self.talk], minlength=self.count)
        pairs = np.unique(np.column_stack([self.community[recent], self.person[recent]]), axis=0)
        people = np.bincount(pairs[:, 0], minlength=self.count)
        present = (self.joined < date) & (self.left >= date)
        members = np.bincount(self.member_of[present], minlength=self.count)
        gone = (self.left < date) & (self.left >= date - GRACE)
        leaving = np.bincount(self.member_of[gone], minlength=self.count) / np.maximum(members, 1)
        age = np.where(np.isfinite(begun), date - begun, 0.0)
        young = age < AHEAD
        columns = [
            np.log1p(silence), np.log1p(lately), np.log1p(people), np.log1p(members), np.minimum(leaving, 1.0),
            event, young, event & young, members >= BANDS[2],
        ]  # fmt: skip
        return np.column_stack(columns).astype(float)

    def any_between(self, start: float, end: float) -> Flags:
        """(C,) whether somebody acted on a day from ``start`` to before ``end``."""
        found = np.zeros(self.count, dtype=bool)
        found[self.community[(self.day >= start) & (self.day < end)]] = True
        return found


def acts_in_communities(snapshot: Snapshot, ids: pa.Array) -> Acts | None:
    """What members did in the communities ``ids``: engagements that name one, and joins; None without such engagements."""
    if not (snapshot.has("engagements", "community_id") and "memberships" in snapshot):
        return None
    engine, memberships, talk = snapshot.engine, snapshot["memberships"], snapshot["engagements"]
    memberships = memberships.filter(memberships.community_id.notnull())
    spans = memberships.select("community_id", "user_id", "joined_at", "left_at")
    # Of members alone: a robot that talks on keeps nobody alive.
    said = talk.select("community_id", "user_id", "happened_at").join(spans, ["community_id", "user_id"])
    said = said.filter(said.happened_at >= said.joined_at, (said.happened_at < said.left_at) | said.left_at.isnull())
    both = ibis.union(
        said.select("community_id", "user_id", day=_days(said.happened_at), talk=ibis.literal(1)),
        memberships.select("community_id", "user_id", day=_days(memberships.joined_at), talk=ibis.literal(0)),
    )
    once = both.group_by("community_id", "user_id", "day").agg(talk=both.talk.max())
    rows = engine.to_arrow(once)
    of = _place(rows["community_id"], ids)
    people = rows["user_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    kept = of >= 0
    days = spans.select("community_id", joined=_days(spans.joined_at), left=_days(spans.left_at))
    held = engine.to_arrow(days)
    member_of = _place(held["community_id"], ids)
    inside = member_of >= 0
    left = held["left"].to_pandas().to_numpy(dtype=float, na_value=np.inf)
    return Acts(
        of[kept], people[kept], rows["day"].to_numpy().astype(float)[kept], rows["talk"].to_numpy()[kept] > 0, len(ids),
        member_of[inside], held["joined"].to_numpy().astype(float)[inside], left[inside],
    )  # fmt: skip


def fit_logistic(x: Floats, y: Flags, wanted: Floats) -> Floats:
    """Probabilities of ``wanted`` (n, F) by a logistic regression on (m, F) and (m,), penalised by ``RIDGE`` a column.

    Newton's method on standardised columns; the constant is free, so that the mean of fitted values is that of ``y``.
    """
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread == 0] = 1.0
    design = np.column_stack([np.ones(len(x)), (x - centre) / spread])
    penalty = np.full(design.shape[1], RIDGE)
    penalty[0] = 1e-3  # finite where all or none survived
    beta = np.zeros(design.shape[1])
    for _ in range(30):
        fitted = _logistic(design @ beta)
        slope = design.T @ (y - fitted) - penalty * beta
        curve = (design.T * (fitted * (1 - fitted))) @ design + np.diag(penalty)
        step = np.linalg.solve(curve, slope)
        beta += step
        if np.abs(step).max() < 1e-9:
            break
    ahead = np.column_stack([np.ones(len(wanted)), (wanted - centre) / spread])
    return _logistic(ahead @ beta)


def _logistic(value: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(value, -30, 30)))
    return found


def _place(of: pa.ChunkedArray, ids: pa.Array) -> Places:
    place = pa.compute.index_in(of.combine_chunks(), value_set=ids)
    return np.asarray(pa.compute.fill_null(place, -1).to_numpy(zero_copy_only=False), dtype=np.int64)


def _days(moment: ibis.expr.types.TimestampValue) -> ibis.expr.types.IntegerValue:
    return (moment.epoch_seconds() // 86_400).cast("int64")


def _day(moment: datetime) -> float:
    return (moment - datetime(1970, 1, 1)) / timedelta(days=1)
