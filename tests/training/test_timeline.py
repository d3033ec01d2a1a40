from datetime import datetime, timedelta
from typing import Any

import pytest

from features.engine import DuckDB
from features.errors import ImmatureLabelError
from tests.training.frames import follower_ids
from tests.worlds import day, world
from training.timeline import Timeline

ORDERS = [
    {"user_id": "a", "item_id": "x", "ordered_at": day(1), "amount": 100},
    {"user_id": "b", "item_id": "x", "ordered_at": day(21), "amount": 300},
    {"user_id": "a", "item_id": "y", "ordered_at": day(21), "amount": 100},
    {"user_id": "b", "item_id": "y", "ordered_at": day(24), "amount": 500},
    {"user_id": "c", "item_id": "y", "ordered_at": day(29), "amount": 700},
    {"user_id": "d", "item_id": "y", "ordered_at": day(45), "amount": 700},
]
TIES = [{"user_id": "b", "influencer_id": "a"}, {"user_id": "c", "influencer_id": "b"}]


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def timeline(engine: DuckDB) -> Timeline:
    return Timeline(world(orders=ORDERS, ties=TIES, until=day(50), engine=engine))


def test_labels_are_what_happened_within_the_horizon(timeline: Timeline) -> None:
    # Horizon 10 days: a moved b on day 24; b's own follower c came on day 29, within the window of 5 days.
    assert timeline.matrix(day(22)).users.tolist() == ["a", "b"]
    labels = timeline.labels(day(22))
    assert labels.influence.tolist() == [1.0, 1.0]
    assert labels.influence_value.tolist() == [500.0, 700.0]
    assert labels.people_moved.tolist() == [1.0, 1.0]
    assert labels.churned.tolist() == [True, False]
    assert timeline.frame(day(22)).churn_population.tolist() == [True, True]


def test_the_churn_population_ordered_in_the_two_horizons_before(engine: DuckDB) -> None:
    # At day 22 the order of day 1 is older than two horizons, those of days 2 and 21 are not.
    orders = [{"user_id": user, "ordered_at": day(at)} for user, at in (("a", 1), ("b", 2), ("c", 21))]
    timeline = Timeline(world(orders=orders, until=day(50), engine=engine))
    assert timeline.frame(day(22)).churn_population.tolist() == [False, True, True]


def test_what_ties_carried_is_told_of_followers_who_had_not_acted_before(timeline: Timeline) -> None:
    ties = timeline.frame(day(22)).ties
    # Followers of a and of b: c, who had bought nothing by day 22, followed b on day 29 and is in no row of the users.
    assert ties.followers.tolist() == [1, 2]
    assert ties.strangers.to_pylist() == ["c"]
    assert timeline.labels(day(22)).follows.tolist() == [1.0, 1.0]


def test_ties_are_matched_by_both_ends(engine: DuckDB) -> None:
    # On day 24 b follows a, whom c and d may follow too; on day 26 a follows d in something else. e may follow nobody.
    bought = [("a", "x", 21), ("c", "w", 1), ("d", "y", 21.5), ("b", "x", 24), ("a", "y", 26), ("e", "x", 25)]
    orders = [{"user_id": user, "item_id": item, "ordered_at": day(at), "amount": 1} for user, item, at in bought]
    pairs = [("b", "a"), ("c", "a"), ("d", "a"), ("a", "b"), ("a", "d")]
    ties = [{"user_id": follower, "influencer_id": influencer} for follower, influencer in pairs]
    timeline = Timeline(world(orders=orders, ties=ties, until=day(50), engine=engine))
    frame, labels = timeline.frame(day(22)), timeline.labels(day(22))
    assert frame.users.tolist() == ["a", "c", "d"]
    found = zip(follower_ids(frame), frame.users[frame.ties.influencers], labels.follows, strict=True)
    # b had not acted: its own followers are nobody's yet.
    assert [*found] == [("b", "a", 1.0), ("c", "a", 0.0), ("d", "a", 0.0), ("a", "d", 1.0)]
    assert labels.influence.tolist() == [1.0, 0.0, 1.0]


def test_what_ties_carry_counts_from_the_date_until_before_the_end_of_the_horizon(engine: DuckDB) -> None:
    moments = [21.99, 22, 24, 31.99, 32]
    known = [f"{role}{n}" for role in ("leader", "mover") for n in range(len(moments))]
    orders = [{"user_id": user, "item_id": user, "ordered_at": day(1), "amount": 100} for user in known]
    for n, moment in enumerate(moments):
        for user, at in ((f"leader{n}", moment - 2), (f"mover{n}", moment)):
            orders.append({"user_id": user, "item_id": f"x{n}", "ordered_at": day(at), "amount": 100})
    ties = [{"user_id": f"mover{n}", "influencer_id": f"leader{n}"} for n in range(len(moments))]
    labels = Timeline(world(orders=orders, ties=ties, until=day(50), engine=engine)).labels(day(22))
    assert labels.follows.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert labels.influence.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0] + [0.0] * 5


def test_what_ties_carried_is_known_no_earlier_than_it_was_recorded(engine: DuckDB) -> None:
    late = [{**order, "recorded_at": order["ordered_at"]} for order in ORDERS]
    late[3]["recorded_at"] = day(40)
    timeline = Timeline(world(orders=late, ties=TIES, until=day(50), engine=engine))
    assert timeline.labels(day(22), known_at=day(32)).follows.tolist() == [0.0, 0.0]
    assert timeline.labels(day(22)).follows.tolist() == [1.0, 1.0]


