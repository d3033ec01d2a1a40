import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from features.dataset import Dataset
from serving.sources import sources_token

NOW = datetime(2024, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    (tmp_path / "orders.csv").write_text("a")
    (tmp_path / "ties").mkdir()
    (tmp_path / "ties" / "1.parquet").write_text("b")
    (tmp_path / "crm.db").write_text("c")
    tables = {"orders": {"source": "orders.csv"}, "ties": {"source": "ties"},
              "attributes": {"source": "sqlite://crm.db", "table": "attributes"}}  # fmt: skip
    return Dataset.model_validate({"name": "shop", "root": tmp_path, "tables": tables})


def token(dataset: Dataset, now: datetime = NOW) -> str:
    return sources_token(dataset, now, HOUR)


def test_nothing_changed_is_one_token_however_late(dataset: Dataset) -> None:
    (dataset.root / "unrelated.csv").write_text("x")
    assert token(dataset) == token(dataset, NOW + timedelta(days=30))


@pytest.mark.parametrize("name", ["orders.csv", "ties/1.parquet", "crm.db"])
@pytest.mark.parametrize("how", ["longer", "later", "gone"])
def test_a_change_of_any_file_is_another_token(dataset: Dataset, name: str, how: str) -> None:
    before, path = token(dataset), dataset.root / name
    seen = path.stat()
    if how == "gone":
        path.unlink()
    elif how == "longer":
        path.write_text("longer")
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    else:
        os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + 1))
    assert token(dataset) != before


@pytest.mark.parametrize("name", ["ties/2.parquet", "crm.db-wal"])
def test_a_file_that_comes_is_another_token(dataset: Dataset, name: str) -> None:
    before = token(dataset)
    (dataset.root / name).write_text("new")
    assert token(dataset) != before


def test_other_settings_are_another_token(dataset: Dataset) -> None:
    assert token(dataset.model_copy(update={"zone": "Asia/Shanghai"})) != token(dataset)


def test_tables_of_a_server_are_read_again_after_a_while(dataset: Dataset) -> None:
    source = dataset.tables["ties"].model_copy(update={"source": "postgresql://db/crm", "table": "ties"})
    served = dataset.model_copy(update={"tables": {**dataset.tables, "ties": source}})
    assert token(served) == token(served, NOW + timedelta(minutes=59))
    assert token(served) != token(served, NOW + HOUR)
