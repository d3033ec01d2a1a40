import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import SpoiltScoresError
from serving.store.arrays import Arrays, write_arrays
from serving.store.checked import BLOCK, Checked, write_blocks

CONTENT = np.random.default_rng(0).bytes(3 * BLOCK + 100)
ARRAYS = {"a": np.arange(50_000), "b": np.arange(90_000.0).reshape(-1, 3), "c": ["x", "yy"]}


def checked(path: Path, digests: bytes) -> Checked:
    return Checked(path.open("rb"), digests, BLOCK)


def digests_of(path: Path) -> bytes:
    blocks = path.with_name(f"{path.name}.blocks")
    write_blocks(path, blocks)
    return blocks.read_bytes()


def altered(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


def test_only_the_blocks_asked_for_are_compared(path: Path) -> None:
    digests = digests_of(path)
    path.write_bytes(altered(CONTENT, 2 * BLOCK))
    file = checked(path, digests)
    file.require(0, 2 * BLOCK)
    file.require(3 * BLOCK)
    file.require_pieces([0, BLOCK - 1, 3 * BLOCK], [1, BLOCK + 1, 3 * BLOCK + 100])
    for start, stop in ((2 * BLOCK, 2 * BLOCK + 1), (2 * BLOCK - 1, 2 * BLOCK + 1), (0, len(CONTENT))):
        with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
            file.require(start, stop)
    with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
        file.require()


def test_a_block_is_compared_once(path: Path) -> None:
    file = checked(path, digests_of(path))
    file.require(0, 1)
    path.write_bytes(altered(CONTENT, 5))
    file.require(0, BLOCK)
    path.write_bytes(altered(CONTENT, BLOCK))
    with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
        file.require()


@pytest.mark.parametrize("size", [0, BLOCK, 3 * BLOCK, 5 * BLOCK])
def test_a_file_of_another_length_is_refused(path: Path, size: int) -> None:
    digests = digests_of(path)
    path.write_bytes((CONTENT * 2)[:size])
    with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
        checked(path, digests)


@pytest.mark.parametrize("size", [0, 1, 3 * BLOCK + 100])
def test_a_whole_file_may_be_one_block(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT[:size])
    digest = hashlib.sha256(CONTENT[:size]).digest()
    Checked(path.open("rb"), digest).require()
    for other in (b"", CONTENT[: size + 1]):
        path.write_bytes(other)
        if other != CONTENT[:size]:
            with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
                Checked(path.open("rb"), digest).require()


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("arrays") / "index.arrow"
    write_arrays(ARRAYS, path)
    return path


@given(places=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=3))
def test_arrays_are_told_as_they_were_written_or_not_at_all(arrays: Path, places: Sequence[float]) -> None:
    digests, content = digests_of(arrays), arrays.read_bytes()
    spoilt = content
    for place in places:
        spoilt = altered(spoilt, int(place * len(content)))
    other = arrays.with_name("altered")
    other.write_bytes(spoilt)
    refused = 0
    for name, written in ARRAYS.items():
        try:
            found = Arrays(checked(other, digests))
            assert found.strings(name) == written if isinstance(written, list) else (found[name] == written).all()
        except SpoiltScoresError:
            refused += 1
    if spoilt != content:
        with pytest.raises(SpoiltScoresError, match="does not match its checksum"):
            checked(other, digests).require()
    else:
        assert refused == 0
