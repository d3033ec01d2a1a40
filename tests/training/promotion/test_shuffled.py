from dataclasses import replace

import numpy as np

from tests.conftest import SMALL
from tests.training.judged import recipe
from training.backtest import evaluate_all
from training.frame import Frame
from training.judged import judged_table
from training.pipeline import Trained
from training.promotion.checks import Rules, decide
from training.timeline import Timeline

RULES = Rules(dates=1, people=200, resamples=200)


class Shuffled(Timeline):
    """Every user has the features of somebody else, drawn anew at each date."""

    def frame(self, as_of: object) -> Frame:
        frame = super().frame(as_of)  # type: ignore[arg-type]
        order = np.random.default_rng(0).permutation(len(frame.users))
        return replace(frame, matrix=replace(frame.matrix, x=frame.matrix.x[order]))


def test_a_model_of_shuffled_features_is_refused(trained: Trained, timeline: Timeline) -> None:
    shared = (timeline._snapshots, timeline._views, dict(timeline._frames))
    worse = judged_table(evaluate_all([Shuffled(timeline.tables, lambda _: None, *shared)], SMALL))
    good = judged_table(trained.evaluations)
    refused, passed = (
        [c.name for c in decide(good, each, recipe=recipe(), rules=RULES) if not c.passed] for each in (worse, good)
    )
    assert "average_precision overall" in refused
    # With its own features the same model is let through.
    assert not {"average_precision overall", "captured_at_5pct overall"} & {*passed}
