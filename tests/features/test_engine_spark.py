"""Spark: expressions mean what they mean on the embedded engine; what it lacks is named; no file is half written."""

import importlib.util
import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import ibis
import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.engine import DuckDB
from features.engine_spark import Spark
from features.errors import EngineError
from tests.paths import REPO

ROWS = pa.table(
    {
        "user_id": ["a", "b", None],
        "at": pa.array([datetime(2024, 1, 1, 3, 4, 5, 600_000), datetime(1999, 7, 1), None], pa.timestamp("us")),
        "count": pa.array([1, 7, None], pa.int64()),
        "price": [0.5, 2.5, None],
    }
)

SAME: dict[str, Callable[[ir.Table], ir.Table]] = {
    "time of day": lambda t: t.select(day=t["at"].truncate("D"), later=t["at"] + ibis.interval(seconds=5)),
    "hour and weekday": lambda t: t.select(hour=t["at"].hour(), weekday=t["at"].day_of_week.index()),
    "seconds with their fraction": lambda t: t.select(days=t["at"].epoch_seconds() / 86_400),
    "a moment given": lambda t: t.filter(t["at"] >= datetime(2024, 1, 1, 3, 4, 5, 600_000)).select("user_id"),
    "a count of nothing": lambda t: t.group_by("user_id").agg(many=t.count(where=t["count"] > 3)),
    "a double given": lambda t: t.select(part=t.price * 0.123456789123 / (t["count"] + 1.0)),
    "the nearest integer": lambda t: t.select(whole=t.price.cast("int64"), third=t["count"] // 3),
    "words": lambda t: t.select(number=("lv12" + t.user_id).re_extract(r"(\d{1,9})", 1)),
    "the first of each": lambda t: t.group_by("user_id").agg(first=t["count"].argmin(t["at"]), half=t.price.median()),
    "one row for several": lambda t: t.mutate(slot=ibis.array([t["count"] - 1, t["count"]]).unnest()),
    "nothing": lambda t: t.mutate(at=ibis.null("timestamp(6)"), name=ibis.null("string"), code=ibis.literal(5, "int8")),
}


@pytest.mark.spark
@pytest.mark.parametrize("case", SAME)
def test_expressions_mean_what_they_mean_on_the_embedded_engine(spark: Spark, case: str) -> None:
    told = []
    for engine in (DuckDB(threads=1), spark):
        rows = engine.to_arrow(engine.materialise(SAME[case](engine.from_arrow(ROWS))))
        told.append((rows.schema.remove_metadata(), sorted(rows.to_pylist(), key=str)))
    assert told[0] == told[1]


@pytest.mark.spark
def test_a_step_is_not_planned_again(spark: Spark) -> None:
    step = spark.materialise(spark.from_arrow(ROWS).mutate(dice=ibis.random()))
    plan = spark._frame(step)._jdf.queryExecution().logical().toString()
    assert "Random" not in plan
    assert "rand(" not in plan


@pytest.mark.spark
def test_a_file_that_cannot_be_finished_leaves_the_old_one(spark: Spark, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    spark.write_parquet(spark.from_arrow(ROWS), path)
    broken = spark.from_arrow(ROWS).mutate(failed=ibis._["count"] // (ibis._["count"] - ibis._["count"]))
    with pytest.raises(Exception, match="DIVIDE_BY_ZERO"):
        spark.write_parquet(broken, path)
    assert pq.read_table(path).num_rows == 3
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
import pyarrow as pa
from tests import sparks

engine, path = sparks.start(), Path(sys.argv[1])
for rows in range(1_000, 1_000_000, 1_000):
    engine.write_parquet(engine.from_arrow(pa.table({"row": range(rows)})), path)
    print(rows, flush=True)
"""


@pytest.mark.spark
def test_a_run_that_is_killed_leaves_whole_files_only_and_a_rerun_goes_on(spark: Spark, tmp_path: Path) -> None:
    path = tmp_path / "out.parquet"
    with subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, cwd=REPO) as child:
        assert child.stdout is not None
        for _ in range(3):
            finished = int(child.stdout.readline())
        time.sleep(random.uniform(0, 0.3))
        child.kill()
    left = pq.read_table(path)["row"].to_pylist()
    assert len(left) >= finished
    assert len(left) % 1_000 == 0
    assert sorted(left) == list(range(len(left)))
    assert engine_rows(spark, path) == sorted(left)
    spark.write_parquet(spark.from_arrow(pa.table({"row": range(10)})), path)
    assert engine_rows(spark, path) == list(range(10))


def engine_rows(engine: Spark, path: Path) -> list[int]:
    return sorted(engine.to_arrow(engine.read_parquet(path))["row"].to_pylist())


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_the_folder_of_steps_goes_with_the_engine() -> None:
    engine = Spark(threads=2)
    engine.from_arrow(ROWS)
    folder = engine._scratch
    assert any(folder.iterdir())
    del engine
    assert not folder.exists()


def test_without_java_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    with pytest.raises(
        EngineError, match=r"needs Java 17, but no java is on the PATH; install it \(apt-get install openjdk"
    ):
        Spark()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(EngineError, match=f"JAVA_HOME={tmp_path} holds no bin/java"):
        Spark()


def test_without_pyspark_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(EngineError, match=r"needs pyspark, which is not installed; pip install 'kocscout\[spark\]'"):
        Spark()


@pytest.mark.spark
@pytest.mark.usefixtures("spark")
def test_settings_that_cannot_be_used_are_refused() -> None:
    with pytest.raises(EngineError, match=r"spark\.sql\.session\.timeZone stays UTC"):
        Spark(options={"spark.sql.session.timeZone": "Asia/Shanghai"})
    with pytest.raises(EngineError, match="'50%' as an amount of memory; write it in whole units, as 6GB"):
        Spark(memory_limit="50%")
