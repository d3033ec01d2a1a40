from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from features.errors import PromotionError
from tests.worlds import day, world
from training.frame import Frame
from training.judged import SERVED, judged_table
from training.promotion.later import judged_later, later_dates
from training.timeline import Timeline

# b follows a on day 24; horizon 10 days, window 5.
ORDERS = [
    {"user_id": user, "item_id": item, "ordered_at": day(at), "amount": 100}
    for user, item, at in (("a", "x", 1), ("b", "x", 21), ("a", "y", 21), ("b", "y", 24), ("c", "y", 45))
]
TIES = [{"user_id": "b", "influencer_id": "a"}]


def timeline() -> Timeline:
    return Timeline(world(orders=ORDERS, ties=TIES, until=day(50)))


def test_the_dates_follow_both_trainings_and_their_labels_are_closed() -> None:
    assert later_dates(timeline(), day(0)) == [day(20), day(30), day(40)]
    assert later_dates(timeline(), day(30)) == [day(30), day(40)]
    with pytest.raises(PromotionError, match=r"trained until 2024-02-10 12:00 and the data ends 2024-02-20 00:00: no label"):
        later_dates(timeline(), day(40.5))


def said(frame: Frame) -> Any:
    return SimpleNamespace(margin=np.arange(len(frame.users), dtype=float), churn=np.full(len(frame.users), 0.25))


def test_a_bundle_is_held_against_what_followed() -> None:
    bundle: Any = SimpleNamespace(hybrid=SimpleNamespace(said=said))
    found = judged_later(bundle, timeline(), [day(22), day(30)])
    first, second = found["koc"]
    assert (first.as_of, first.users.tolist(), first.relevance.tolist()) == (day(22), ["a", "b"], [1.0, 0.0])
    assert second.relevance.tolist() == [0.0, 0.0]
    assert first.scores[SERVED].tolist() == [0.0, 1.0]
    # a ordered nothing after day 22, b on day 24.
    assert found["churn"][0].relevance.tolist() == [1.0, 0.0]
    assert found["churn"][0].scores[SERVED].tolist() == [0.25, 0.25]
    assert len(judged_table(found)) == 8
