"""A shop that exports a file a day, read with what earlier days kept: the same as reading everything."""

from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from features.dataset import Dataset, read_dataset
from features.engine import DuckDB
from features.intake import kept as kept_parts
from features.intake.kept import land_kept
from features.intake.landing import Landed, land, map_table
from features.intake.open_tables import open_tables
from features.prepare import with_ledger
from features.schema import TABLES
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings
from features.snapshot import take_snapshot
from tests.files import dataset_of

START, DAYS = datetime(2024, 1, 1), 60
GROWING = ("orders", "share_responses")


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("market")
    return read_dataset(simulate_market(MarketSettings(users=300, days=DAYS), folder))


def exported(market: Dataset, folder: Path) -> Dataset:
    """The dataset with a folder of daily files for each table of ``GROWING``, none of which is there yet."""
    tables = dict(market.tables)
    for name in GROWING:
        (folder / name).mkdir(parents=True)
        tables[name] = tables[name].model_copy(update={"source": str(folder / name)})
    return market.model_copy(update={"tables": tables})


def export(market: Dataset, folder: Path, day: datetime) -> None:
    """Write what was recorded on one day: late rows come with the day on which the shop learned of them."""
    for name in GROWING:
        rows = pq.read_table(market.root / market.tables[name].source)
        clock = rows[TABLES[name].event_time]
        if "recorded_at" in rows.column_names:
            clock = pc.coalesce(rows["recorded_at"], clock)
        today = pc.and_(pc.greater_equal(clock, day), pc.less(clock, day + timedelta(days=1)))
        pq.write_table(rows.filter(today), folder / name / f"{day:%Y-%m-%d}.parquet")


def rows_of(landed: Landed) -> pa.Table:
    return pq.read_table(landed.path).sort_by("_row")


def test_incremental_equals_full_on_20_random_days(market: Dataset, tmp_path: Path) -> None:
    dataset = exported(market, tmp_path / "shop")
    looked_at = set(np.random.default_rng(0).choice(np.arange(20, DAYS), 20, replace=False).tolist())
    for number in range(max(looked_at) + 1):
        export(market, tmp_path / "shop", START + timedelta(days=number))
        if number not in looked_at:
            continue
        for name in GROWING:
            part, whole = tmp_path / f"{number}", tmp_path / f"{number}-full"
            for folder in (part, whole):
                folder.mkdir(exist_ok=True)
            mapped = map_table(dataset, name)
            grown, full = land_kept(dataset, mapped, part, tmp_path / "kept"), land(dataset, mapped, whole)
            assert (grown.rows, grown.unreadable, grown.rounded) == (full.rows, full.unreadable, full.rounded)
            assert rows_of(grown).equals(rows_of(full))
    assert full.rows > 100
    # All that comes after is made of these tables, so that one day speaks for the others.
    engines = [DuckDB(threads=1), DuckDB(threads=1)]
    ledgers, reports = [], []
    for engine, folder in zip(engines, (tmp_path / "kept", None), strict=True):
        tables, report = open_tables(dataset, engine, kept=folder)
        ledger = with_ledger(take_snapshot(tables, tables.observed_until))["ledger"]
        ledgers.append(engine.to_arrow(ledger.order_by(ledger.columns)))
        reports.append(report)
    assert ledgers[0].num_rows > 50
    assert ledgers[0].equals(ledgers[1])
    assert reports[0] == reports[1]


def orders(folder: Path, day: int, *ids: str) -> None:
    folder.mkdir(exist_ok=True)
    moment = datetime(2024, 1, day)
    pq.write_table(pa.table({"user_id": [*ids], "ordered_at": [moment] * len(ids)}), folder / f"{day}.parquet")


def landed(root: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], pa.Table]:
    """Names of the files that were read, and the rows."""
    read = []

    def seen(dataset, mapped, part, *rest):  # type: ignore[no-untyped-def]
        read.append(part.path.stem)
        land_part(dataset, mapped, part, *rest)

    land_part = kept_parts._land_part
    dataset = dataset_of(root, {"orders": {"source": "shop"}})
    scratch = root / f"scratch-{len([*root.iterdir()])}"
    scratch.mkdir()
    with monkeypatch.context() as patched:
        patched.setattr(kept_parts, "_land_part", seen)
        result = land_kept(dataset, map_table(dataset, "orders"), scratch, root / "kept")
    return read, rows_of(result)


def test_only_new_files_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(tmp_path / "shop", 1, "a", "b")
    assert landed(tmp_path, monkeypatch)[0] == ["1"]
    orders(tmp_path / "shop", 2, "c")
    read, rows = landed(tmp_path, monkeypatch)
    assert read == ["2"]
    assert rows["user_id"].to_pylist() == ["a", "b", "c"]
    assert rows["_row"].to_pylist() == [1, 2, 3]


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day, user in enumerate("abc", start=1):
        orders(tmp_path / "shop", day, user)
    landed(tmp_path, monkeypatch)
    orders(tmp_path / "shop", 2, "x")
    read, rows = landed(tmp_path, monkeypatch)
    assert read == ["2"]
    assert rows["user_id"].to_pylist() == ["a", "x", "c"]
    # With another row the numbers behind it change, by which a report names rows.
    orders(tmp_path / "shop", 2, "x", "y")
    read, rows = landed(tmp_path, monkeypatch)
    assert read == ["2", "3"]
    assert rows["user_id"].to_pylist() == ["a", "x", "y", "c"]
    assert rows["_row"].to_pylist() == [1, 2, 3, 4]


def test_a_file_that_is_gone_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(tmp_path / "shop", 1, "a")
    orders(tmp_path / "shop", 2, "b")
    landed(tmp_path, monkeypatch)
    (tmp_path / "shop" / "2.parquet").unlink()
    assert landed(tmp_path, monkeypatch)[1]["user_id"].to_pylist() == ["a"]
    assert len([*(tmp_path / "kept" / "orders").glob("*.parquet")]) == 1


def test_ids_rounded_in_most_files_are_marked_in_all_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orders(tmp_path / "shop", 1, "690123456789012345")
    orders(tmp_path / "shop", 2, "690123456789012000", "690123456789013000")
    first = landed(tmp_path, monkeypatch)
    assert [note is not None for note in first[1]["_rounded"].to_pylist()] == [False, True, True]
    again = landed(tmp_path, monkeypatch)
    assert again[0] == []
    assert again[1].equals(first[1])


def test_days_told_by_the_names_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for channel in ("app", "shop"):
        (tmp_path / "shop" / f"channel={channel}").mkdir(parents=True)
        orders(tmp_path / "shop" / f"channel={channel}", 1, "a")
    read, rows = landed(tmp_path, monkeypatch)
    assert read == ["1", "1"]
    assert rows["channel"].to_pylist() == ["app", "shop"]
