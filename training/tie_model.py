"""The tie model: LightGBM on ties, how many follow-ups each tie will carry; summed, it scores the influencer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import lightgbm
import numpy as np
import numpy.typing as npt

from features.blocks.activity import activity
from features.blocks.block import Block
from features.blocks.earliness import earliness
from features.blocks.influence import follow_up_rate, influence_given, influence_received, people_moved
from features.blocks.purchase import purchase_frequency, purchase_variety
from features.blocks.sharing import responses_drawn, responses_given
from features.blocks.ties import degrees
from training.boosters import fit_boosters, predictor
from training.crossfit import Groups, Rows
from training.frame import Frame, Ties
from training.matrix import CELLS_AT_ONCE, Floats, Places
from training.ranker import TWEEDIE
from training.settings import TrainSettings

END_BLOCKS: tuple[Block, ...] = (
    activity,
    purchase_frequency,
    purchase_variety,
    earliness,
    influence_given,
    people_moved,
    influence_received,
    follow_up_rate,
    responses_drawn,
    responses_given,
    degrees,
)
"""What is read of each end of a tie: activity, rhythm and past influence."""

FLOOR = 1e-4
"""People expected to follow somebody without ties: keeps the log of their sum finite."""

FEW = 20
"""With fewer ties that carried anything there is nothing to learn about ties."""


@dataclass(frozen=True)
class TieModel:
    """An ensemble of which each member has not seen one group of influencers.

    It may have seen that a follower of theirs moved, along a tie to somebody else who shares the credit; the stack was no
    worse for it (``docs/decisions.md``).

    ``tie_columns``: features of ties; ``end_columns``: features of users, read of the follower, then of the influencer.
    """

    tie_columns: tuple[str, ...]
    end_columns: tuple[str, ...]
    boosters: Sequence[lightgbm.Booster]

    def follow_ups(self, frame: Frame, groups: Groups | None = None) -> Floats:
        """(E,) people expected to be moved along each tie within the horizon, > 0: its probability where it is rare.

        groups: (N,) of the frame's users, to let only the member speak that has not seen the influencer.
        """
        return self._expected(frame, np.arange(len(frame.ties)), groups)

    def margin(self, frame: Frame, groups: Groups | None = None, rows: Rows | None = None) -> Floats:
        """(N,) log of the people that each user is expected to move along all ties; groups as in `follow_ups`.

        rows: (N,) to be told of these users only, (rows.sum(),).
        """
        if rows is None:
            return margin_of(frame, self.follow_ups(frame, groups))
        asked = np.flatnonzero(rows[frame.ties.influencers])
        moved = np.bincount(frame.ties.influencers[asked], self._expected(frame, asked, groups), minlength=len(rows))
        margin: Floats = np.log(moved[rows] + FLOOR)
        return margin

    def _expected(self, frame: Frame, ties: Places, groups: Groups | None) -> Floats:
        """(len(ties),) of some ties of the frame; otherwise as `follow_ups`."""
        expected = np.empty(len(ties))
        if groups is None:
            predict = predictor(self.boosters, len(ties))
            for part, x in self._parts(frame, ties):
                expected[part] = np.exp(predict(x)).mean(axis=1)
            return expected
        group = groups[frame.ties.influencers[ties]]
        predictors = [predictor([booster], len(ties) // len(self.boosters)) for booster in self.boosters]
        for part, x in self._parts(frame, ties):
            for member, predict in enumerate(predictors):
                own = group[part] == member
                if own.any():
                    expected[part][own] = np.exp(predict(x[own]))[:, 0]
        return expected

    def _parts(self, frame: Frame, ties: Places) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
        """Places in ``ties`` and what the model reads of these, so many at a time that they fit into memory."""
        users = _ends(frame, self.end_columns)
        step = max(1, CELLS_AT_ONCE // (len(self.tie_columns) + 2 * len(self.end_columns)))
        for start in range(0, len(ties), step):
            part = slice(start, start + step)
            yield part, _inputs(frame.ties, users, ties[part], self.tie_columns)


def summed(frame: Frame, follow_ups: Floats) -> Floats:
    """follow_ups: (E,) expected along each tie -> (N,) their sum over all ties of each influencer."""
    moved: Floats = np.bincount(frame.ties.influencers, follow_ups, minlength=len(frame.users)).astype(np.float64)
    return moved


def margin_of(frame: Frame, follow_ups: Floats) -> Floats:
    """follow_ups: (E,) expected along each tie -> (N,) log of the sum over all ties of each influencer."""
    margin: Floats = np.log(summed(frame, follow_ups) + FLOOR)
    return margin


def fit_tie_model(
    frames: Sequence[Frame],
    follows: Sequence[Floats],
    groups: Sequence[Groups],
    rows: Sequence[Rows],
    settings: TrainSettings,
    without: Sequence[str] = (),
) -> tuple[TieModel, Floats] | None:
    """The tie model, and for the users in ``rows`` of all frames the margin from the member that has not seen them.

    follows: per frame (E,) weight that each tie carried within the horizon; groups, rows: per frame (N,) of its users;
    without: columns of ties to do without. Of ties that carried nothing about ``settings.tie_rows`` are learned from, and
    stand for the others. None where too few ties carried anything.
    """
    tie_columns = tuple(column for column in frames[0].ties.columns if column not in without)
    own = frames[0].matrix
    end_columns = tuple(c for block in END_BLOCKS for c in block.columns(frames[0].windows) if c in own)
    # Of the number of ties and not of labels, or a label would choose the rows of the member that must not see it.
    share = min(1.0, settings.tie_rows / max(1, sum(len(weight) for weight in follows)))
    rng = np.random.default_rng(settings.seed)
    parts = []
    for frame, weight, group in zip(frames, follows, groups, strict=True):
        drawn = rng.random(len(weight)) < share
        kept = np.flatnonzero((weight > 0) | drawn)
        stands_for = np.where(weight[kept] > 0, 1.0, 1.0 / share)
        x = _inputs(frame.ties, _ends(frame, end_columns), kept, tie_columns)
        parts.append((x, weight[kept], stands_for, group[frame.ties.influencers[kept]], drawn[kept]))
    x, y, stands_for, group, blind = (np.concatenate(column) for column in zip(*parts, strict=True))
    if any(int((y[group != member] > 0).sum()) < FEW for member in range(settings.groups)):
        return None
    names = [*tie_columns, *(f"{end}_{column}" for end in ("follower", "influencer") for column in end_columns)]

    boosters = fit_boosters(x, y, group, names, settings, TWEEDIE, weight=stands_for, blind=blind)
    model = TieModel(tie_columns, end_columns, boosters)
    asked = zip(frames, groups, rows, strict=True)
    return model, np.concatenate([model.margin(frame, group, of) for frame, group, of in asked])


def _ends(frame: Frame, columns: Sequence[str]) -> npt.NDArray[np.float32]:
    """(N + 1, F) features of users; the last row, nan, is everybody's who has not acted yet."""
    ends = np.full((len(frame.users) + 1, len(columns)), np.nan, np.float32)
    for number, column in enumerate(columns):
        ends[:-1, number] = frame.matrix.select([column])[:, 0]
    return ends


def _inputs(
    ties: Ties, users: npt.NDArray[np.float32], some: npt.NDArray[np.int64], columns: Sequence[str]
) -> npt.NDArray[np.float32]:
    """(len(some), T + 2 F): a tie's own features, its follower's and its influencer's; users: as `_ends` gives them."""
    followers = np.minimum(ties.followers[some], len(users) - 1)
    return np.concatenate([ties.select(columns, some), users[followers], users[ties.influencers[some]]], axis=1)
