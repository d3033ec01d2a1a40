"""What changed from one batch of scores to the next: who entered and left the top, how far ranks moved, and why."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ScoresError
from serving.store.batch import SCORE, Batch

TOP = 100
MOVERS = 20
SIDES = ("willingness", "reach")
"""Columns that say what each side adds to the logarithm of a score; the side that moved more is why it moved."""


@dataclass(frozen=True)
class Moved:
    """One person in two batches; ranks from 1, None where the person is in one of them only.

    ``because``: the side that changed most, ``willingness`` or ``reach``, None where a batch does not tell. Reasons are
    those of each batch, in words.
    """

    user_id: str
    rank_before: int | None
    rank: int | None
    because: str | None
    reason_before: str | None
    reason: str | None


@dataclass(frozen=True)
class Diff:
    """From the batch ``before`` to ``batch``, both with their models.

    ``people_before``, ``people``: rows. ``entered``, ``left``: the first ``top`` now and not before, and the reverse, by
    rank. ``moved``: of those who stayed, whose rank moved most. ``rank_correlation``: Spearman, of the people in both; None
    for fewer than two. ``because``: of people who stayed, how many changed most by each side.
    """

    before: str
    batch: str
    model_before: str
    model: str
    top: int
    people_before: int
    people: int
    rank_correlation: float | None
    because: dict[str, int]
    entered: list[Moved]
    left: list[Moved]
    moved: list[Moved]

    @property
    def people_named(self) -> list[str]:
        return [each.user_id for each in (*self.entered, *self.left, *self.moved)]

    def without(self, users: Collection[str]) -> "Diff":
        """The same, with nothing of ``users``, such as people who were erased; others keep their ranks."""
        kept = {
            name: [each for each in people if each.user_id not in users]
            for name, people in (("entered", self.entered), ("left", self.left), ("moved", self.moved))
        }
        return replace(self, **kept)  # type: ignore[arg-type]

    def summary(self) -> dict[str, Any]:
        """Without names, for results of jobs."""
        return {
            "before": self.before,
            "top": self.top,
            "entered": len(self.entered),
            "left": len(self.left),
            "rank_correlation": self.rank_correlation,
        }


def batch_diff(before: Batch, batch: Batch, top: int = TOP) -> Diff:
    """Raises:
    ScoresError: the batches are of different datasets, or one of them ranks nobody.
    """
    if before.manifest.dataset != batch.manifest.dataset:
        raise ScoresError(
            f"batch {before.manifest.batch} is of {before.manifest.dataset}, {batch.manifest.batch} of "
            f"{batch.manifest.dataset}; compare batches of one dataset"
        )
    for each in (before, batch):
        if SCORE not in each.columns:
            raise ScoresError(f"batch {each.manifest.batch} ranks nobody: it has no {SCORE}; score with another model")
    then, now = _ids(before), _ids(batch)
    place = before.rows_of(now.tolist())
    both = np.flatnonzero(place >= 0)
    firsts, firsts_before = set(now[:top].tolist()), set(then[:top].tolist())
    entered, left, stayed = firsts - firsts_before, firsts_before - firsts, firsts & firsts_before
    row_now = {user: row for row, user in enumerate(now[:top].tolist())}
    row_then = {user: row for row, user in enumerate(then[:top].tolist())}
    rows_then = dict(zip(sorted(entered), before.rows_of(sorted(entered)).tolist(), strict=True)) | row_then
    rows_now = dict(zip(sorted(left), batch.rows_of(sorted(left)).tolist(), strict=True)) | row_now
    told = _Told(before, batch, {user: (rows_then[user], rows_now[user]) for user in {*firsts, *firsts_before}})
    moves = {user: told.moved(user) for user in told.rows}
    far = sorted(stayed, key=lambda user: (-abs(row_now[user] - row_then[user]), row_now[user]))
    far = [user for user in far if row_now[user] != row_then[user]][:MOVERS]
    sides = [moves[user].because for user in stayed]
    return Diff(
        before=before.manifest.batch,
        batch=batch.manifest.batch,
        model_before=before.manifest.model,
        model=batch.manifest.model,
        top=top,
        people_before=len(before),
        people=len(batch),
        rank_correlation=_correlation(before.values(SCORE)[place[both]], batch.values(SCORE)[both]),
        because={side: sides.count(side) for side in SIDES},
        entered=[moves[user] for user in sorted(entered, key=row_now.__getitem__)],
        left=[moves[user] for user in sorted(left, key=row_then.__getitem__)],
        moved=[moves[user] for user in far],
    )


class _Told:
    """What two batches say of some people; ``rows``: user -> row in each, -1 where not in it."""

    def __init__(self, before: Batch, batch: Batch, rows: Mapping[str, tuple[int, int]]) -> None:
        self._pair, self.rows = (before, batch), rows
        self._has = all(side in each.columns for each in self._pair for side in SIDES)
        then, now = zip(*rows.values(), strict=True) if rows else ((), ())
        self._reasons = (_reasons(before, then), _reasons(batch, now))

    def moved(self, user: str) -> Moved:
        rows = self.rows[user]
        reasons = [of.get(row) for of, row in zip(self._reasons, rows, strict=True)]
        ranks = [row + 1 if row >= 0 else None for row in rows]
        return Moved(user, ranks[0], ranks[1], self._because(rows), reasons[0], reasons[1])

    def _because(self, rows: tuple[int, int]) -> str | None:
        if not self._has or min(rows) < 0:
            return None
        change = {
            side: abs(float(self._pair[1].values(side)[rows[1]]) - float(self._pair[0].values(side)[rows[0]]))
            for side in SIDES
        }
        return None if any(np.isnan(value) for value in change.values()) else max(change, key=change.__getitem__)


def _reasons(batch: Batch, rows: Sequence[int]) -> dict[int, str | None]:
    """Row -> its reason, of those of ``rows`` that are in the batch; {} where it gives none."""
    known = [row for row in rows if row >= 0]
    if "reason" not in batch.columns:
        return {}
    return dict(zip(known, batch.table(np.array(known, np.int64), ["reason"])["reason"].to_pylist(), strict=True))


def _ids(batch: Batch) -> NDArray[np.object_]:
    ids: NDArray[np.object_] = batch.table(columns=["user_id"])["user_id"].to_numpy().astype(object)
    return ids


def _correlation(before: NDArray[np.float64], now: NDArray[np.float64]) -> float | None:
    from scipy.stats import spearmanr

    known = ~(np.isnan(before) | np.isnan(now))
    if known.sum() < 2:
        return None
    value = float(spearmanr(before[known], now[known]).statistic)
    return None if np.isnan(value) else value
