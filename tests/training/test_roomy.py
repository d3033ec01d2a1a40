import errno
import gc
import io
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from features.errors import EngineError
from training.churn import standings
from training.frame import Frame
from training.matrix import Matrix
from training.roomy import Appended, column_laid_out, laid_out, let_go, roomy, spooled


@pytest.fixture(params=[100, 10])
def rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """Of 20 cells, in memory or beyond."""
    monkeypatch.setattr("training.roomy.CELLS_IN_MEMORY", request.param)
    x = roomy((4, 5))
    x[:] = np.arange(20).reshape(4, 5)
    return x


def test_what_is_written_stays_when_it_is_let_go(rows: np.ndarray) -> None:
    let_go(rows)
    assert (rows.shape, rows.dtype) == ((4, 5), np.float32)
    assert rows.tolist() == np.arange(20.0).reshape(4, 5).tolist()
    assert rows[2:, [4, 0]].tolist() == [[14, 10], [19, 15]]


def test_a_large_array_leaves_memory_and_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    x = roomy((50, 1_000_000))
    x[:] = 1.0
    held = resident()
    let_go(x)
    assert held - resident() > 150_000_000
    assert x.sum(dtype=float) == 50_000_000
    assert not [*tmp_path.iterdir()]
    before = opened(tmp_path)
    del x
    gc.collect()
    assert before - opened(tmp_path) == 1


def test_large_arrays_are_in_memory_a_column_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []

    def told(x: np.ndarray) -> None:
        held.append(resident())
        let_go(x)

    for reader in ("matrix", "churn"):
        monkeypatch.setattr(f"training.{reader}.let_go", told)
    columns, users = tuple("abcdefghij"), np.arange(4_000_000)
    x = roomy((len(columns), len(users))).T
    x[:] = 1.0
    let_go(x)
    matrix = Matrix(users, x, columns, {"own": columns})
    before = resident()
    # A few rows of all columns, such as those of the users who are given reasons: 16 MB a column lie around them.
    assert matrix.select(columns, users[::200]).sum() == len(columns) * len(users) / 200
    assert max(held) - before < 50_000_000
    held.clear()
    frame = cast(Frame, SimpleNamespace(users=users, matrix=matrix, churn_population=users % 2 == 0))
    known = standings(frame, columns)
    # Values and ranks of one column take several times 16 MB, and are not among what is held where it is let go.
    assert np.nansum(known) == pytest.approx(len(columns) * len(users) / 4)
    assert max(held) - min(held) < 100_000_000


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def opened(folder: Path) -> int:
    """Mappings of files in ``folder``, deleted or not."""
    return Path("/proc/self/maps").read_text().count(str(folder))


def test_a_full_disk_is_an_error_and_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(EngineError, match=r"0\.2 GB for features do not fit into .* \(No space left on device\).*TMPDIR"):
        roomy((50, 1_000_000))


@pytest.mark.parametrize("fit", [100, 15])
def test_rows_that_are_appended_are_one_array(fit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.roomy.BYTES_IN_MEMORY", fit)
    wide, numbers = Appended(2), Appended(dtype=np.int32)
    for start in (0, 2):
        wide.append(np.arange(2.0 * start, 2 * start + 4).reshape(2, 2))
        numbers.append(np.arange(start, start + 2))
    for found, expected in ((wide.whole(), np.arange(8, dtype=np.float32).reshape(4, 2)), (numbers.whole(), np.arange(4))):
        assert isinstance(found, np.memmap) == (fit == 15)
        assert found.tolist() == expected.tolist()
    assert Appended(2).whole().shape == (0, 2)


def test_what_is_laid_out_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.roomy.BYTES_IN_MEMORY", 7)
    few, many, table = np.arange(7, dtype=np.int8), np.arange(4, dtype=np.uint16), np.arange(6.0).reshape(2, 3)[:, ::-1]
    assert laid_out(few) is few
    for values in (many, table):
        found = laid_out(values)
        assert isinstance(found, np.memmap)
        assert (found.dtype, found.tolist()) == (values.dtype, values.tolist())
    names = pa.chunked_array([["a", None], ["b", "c"]])
    assert column_laid_out(names).equals(names)
    assert column_laid_out(names).num_chunks == 1


@pytest.mark.parametrize("what", ["rows", "array", "column", "batches"])
def test_a_disk_that_is_full_later_is_an_error_too(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.BytesIO):
        def write(self, _: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", lambda **_: Full())
    numbers = np.arange(10_000_000)
    column = pa.chunked_array([numbers])
    ask = {
        "rows": lambda: Appended(1).append(np.ones((5, 1))),
        "array": lambda: laid_out(numbers),
        "column": lambda: column_laid_out(column),
        "batches": lambda: spooled(pa.table({"n": column}).to_batches(), pa.schema({"n": pa.int64()})),
    }
    with pytest.raises(EngineError, match=r"GB for features do not fit into .* \(No space left on device\).*TMPDIR"):
        ask[what]()


def test_an_error_of_who_tells_batches_is_not_one_of_the_disk() -> None:
    def told() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise OSError("Conversion Error: no number")

    with pytest.raises(OSError, match="no number"):
        spooled(told(), pa.schema({"n": pa.int64()}))


def test_batches_are_told_once_and_later() -> None:
    batches = [pa.record_batch({"n": [1, 2]}), pa.record_batch({"n": [3]})]
    assert spooled(iter(batches), batches[0].schema).read_all()["n"].to_pylist() == [1, 2, 3]
    assert spooled([], batches[0].schema).read_all().num_rows == 0
