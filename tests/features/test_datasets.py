"""The shipped dataset files: each opens on its folder, and its rows add up to the raw ones."""

import pyarrow.parquet as pq
import pytest

from features.dataset import read_dataset
from features.engine import DuckDB
from features.intake.open_tables import open_tables
from tests.paths import REPO, SHARED

FOLDER = REPO / "features" / "datasets"
CASES = [
    # dataset file, folder, table -> (raw file, rows set aside), users
    (
        "foursquare",
        "foursquare-jakarta",
        {"orders": ("checkins", 0), "items": ("checkins", 237), "ties": ("friendships", 0)},
        5648,
    ),
    (
        "foursquare",
        "foursquare-saopaulo",
        {"orders": ("checkins", 0), "items": ("checkins", 0), "ties": ("friendships", 0)},
        3406,
    ),
    ("douban", "douban-music", {"orders": ("ratings", 0), "ties": ("follows", 1)}, 9501),
    ("ciao", "ciao", {"orders": ("ratings", 0), "items": ("ratings", 3), "ties": ("trust", 0)}, 2248),
    ("taobao-share", "taobao-share", {"share_responses": ("share_clicks", 0), "items": ("items", 0)}, 15453),
    ("cdnow", "cdnow", {"orders": ("orders", 0)}, 23570),
]


@pytest.mark.parametrize("name", sorted({case[0] for case in CASES}))
def test_a_file_is_named_after_its_dataset_and_its_test_dates_are_in_order(name: str) -> None:
    dataset = read_dataset(FOLDER / f"{name}.toml")
    assert dataset.name == name
    assert list(dataset.time.test_dates) == sorted(set(dataset.time.test_dates))


def test_every_shipped_file_is_tested() -> None:
    assert {path.stem for path in FOLDER.glob("*.toml")} == {case[0] for case in CASES}


@pytest.mark.parametrize(("name", "folder", "expected", "users"), CASES, ids=[case[1] for case in CASES])
def test_rows_add_up_to_the_raw_ones(name: str, folder: str, expected: dict[str, tuple[str, int]], users: int) -> None:
    if not (SHARED / folder).is_dir():
        pytest.skip(f"no research data at {SHARED / folder}")
    dataset = read_dataset(FOLDER / f"{name}.toml", root=SHARED / folder)
    tables, report = open_tables(dataset, DuckDB(threads=2))
    assert set(report.tables) == set(expected)
    for table, (raw, set_aside) in expected.items():
        found = report.tables[table]
        assert found.read == pq.read_metadata(SHARED / folder / f"{raw}.parquet").num_rows
        assert found.set_aside == set_aside
        assert found.read == found.repeats + found.kept + found.set_aside
    if "ties" in expected:
        ties = tables.tables["ties"]
        count = tables.engine.to_arrow(ties.aggregate(rows=ties.count())).column("rows")[0].as_py()
        assert count == report.tables["ties"].kept * (2 if dataset.tables["ties"].undirected else 1)
    assert report.users == users
    for as_of in dataset.time.test_dates:
        assert as_of + dataset.time.horizon <= tables.observed_until
