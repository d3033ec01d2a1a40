"""What the product serves: the user ranker, the tie model and the graph network with learned weights, and churn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

from training.churn import ChurnModel, ChurnTrees, calibrated, fit_churn_trees
from training.crossfit import Rows
from training.folds import Panel
from training.frame import Frame
from training.gnn import Gnn
from training.gnn_fit import fit_gnn
from training.matrix import Floats, Matrix
from training.parallel import aside
from training.ranker import Ranker, fit_ranker
from training.settings import TrainSettings
from training.stack import Stack, fit_stack
from training.tie_model import TieModel, fit_tie_model, margin_of


@dataclass(frozen=True)
class Hybrid:
    """All models of one training; ``ranker``, ``ties`` and ``stack`` are None without evidence of influence, ``ties`` also
    where too few ties carried anything, ``churn`` without orders."""

    ranker: Ranker | None
    ties: TieModel | None
    gnn: Gnn
    stack: Stack | None
    churn: ChurnModel | None

    def said(self, frame: Frame, only: Rows | None = None) -> "Said":
        """What every model says of the users of a frame.

        only: (N,) to be told of these users alone and not of ties, most of which need not be asked about then.
        """
        views, follow_ups = {"gnn": self.gnn.outputs(frame, only=only)[:, 0]}, None
        if self.ranker:
            views["lightgbm"] = self.ranker.margin(frame, only)
        if self.ties and only is None:
            follow_ups = self.ties.follow_ups(frame)
            views["ties"] = margin_of(frame, follow_ups)
        elif self.ties:
            views["ties"] = self.ties.margin(frame, rows=only)
        margin = self.stack.margin(np.stack([views[view] for view in self.stack.views], axis=1)) if self.stack else None
        return Said(views, margin, self.churn.probability(frame, only) if self.churn else None, follow_ups)


@dataclass(frozen=True)
class Said:
    """``views``: model -> (N,) margins; ``margin``: (N,) log of expected influence; ``churn``: (N,) probability, which
    means something for those with an order in the two horizons before; ``follow_ups``: (E,) expected along each tie."""

    views: Mapping[str, Floats]
    margin: Floats | None
    churn: Floats | None
    follow_ups: Floats | None = None


Model_co = TypeVar("Model_co", bound="Ranker | TieModel | Gnn", covariant=True)


@dataclass(frozen=True)
class View(Generic[Model_co]):
    """One model of influence: what it says of new users, and of the panel's drawn rows, whose people it has not seen."""

    model: Model_co
    unseen: Floats


def columns_of(matrix: Matrix, scopes: Sequence[str] = ("own", "graph")) -> tuple[str, ...]:
    """Feature columns of ``scopes``, in the order of the dictionary."""
    return tuple(column for scope, columns in matrix.scopes.items() if scope in scopes for column in columns)


def ranker_view(panel: Panel, columns: Sequence[str], settings: TrainSettings) -> View[Ranker]:
    """The user ranker on ``columns``."""
    of = panel.telling
    x, stands_for, drawn = panel.x(columns, of), panel.stands_for, panel.drawn[of]
    ranker, unseen = fit_ranker(x, panel.influence[of], panel.groups[of], columns, settings, stands_for, drawn)
    return View(ranker, unseen[drawn])


def tie_view(panel: Panel, settings: TrainSettings, without: Sequence[str] = ()) -> View[TieModel] | None:
    """The tie model, None where too few ties carried anything."""
    follows = [fold.labels.follows for fold in panel.folds]
    groups, drawn = panel.by_fold(panel.groups), panel.by_fold(panel.drawn)
    fitted = fit_tie_model(panel.frames, follows, groups, drawn, settings, without)
    return View(*fitted) if fitted else None


def gnn_outputs(
    panel: Panel, columns: Sequence[str], settings: TrainSettings, without: Sequence[str] = ()
) -> tuple[Gnn, Floats]:
    """The graph network and what (drawn, 2) it says of the drawn rows unseen: margins, log-odds of churn."""
    of = panel.influence, panel.churned, panel.churn_known, panel.groups
    gnn, unseen = fit_gnn(panel.frames, *of, columns, settings, without)
    return gnn, unseen[panel.drawn]


def stacked(unseen: Mapping[str, Floats], panel: Panel) -> Stack:
    """Weights of models, by what each said (drawn,) of rows whose person it had not seen."""
    return fit_stack(tuple(unseen), np.stack(list(unseen.values()), axis=1), panel.influence[panel.drawn])


def churn_view(
    panel: Panel, columns: Sequence[str], settings: TrainSettings, *, standing: bool = False
) -> tuple[ChurnTrees, Floats]:
    """Trees of churn on values or standings, and their log-odds of the drawn rows of the churn population, unseen."""
    of = panel.churn_drawn
    rows, churned, groups = panel.by_fold(of), panel.churned[of], panel.groups[of]
    return fit_churn_trees(panel.frames, rows, churned, groups, columns, settings, standing=standing)


def fit_hybrid(panel: Panel, settings: TrainSettings, *, influence: bool, churn: bool) -> Hybrid:
    """All models on all rows; influence, churn: whether the dataset has evidence of influence, and orders."""
    columns = columns_of(panel.frames[0].matrix)
    ranker = ties = stack = leaving = None
    with aside(lambda: gnn_outputs(panel, columns, settings)) as network:
        if influence:
            ranker, ties = ranker_view(panel, columns, settings), tie_view(panel, settings)
        if churn:
            trees, odds = zip(*(churn_view(panel, columns, settings, standing=kind) for kind in (False, True)), strict=True)
            leaving = calibrated(trees, odds, panel.churned[panel.churn_drawn])
        gnn, unseen = network.result()
    if ranker:
        given = {"lightgbm": ranker.unseen, **({"ties": ties.unseen} if ties else {}), "gnn": unseen[:, 0]}
        stack = stacked(given, panel)
    return Hybrid(ranker.model if ranker else None, ties.model if ties else None, gnn, stack, leaving)
