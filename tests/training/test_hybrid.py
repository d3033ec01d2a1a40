"""What all models of influence and churn have in common, and how the served one joins them."""

from collections.abc import Callable

import numpy as np
import pytest

from features.engine import DuckDB
from tests.busy import DAYS, busy_rows, busy_world
from tests.conftest import SMALL
from tests.worlds import day, world
from training.bundle import Bundle
from training.folds import Panel, training_folds
from training.frame import Frame
from training.hybrid import Hybrid, churn_view, columns_of, fit_hybrid, gnn_outputs, ranker_view, stacked, tie_view
from training.matrix import Floats
from training.pipeline import Trained
from training.timeline import Timeline

USERS = 200
"""Enough for trees to part them, and for ties that carried anything."""

MODELS: dict[str, Callable[[Hybrid, Frame], Floats | None]] = {
    "ranker": lambda hybrid, frame: hybrid.ranker and hybrid.ranker.margin(frame),
    "ties": lambda hybrid, frame: hybrid.ties and hybrid.ties.margin(frame),
    "gnn": lambda hybrid, frame: hybrid.gnn.margin(frame),
    "gnn, churn": lambda hybrid, frame: hybrid.gnn.outputs(frame)[:, 1],
    "hybrid": lambda hybrid, frame: hybrid.said(frame).margin,
    "churn": lambda hybrid, frame: hybrid.churn and hybrid.churn.probability(frame),
}


def values(model: str, hybrid: Hybrid, frame: Frame) -> Floats:
    found = MODELS[model](hybrid, frame)
    assert found is not None
    return found


def fitted(timeline: Timeline) -> Hybrid:
    return fit_hybrid(panel_of(timeline), SMALL, influence=timeline.has_influence, churn=timeline.has_churn)


def panel_of(timeline: Timeline) -> Panel:
    return Panel.of(training_folds(timeline, day(60), SMALL), SMALL)


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


@pytest.fixture(scope="module")
def busy(engine: DuckDB) -> Timeline:
    return Timeline(busy_world("orders", "ties", "share_responses", users=USERS, engine=engine))


@pytest.fixture(scope="module")
def hybrid(busy: Timeline) -> Hybrid:
    return fitted(busy)


@pytest.fixture(scope="module")
def again(engine: DuckDB) -> tuple[Hybrid, Frame]:
    """The same world in another order of rows: its models and the frame that they score."""
    rows, rng = busy_rows(users=USERS), np.random.default_rng(0)
    turned = {name: [table[place] for place in rng.permutation(len(table))] for name, table in rows.items()}
    timeline = Timeline(world(engine=engine, until=day(DAYS), **turned))
    return fitted(timeline), timeline.frame(day(60))


@pytest.mark.parametrize("model", MODELS)
def test_models_give_one_finite_number_for_each_user(busy: Timeline, hybrid: Hybrid, model: str) -> None:
    frame = busy.frame(day(60))
    found = values(model, hybrid, frame)
    assert found.shape == frame.users.shape
    assert np.isfinite(found).all()
    assert len(np.unique(found)) > 20


@pytest.mark.parametrize("model", MODELS)
def test_models_do_not_depend_on_the_order_of_rows(
    busy: Timeline, hybrid: Hybrid, again: tuple[Hybrid, Frame], model: str
) -> None:
    # Fitted again, so that this shows too that a seed gives the same models.
    other, frame = again
    assert frame.users.tolist() == busy.frame(day(60)).users.tolist()
    np.testing.assert_array_equal(values(model, other, frame), values(model, hybrid, busy.frame(day(60))))


@pytest.mark.parametrize("model", MODELS)
def test_models_come_back_from_a_bundle(
    trained: Trained, timeline: Timeline, tmp_path_factory: pytest.TempPathFactory, model: str
) -> None:
    folder = tmp_path_factory.mktemp("bundle")
    loaded, frame = Bundle.load(trained.bundle.save(folder)), timeline.frame(trained.bundle.as_of)
    found = values(model, loaded.hybrid, frame)
    np.testing.assert_allclose(found, values(model, trained.bundle.hybrid, frame), atol=1e-6)
    assert np.isfinite(found).all()
    assert found.shape == frame.users.shape


@pytest.fixture(scope="module")
def young(engine: DuckDB) -> Frame:
    """A world half a day old: two customers with one order each, and nobody tied to anybody."""
    orders = [{"user_id": user, "item_id": "x", "ordered_at": day(59.5), "amount": 1} for user in ("new", "newer")]
    ties = [{"user_id": "somebody", "influencer_id": "else"}]
    shared = [{"sharer_id": "new", "responder_id": "newer", "item_id": "x", "action": "click", "responded_at": day(61)}]
    tables = world(orders=orders, ties=ties, share_responses=shared, until=day(80), engine=engine)
    return Timeline(tables).frame(day(60))


