import errno
import gc
import os
from pathlib import Path

import numpy as np
import pytest

from features.errors import EngineError
from training.roomy import let_go, roomy


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
