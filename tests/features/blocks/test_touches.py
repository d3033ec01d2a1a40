from typing import Any

import pytest

from features.blocks.touches import touches
from tests.features.blocks.by_user import by_user, shared_engine
from tests.worlds import Rows, day, world


def answer(at: float, action: str = "click", who: str = "a") -> dict[str, Any]:
    return {"sharer_id": "s", "responder_id": who, "action": action, "responded_at": day(at)}


def found(answers: Rows, orders: Rows = (), outreach: Rows | None = None) -> dict[str, Any]:
    more = {} if outreach is None else {"outreach": outreach}
    bought = [*orders, {"user_id": "somebody", "ordered_at": day(1)}]
    return by_user(touches, world(engine=shared_engine(), share_responses=answers, orders=bought, **more)).get("a", {})


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_d50_every_day_with_a_touch_and_no_order_since_counts(times: int) -> None:
    seen = found([answer(31 + n) for n in range(times)])
    assert (seen["unpaid_touches"], seen["touches_all"]) == (times, times)
    assert seen["touch_idle_days"] == 40 - 31 - times + 1


def test_d50_an_order_sets_the_clock_back() -> None:
    answers = [answer(30), answer(31), answer(32), answer(34)]
    assert found(answers, [{"user_id": "a", "ordered_at": day(33)}])["unpaid_touches"] == 1
    # At the moment of the order a touch is paid.
    assert found(answers, [{"user_id": "a", "ordered_at": day(34)}])["unpaid_touches"] == 0
    assert found(answers, [{"user_id": "a", "ordered_at": day(29)}])["unpaid_touches"] == 4


def test_touches_of_one_local_day_are_one_and_a_purchase_is_none() -> None:
    assert found([answer(31.1), answer(31.2), answer(31.3, "help")])["touches_all"] == 1
    assert found([answer(31, "buy")]) == {}


def test_contacts_of_the_shop_touch_unless_they_were_held_back() -> None:
    sent = [{"campaign_id": "c", "user_id": "a", "arm": arm, "contacted_at": day(at)}
            for arm, at in (("contacted", 35), ("holdout", 36), (None, 37))]  # fmt: skip
    assert found([answer(31)], outreach=sent)["touches_all"] == 3
