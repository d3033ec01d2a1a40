"""Spark and the embedded engine tell the same of three datasets: ledger and labels exactly, the rest to 1e-6."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.blocks.all import ALL_BLOCKS
from features.dataset import Dataset, read_dataset
from features.engine import DuckDB, Engine
from features.engine_spark import Spark
from features.intake.open_tables import open_tables
from features.intake.quality import QualityReport
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from serving.category_record import category_record
from serving.communities import communities_of
from serving.evidence import evidence_of
from serving.kpis import kpis
from serving.scores import explained, score_users, tie_scores, user_facts
from tests.paths import REPO, SHARED
from training.folds import Panel, training_folds
from training.hybrid import Hybrid, fit_hybrid
from training.settings import TrainSettings
from training.timeline import Timeline

pytestmark = pytest.mark.spark

SMALL = TrainSettings(dates=1, groups=2, rounds=10, width=8, epochs=2, threads=1, resamples=100)
PEOPLE = 300


@dataclass(frozen=True)
class Both:
    """One dataset on each engine, and models fitted on the embedded one."""

    dataset: Dataset
    reports: tuple[QualityReport, QualityReport]
    timelines: tuple[Timeline, Timeline]
    hybrid: Hybrid

    @property
    def as_of(self) -> datetime:
        return self.dataset.time.test_dates[-1]


def market(folder: Path) -> Dataset:
    return read_dataset(simulate_market(MarketSettings(users=PEOPLE, days=150, seed=1), folder))


def jakarta(folder: Path) -> Dataset:
    ties = pq.read_table(SHARED / "foursquare-jakarta" / "friendships.parquet")
    visits = pq.read_table(SHARED / "foursquare-jakarta" / "checkins.parquet")
    # Friends of many, so that enough of them move somebody.
    counted = ties.group_by("u").aggregate([("v", "count")]).sort_by([("v_count", "descending"), ("u", "ascending")])
    chosen = counted["u"][:PEOPLE].combine_chunks()
    pq.write_table(
        ties.filter(pc.and_(pc.is_in(ties["u"], chosen), pc.is_in(ties["v"], chosen))), folder / "friendships.parquet"
    )
    pq.write_table(visits.filter(pc.is_in(visits["user"], chosen)), folder / "checkins.parquet")
    return read_dataset(REPO / "features" / "datasets" / "foursquare.toml", root=folder)


def taobao(folder: Path) -> Dataset:
    clicks = pq.read_table(SHARED / "taobao-share" / "share_clicks.parquet")
    counted = clicks.group_by("inviter_id").aggregate([("item_id", "count")])
    chosen = counted.sort_by([("item_id_count", "descending"), ("inviter_id", "ascending")])["inviter_id"][:PEOPLE]
    pq.write_table(clicks.filter(pc.is_in(clicks["inviter_id"], chosen.combine_chunks())), folder / "share_clicks.parquet")
    items = pq.read_table(SHARED / "taobao-share" / "items.parquet")
    pq.write_table(items, folder / "items.parquet")
    return read_dataset(REPO / "features" / "datasets" / "taobao-share.toml", root=folder)


@pytest.fixture(scope="module", params=[market, jakarta, taobao], ids=lambda make: make.__name__)
def both(request: pytest.FixtureRequest, spark: Spark, tmp_path_factory: pytest.TempPathFactory) -> Both:
    make: Callable[[Path], Dataset] = request.param
    if make is not market and not SHARED.is_dir():
        pytest.skip(f"no research data at {SHARED}")
    dataset = make(tmp_path_factory.mktemp(make.__name__))
    engines: tuple[Engine, Engine] = (DuckDB(threads=1), spark)
    opened = [open_tables(dataset, engine, blocks=ALL_BLOCKS) for engine in engines]
    here, there = (Timeline(tables) for tables, _ in opened)
    folds = training_folds(here, dataset.time.test_dates[-1], SMALL)
    hybrid = fit_hybrid(Panel.of(folds, SMALL), SMALL, influence=here.has_influence, churn=here.has_churn)
    return Both(dataset, (opened[0][1], opened[1][1]), (here, there), hybrid)


def rows(timeline: Timeline, table: ir.Table) -> pa.Table:
    found = timeline.tables.engine.to_arrow(table)
    return found.sort_by([(name, "ascending") for name in found.column_names])


def near(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> None:
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=0, equal_nan=True)


def alike(one: pa.Table, other: pa.Table) -> None:
    assert one.schema.remove_metadata() == other.schema.remove_metadata()
    assert len(one) == len(other)
    for name in one.column_names:
        if pa.types.is_floating(one[name].type):
            near(*(pc.fill_null(table[name], float("nan")).to_numpy() for table in (one, other)))
        else:
            assert one[name].to_pylist() == other[name].to_pylist(), name


def test_the_same_rows_are_read_and_the_same_is_found_wrong(both: Both) -> None:
    assert both.reports[0].to_json() == both.reports[1].to_json()


def test_the_ledger_is_the_same(both: Both) -> None:
    one, other = (rows(timeline, timeline.snapshot(both.as_of)["ledger"]) for timeline in both.timelines)
    assert len(one) > 0
    assert one.schema.remove_metadata() == other.schema.remove_metadata()
    assert one.equals(other)


def test_labels_are_the_same(both: Both) -> None:
    one, other = (timeline.labels(both.as_of) for timeline in both.timelines)
    for name in ("influence", "influence_value", "people_moved", "churned", "follows"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), name)
    assert one.influence.sum() > 0


def test_features_of_users_and_ties_are_the_same(both: Both) -> None:
    one, other = (timeline.frame(both.as_of) for timeline in both.timelines)
    assert one.matrix.columns == other.matrix.columns
    assert list(one.users) == list(other.users)
    for number, column in enumerate(one.matrix.columns):
        np.testing.assert_allclose(one.matrix.x[:, number], other.matrix.x[:, number], rtol=1e-6, atol=0, err_msg=column)
    assert one.ties.columns == other.ties.columns
    assert one.people.equals(other.people)
    np.testing.assert_array_equal(one.ties.followers, other.ties.followers)
    np.testing.assert_array_equal(one.ties.influencers, other.ties.influencers)
    near(one.ties.select(one.ties.columns), other.ties.select(other.ties.columns))
    np.testing.assert_array_equal(one.churn_population, other.churn_population)


def test_d80_all_that_a_batch_holds_is_the_same(both: Both) -> None:
    one, other = (batch(both.hybrid, timeline, both.as_of) for timeline in both.timelines)
    assert len(one["scores"]) > 0
    for name, table in one.items():
        alike(table, other[name])


def batch(hybrid: Hybrid, timeline: Timeline, as_of: datetime) -> dict[str, pa.Table]:
    frame, snapshot = timeline.frame(as_of), timeline.snapshot(as_of)
    said = hybrid.said(frame)
    users, ties = score_users(hybrid, frame, said, user_facts(frame, snapshot)), tie_scores(frame, said)
    evidence = evidence_of(snapshot, explained(users))
    return {
        "scores": users,
        "categories": category_record(snapshot).read_all(),
        "ties": ties,
        "follow_ups": evidence.follow_ups,
        "next_items": evidence.next_items,
        "communities": communities_of(frame, said, snapshot, users, ties),
        "kpis": kpis(snapshot, users),
    }