def test_labels_know_no_more_than_the_date_of_use(engine: DuckDB) -> None:
    late = [{**order, "recorded_at": order["ordered_at"]} for order in ORDERS]
    late[3]["recorded_at"] = day(40)
    timeline = Timeline(world(orders=late, ties=TIES, until=day(50), engine=engine))
    assert timeline.labels(day(22), known_at=day(32)).influence.tolist() == [0.0, 0.0]
    assert timeline.labels(day(22)).influence.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("as_of", "known_at"), [(day(41), None), (day(22), day(31)), (day(45), day(60))])
def test_open_windows_are_refused(timeline: Timeline, as_of: datetime, known_at: datetime | None) -> None:
    with pytest.raises(ImmatureLabelError, match="choose a date up to 2024-"):
        timeline.labels(as_of, known_at)


def test_each_date_is_computed_once(timeline: Timeline) -> None:
    assert timeline.frame(day(22)) is timeline.frame(day(22))
    assert timeline.matrix(day(22)) is timeline.frame(day(22)).matrix
    assert timeline.snapshot(day(22)) is timeline.snapshot(day(22), people_as_of=day(30))


def test_people_of_a_label_are_those_known_at_its_date(engine: DuckDB) -> None:
    # On day 28 b and c turn out to be one person; on day 22 nobody knows.
    same = [{"user_id": user, "kind": "phone", "value": "1", "valid_from": day(28)} for user in ("b", "c")]
    timeline = Timeline(world(orders=ORDERS, ties=TIES, identities=same, until=day(50), engine=engine))
    assert timeline.labels(day(22)).influence.tolist() == [1.0, 1.0]
    assert timeline.matrix(day(40)).users.tolist() == ["a", "b"]


def test_training_dates_start_with_the_orders(engine: DuckDB) -> None:
    # Joins of the club reach back two years: no order of that time could make a label.
    joined = [{"user_id": "a", "joined_at": day(-700)}, {"user_id": "b", "joined_at": day(-400), "inviter_id": "a"}]
    timeline = Timeline(world(orders=ORDERS, memberships=joined, until=day(50), engine=engine))
    assert timeline.first_event(day(50)) == day(1)
    assert timeline.training_dates(day(50), 6) == [day(40), day(30), day(20), day(10)]
    assert timeline.training_dates(day(16), 6) == [day(6)]
    assert timeline.training_dates(day(15.9), 6) == []
    assert timeline.default_test_dates() == [day(20), day(30), day(40)]


def test_training_dates_may_overlap(timeline: Timeline) -> None:
    assert timeline.training_dates(day(50), 3, 2) == [day(40), day(35), day(30)]


def test_an_order_that_is_not_known_yet_starts_no_history(engine: DuckDB) -> None:
    orders = [{**ORDERS[0], "recorded_at": day(45)}, *({**order, "recorded_at": None} for order in ORDERS[1:])]
    timeline = Timeline(world(orders=orders, until=day(50), engine=engine))
    assert timeline.first_event(day(40)) == day(21)
    assert timeline.first_event(day(50)) == day(1)
    assert timeline.first_event(day(20)) is None
    assert timeline.training_dates(day(20), 6) == []


def test_responses_start_the_history_where_there_are_no_orders(engine: DuckDB) -> None:
    responses = [{"sharer_id": "a", "responder_id": "b", "responded_at": day(at)} for at in (3, 60)]
    timeline = Timeline(world(share_responses=responses, until=day(60), engine=engine))
    assert timeline.first_event(day(60)) == day(3)
    assert timeline.training_dates(day(60), 2) == [day(50), day(40)]


ORDER = {"user_id": "a", "ordered_at": day(1)}
MEMBER = {"user_id": "a", "group_buy_id": "g", "joined_at": day(1)}
GROUP = {"initiator_id": "b", "group_buy_id": "g", "opened_at": day(1)}
RESPONSE = {"sharer_id": "a", "responder_id": "b", "responded_at": day(1)}


@pytest.mark.parametrize(
    ("tables", "influence", "churn"),
    [
        ({"orders": [ORDER]}, False, True),
        ({"orders": [ORDER], "ties": TIES}, False, True),
        ({"orders": [{**ORDER, "item_id": "x"}], "ties": TIES}, True, True),
        ({"orders": [{**ORDER, "referrer_id": "b"}]}, True, True),
        ({"share_responses": [RESPONSE]}, True, False),
        ({"orders": [ORDER], "memberships": [{"user_id": "a", "joined_at": day(1)}]}, False, True),
        ({"orders": [ORDER], "memberships": [{"user_id": "a", "inviter_id": "b", "joined_at": day(1)}]}, True, True),
        ({"orders": [ORDER], "group_buy_members": [MEMBER]}, False, True),
        ({"orders": [ORDER], "group_buy_members": [MEMBER], "group_buys": [GROUP]}, True, True),
    ],
)
def test_what_the_tables_allow(engine: DuckDB, tables: dict[str, Any], influence: bool, churn: bool) -> None:
    timeline = Timeline(world(engine=engine, until=day(1) + timedelta(days=1), **tables))
    assert (timeline.has_influence, timeline.has_churn) == (influence, churn)
