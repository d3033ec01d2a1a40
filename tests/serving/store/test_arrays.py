from pathlib import Path

import numpy as np
import pytest

from serving.store.arrays import write_arrays
from training.roomy import let_go, roomy


def test_large_arrays_are_in_memory_one_at_a_time_while_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []

    def told(array: np.ndarray) -> None:
        held.append(mapped())
        let_go(array)

    arrays = {name: roomy((5_000_000, 5)) for name in "abcdefgh"}
    for array in arrays.values():
        array[:] = 1
        let_go(array)
    monkeypatch.setattr("serving.store.arrays.let_go", told)
    before = mapped()
    write_arrays(arrays, tmp_path / "arrays")
    assert 80_000_000 < max(held) - before < 220_000_000


def mapped() -> int:
    """Bytes of files in the memory of this process."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("RssFile:")[2].split()[0]) << 10
