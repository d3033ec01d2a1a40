from datetime import datetime

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa
import pytest

from features.engine import DuckDB, Engine
from features.prepare import prepare
from features.snapshot import take_snapshot
from features.tables import Tables
from features.tie_parts import Influencers, influencers_in_parts
from features.user_table import build_user_table
from tests.busy import busy_rows
from tests.training.frames import follower_ids
from tests.worlds import day, world
from training.frame import Frame, build_frame, place_among

ENGINE = DuckDB(threads=1)
AT = day(30)
ORDERS = [
    {"user_id": "b", "item_id": "y", "ordered_at": day(5), "amount": 100},
    {"user_id": "a", "item_id": "x", "ordered_at": day(1), "amount": 100},
    {"user_id": "b", "item_id": "x", "ordered_at": day(2), "amount": 100},
    {"user_id": "b", "item_id": "y", "ordered_at": day(28), "amount": 100},
    # Not known yet at day 30.
    {"user_id": "c", "item_id": "z", "ordered_at": day(31), "amount": 100},
]
TIES = [
    {"user_id": "b", "influencer_id": "z", "since": None},
    {"user_id": "c", "influencer_id": "a", "since": day(10)},
    {"user_id": "a", "influencer_id": "b", "since": None},
    {"user_id": "b", "influencer_id": "a", "since": day(20)},
]


def frame_at(tables: Tables, as_of: datetime = AT) -> Frame:
    snapshot = prepare(take_snapshot(tables, as_of))
    return build_frame(build_user_table(snapshot), snapshot)


@pytest.fixture(scope="module")
def frame() -> Frame:
    return frame_at(world(orders=ORDERS, ties=TIES, until=day(50), engine=ENGINE))


def test_ties_are_sorted_and_know_who_has_not_acted_yet(frame: Frame) -> None:
    assert frame.users.tolist() == ["a", "b"]
    # By influencer, then by follower: nobody has seen z act, and c has not acted yet.
    assert frame.ties.influencers.tolist() == [0, 0, 1]
    assert frame.ties.followers.tolist() == [1, 2, 0]
    assert frame.ties.strangers.to_pylist() == ["c"]
    assert follower_ids(frame) == ["b", "c", "a"]
    assert len(frame.ties) == 3


def test_features_of_ties_are_in_the_order_asked_for(frame: Frame) -> None:
    assert frame.ties.x.shape == (3, len(frame.ties.columns))
    assert frame.ties.x.dtype == np.float32
    # Days since the tie began, unknown for that without a date; b and a may follow each other.
    read = frame.ties.select(["mutual", "tie_days"])
    np.testing.assert_array_equal(read, np.array([[1, 10], [0, 20], [1, np.nan]], np.float32))
    np.testing.assert_array_equal(read[:, 0], frame.ties.x[:, frame.ties.columns.index("mutual")])


def test_purchases_are_of_users_by_subject_with_the_age_of_the_last(frame: Frame) -> None:
    assert frame.purchases
    # a: x; b: x and, on days 5 and 28, y.
    assert frame.purchases.users.tolist() == [0, 1, 1]
    assert frame.purchases.subjects.tolist() == [0, 0, 1]
    assert frame.purchases.age_days.tolist() == [29.0, 28.0, 2.0]


def test_the_churn_population_ordered_in_the_two_horizons_before(frame: Frame) -> None:
    # Horizon 10 days: the order of day 1 is too long ago at day 30.
    assert frame.churn_population.tolist() == [False, True]
    assert frame.horizon_days == 10
    assert frame.windows == tuple(sorted(frame.windows, key=lambda window: int(window[:-1])))
    assert "10d" in frame.windows


def test_without_ties_items_or_orders_there_is_nothing_of_them() -> None:
    orders = [{"user_id": row["user_id"], "ordered_at": row["ordered_at"]} for row in ORDERS]
    bare = frame_at(world(orders=orders, until=day(50), engine=ENGINE))
    assert (len(bare.ties), bare.purchases) == (0, None)
    assert bare.ties.x.shape == (0, len(bare.ties.columns))
    responses = [{"sharer_id": "a", "responder_id": "b", "responded_at": day(3)}]
    shared = frame_at(world(share_responses=responses, until=day(50), engine=ENGINE))
    # Whoever moved somebody is tied to them.
    assert follower_ids(shared) == ["b"]
    assert shared.ties.influencers.tolist() == [0]
    assert shared.churn_population.tolist() == [False, False]


def test_nothing_depends_on_the_order_of_rows() -> None:
    rows, rng = busy_rows(), np.random.default_rng(0)
    turned = {name: [table[place] for place in rng.permutation(len(table))] for name, table in rows.items()}
    assert_same(*(frame_at(world(until=day(80), engine=ENGINE, **tables), day(60)) for tables in (rows, turned)))


def test_a_user_table_is_read_once() -> None:
    snapshot = prepare(take_snapshot(world(orders=ORDERS, ties=TIES, until=day(50), engine=ENGINE), AT))
    table = build_user_table(snapshot)
    build_frame(table, snapshot)
    with pytest.raises(ValueError, match="read once"):
        build_frame(table, snapshot)


def test_nothing_depends_on_the_parts_in_which_ties_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    tables, parts = world(until=day(80), engine=ENGINE, **busy_rows()), []

    def told(ties: ir.Table, engine: Engine) -> list[Influencers]:
        parts.append(influencers_in_parts(ties, engine))
        return parts[-1]

    whole = frame_at(tables, day(60))
    monkeypatch.setattr("features.tie_parts.TIES_A_PART", 30)
    for reader in ("prepare", "user_table"):
        monkeypatch.setattr(f"features.{reader}.influencers_in_parts", told)
    assert_same(whole, frame_at(tables, day(60)))
    assert len(parts) == 2
    assert min(map(len, parts)) > 3


def assert_same(one: Frame, other: Frame) -> None:
    assert len(one.ties) > 100
    assert one.purchases
    assert other.purchases
    assert one.users.tolist() == other.users.tolist()
    assert one.people.equals(other.people)
    for mine, theirs in (
        (one.matrix.x, other.matrix.x),
        (one.ties.followers, other.ties.followers),
        (one.ties.influencers, other.ties.influencers),
        (one.ties.x, other.ties.x),
        (one.purchases.users, other.purchases.users),
        (one.purchases.subjects, other.purchases.subjects),
        (one.purchases.age_days, other.purchases.age_days),
        (one.churn_population, other.churn_population),
    ):
        assert mine.tobytes() == theirs.tobytes()


def test_places_of_ids() -> None:
    known = pa.array(["a", "b", "c"], pa.string())
    assert place_among(pa.array(["c", "z", "a"], pa.string()), known).tolist() == [2, -1, 0]
    assert place_among(pa.chunked_array([["c"], ["b"]], pa.string()), known).tolist() == [2, 1]
    assert place_among(pa.array([], pa.string()), known).tolist() == []


def test_purchases_older_than_the_lookback_are_no_edges() -> None:
    snapshot = prepare(take_snapshot(world(orders=ORDERS, ties=TIES, settings={"lookback": "20d"}, until=day(50)), AT))
    found = build_frame(build_user_table(snapshot), snapshot).purchases
    assert found is not None
    # Of b's two subjects x was bought on day 2 alone, y on day 28 again.
    assert [(user, age) for user, age in zip(found.users, found.age_days, strict=True)] == [(1, 2.0)]
