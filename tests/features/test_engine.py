"""Every engine: tables in, expressions computed, rows out, nothing left behind."""

import gc
import time
from collections import deque
from pathlib import Path

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.engine import DuckDB, Engine
from features.errors import EngineError

ROWS = pa.table({"user_id": ["a", None, "c"], "amount": pa.array([1, None, 2**62], pa.int64())})


@pytest.fixture(scope="module", params=["duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def engine(request: pytest.FixtureRequest) -> Engine:
    return DuckDB(threads=1) if request.param == "duckdb" else request.getfixturevalue("spark")


def sorted_rows(engine: Engine, expression: ibis.expr.types.Table) -> list[dict[str, object]]:
    return sorted(engine.to_arrow(expression).to_pylist(), key=str)


def test_rows_come_back_as_they_were_with_their_nulls(engine: Engine) -> None:
    assert sorted_rows(engine, engine.from_arrow(ROWS)) == sorted(ROWS.to_pylist(), key=str)
    assert engine.to_arrow(engine.from_arrow(ROWS)).schema.types == [pa.string(), pa.int64()]


def test_rows_are_streamed_in_their_order(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("features.engine", "features.engine_spark"):
        monkeypatch.setattr(f"{module}.ROWS_AT_ONCE", 2_048)
    count = 300_007
    rows = pa.table({"n": [n * 7_919 % count for n in range(count)], "id": pa.array(map(str, range(count)))})
    engines = [engine, DuckDB(threads=4)] if isinstance(engine, DuckDB) else [engine]
    for one in engines:
        parts = [*one.stream(one.from_arrow(rows).order_by("n"))]
        assert max(map(len, parts)) <= 2_048
        assert pa.Table.from_batches(parts).equals(rows.sort_by("n"))
        assert [*one.stream(one.from_arrow(rows).filter(lambda t: t.n < 0))] == []


def test_times_are_utc_whatever_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        engine = DuckDB(threads=1)
        table = engine.from_arrow(pa.table({"at": pa.array([86_400_000_000], pa.timestamp("us"))}))
        found = engine.to_arrow(table.mutate(day=table["at"].day(), s=table["at"].epoch_seconds().cast("int64")))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found.to_pylist()[0]["day"] == 2
    assert found.to_pylist()[0]["s"] == 86_400


def test_a_parquet_file_and_a_folder_of_them_are_read(engine: Engine, tmp_path: Path) -> None:
    pq.write_table(ROWS.slice(0, 1), tmp_path / "part-0.parquet")
    pq.write_table(ROWS.slice(1), tmp_path / "part-1.parquet")
    assert sorted_rows(engine, engine.read_parquet(tmp_path)) == sorted(ROWS.to_pylist(), key=str)
    assert sorted_rows(engine, engine.read_parquet(tmp_path / "part-0.parquet")) == [{"user_id": "a", "amount": 1}]


def test_what_is_written_is_read_again(engine: Engine, tmp_path: Path) -> None:
    engine.write_parquet(engine.from_arrow(ROWS), tmp_path / "out.parquet")
    assert sorted(pq.read_table(tmp_path / "out.parquet").to_pylist(), key=str) == sorted(ROWS.to_pylist(), key=str)


def test_a_materialised_table_is_computed_once(engine: Engine) -> None:
    table = engine.from_arrow(ROWS)
    lazy = table.mutate(dice=ibis.random())
    kept = engine.materialise(lazy)
    assert sorted_rows(engine, kept) == sorted_rows(engine, kept)
    assert sorted_rows(engine, lazy) != sorted_rows(engine, lazy)


def test_equal_names_do_not_meet(engine: Engine) -> None:
    first, second = (engine.materialise(engine.from_arrow(ROWS.slice(n, 1))) for n in (0, 2))
    assert sorted_rows(engine, first) == [{"user_id": "a", "amount": 1}]
    assert sorted_rows(engine, second) == [{"user_id": "c", "amount": 2**62}]


def test_limits_are_set_and_the_spill_folder_goes_with_the_engine() -> None:
    engine = DuckDB(memory_limit="1GB", threads=1)
    connection = engine._connection
    settings = {
        name: connection.raw_sql(f"SELECT current_setting('{name}')").fetchone()[0]
        for name in ("memory_limit", "threads", "temp_directory")
    }
    spill = Path(settings["temp_directory"])
    assert (settings["memory_limit"], settings["threads"]) == ("953.6 MiB", 1)
    assert spill.is_dir()
    del engine, connection
    gc.collect()
    assert not spill.exists()


def test_what_is_released_is_gone_and_the_rest_stays(engine: Engine) -> None:
    kept, given_back = engine.materialise(engine.from_arrow(ROWS)), engine.materialise(engine.from_arrow(ROWS))
    engine.release(given_back)
    assert len(engine.to_arrow(kept)) == 3
    with pytest.raises(Exception, match=r"does not exist|cannot be found"):
        engine.to_arrow(given_back)


def test_parts_are_computed_into_one_table(engine: Engine) -> None:
    rows = engine.from_arrow(ROWS)
    table = engine.materialise(rows.filter(rows.user_id == "c"), rows.filter(rows.user_id == "a"), in_order=True)
    assert sorted_rows(engine, table.select("user_id")) == [{"user_id": "a"}, {"user_id": "c"}]
    engine.release(table)


def test_a_resting_engine_gives_its_memory_back_and_keeps_its_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.engine.RESTING", "16MB")
    engine = DuckDB(memory_limit="256MB", threads=1)

    def held() -> int:
        found = engine._connection.raw_sql("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchone()
        return int(found[0])

    # Drawn, so that they cannot be written shorter.
    drawn = np.random.default_rng(0).integers(0, 2**40, 5_000_000)
    table = engine.materialise(engine.from_arrow(pa.table({"n": drawn})))
    awake = held()
    with engine.resting():
        assert held() <= 16_000_000 < awake
    assert engine.to_arrow(table.aggregate(n=table.n.sum()))["n"].to_pylist() == [drawn.sum()]
    assert held() > 16_000_000


def test_an_engine_of_little_memory_gets_no_more_of_it_by_resting() -> None:
    engine = DuckDB(memory_limit="200MB", threads=1)

    def limit() -> str:
        found = engine._connection.raw_sql("SELECT current_setting('memory_limit')").fetchall()
        return str(found[0][0])

    awake = limit()
    with engine.resting():
        assert limit() == awake
    assert limit() == awake


def test_an_engine_answers_at_once_whatever_it_is_asked_first() -> None:
    assert len(DuckDB(threads=1).to_arrow(ibis.memtable(ROWS))) == 3


def test_a_folder_for_temporary_files_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "the shop's"
    place.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(place))
    engine = DuckDB(threads=1)
    assert engine.to_arrow(engine.materialise(engine.from_arrow(ROWS))).equals(ROWS)


def test_what_does_not_fit_says_how_to_give_it_more() -> None:
    engine = DuckDB(memory_limit="20MB", threads=1)
    rows = engine.from_arrow(pa.table({"user_id": np.arange(300_000) % 100, "text": [f"{n:030d}" for n in range(300_000)]}))
    # Lists of all texts cannot be spilled.
    listed = rows.group_by("user_id").agg(texts=rows.text.collect())
    with pytest.raises(EngineError, match=r"more than its 20MB of memory.*--memory.*TMPDIR"):
        engine.materialise(listed)
    assert engine.to_arrow(rows.aggregate(rows=rows.count()))["rows"].to_pylist() == [300_000]


def test_what_does_not_fit_says_so_while_its_rows_are_streamed_too() -> None:
    engine = DuckDB(memory_limit="60MB", threads=1)
    engine._connection.raw_sql("SET max_temp_directory_size = '10MB'")
    numbers = np.arange(2_000_000)
    one, other = (
        engine.from_arrow(pa.table({"n": turned, name: turned})) for name, turned in (("a", numbers), ("b", -numbers))
    )
    wide = one.join(other.mutate(n=-other.n, text=other.b.cast("string").lpad(60, "x")), "n")
    with pytest.raises(EngineError, match=r"more than its 60MB of memory.*--memory.*TMPDIR"):
        deque(engine.stream(wide), maxlen=0)
    rows = engine.from_arrow(ROWS)
    with pytest.raises(Exception, match="Conversion Error") as failed:
        deque(engine.stream(rows.mutate(n=rows.user_id.cast("int64"))), maxlen=0)
    assert not isinstance(failed.value, EngineError)