@pytest.mark.parametrize("model", MODELS)
def test_models_bear_users_of_whom_nothing_is_known(hybrid: Hybrid, young: Frame, model: str) -> None:
    assert len(young.users) == 2
    assert len(young.ties) == 0
    assert np.isfinite(values(model, hybrid, young)).all()


def test_what_the_hybrid_says_is_what_its_models_say(busy: Timeline, hybrid: Hybrid) -> None:
    frame = busy.frame(day(60))
    said = hybrid.said(frame)
    some = np.arange(len(frame.users)) % 3 == 0
    of_some = hybrid.said(frame, some)
    for mine, theirs in ((of_some.margin, said.margin), (of_some.churn, said.churn)):
        assert mine is not None
        assert theirs is not None
        np.testing.assert_allclose(mine, theirs[some], rtol=1e-9)
    assert hybrid.stack
    assert set(said.views) == set(hybrid.stack.views) == {"lightgbm", "ties", "gnn"}
    for view, model in {"lightgbm": "ranker", "ties": "ties", "gnn": "gnn"}.items():
        np.testing.assert_array_equal(said.views[view], values(model, hybrid, frame))
    weighed = sum(weight * said.views[view] for view, weight in zip(hybrid.stack.views, hybrid.stack.weights, strict=True))
    np.testing.assert_allclose(said.margin, weighed + hybrid.stack.bias, atol=1e-9)
    assert said.follow_ups is not None
    assert said.follow_ups.shape == frame.ties.followers.shape
    assert hybrid.churn
    np.testing.assert_array_equal(said.churn, hybrid.churn.probability(frame))


def test_the_stack_learns_from_what_was_said_of_people_unseen(busy: Timeline, hybrid: Hybrid) -> None:
    panel = panel_of(busy)
    columns = columns_of(panel.frames[0].matrix)
    ties = tie_view(panel, SMALL)
    assert ties
    unseen = {
        "lightgbm": ranker_view(panel, columns, SMALL).unseen,
        "ties": ties.unseen,
        "gnn": gnn_outputs(panel, columns, SMALL)[1][:, 0],
    }
    assert {view.shape for view in unseen.values()} == {panel.influence.shape}
    assert stacked(unseen, panel) == hybrid.stack


def test_churn_is_learned_from_members_of_the_churn_population(busy: Timeline) -> None:
    panel = panel_of(busy)
    known = np.concatenate([frame.churn_population for frame in panel.frames])
    assert 0 < known.sum() < len(known)
    _, odds = churn_view(panel, columns_of(panel.frames[0].matrix), SMALL)
    assert odds.shape == (known.sum(),)


def test_own_history_reads_no_feature_of_the_graph(busy: Timeline) -> None:
    matrix = busy.matrix(day(60))
    own, both = columns_of(matrix, ("own",)), columns_of(matrix)
    assert both == matrix.columns
    assert own == both[: len(own)]
    assert {"shared_with", "pagerank_log", "followers_sum_followers"} <= set(both) - set(own)


@pytest.mark.parametrize(
    ("tables", "lacking"),
    [(("orders", "ties"), ()), (("share_responses",), ("churn",)), (("orders",), ("ranker", "ties", "stack"))],
)
def test_models_come_with_what_the_tables_tell(engine: DuckDB, tables: tuple[str, ...], lacking: tuple[str, ...]) -> None:
    timeline = Timeline(busy_world(*tables, users=USERS, engine=engine))
    hybrid = fitted(timeline)
    for name in ("ranker", "stack", "churn"):
        assert (getattr(hybrid, name) is None) == (name in lacking)
    said = hybrid.said(timeline.frame(day(60)))
    assert (said.margin is None) == ("stack" in lacking)
    assert (said.churn is None) == ("churn" in lacking)
    assert np.isfinite(said.views["gnn"]).all()


def test_few_follow_ups_leave_the_tie_model_out(engine: DuckDB) -> None:
    rows = busy_rows(users=USERS)
    few = Timeline(world(orders=rows["orders"], ties=rows["ties"][:40], until=day(DAYS), engine=engine))
    assert panel_of(few).influence.any()
    hybrid = fitted(few)
    assert hybrid.ties is None
    assert hybrid.stack
    assert hybrid.stack.views == ("lightgbm", "gnn")
    said = hybrid.said(few.frame(day(60)))
    assert said.margin is not None
    assert np.isfinite(said.margin).all()
