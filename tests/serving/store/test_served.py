import errno
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest

from features.errors import ScoresError, SpoiltScoresError
from serving.access.principal import LOCAL
from serving.lists.pages import Pages
from serving.lists.scope import seen
from serving.store.batch import Batch
from serving.store.checked import Checked
from serving.store.manifest import Manifest
from serving.store.schemas import BLOCKS, EXCHANGE, SERVING
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.serving.batches import write_random, write_users

USERS = [{"user_id": "a"}, {"user_id": "b"}]


def spoil(path: Path, how: str) -> None:
    content = path.read_bytes()
    middle = len(content) // 2
    if how == "flip":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 64]) + content[middle + 1 :])
    elif how == "cut":
        path.write_bytes(content[:middle])
    else:
        path.unlink()


def wait_for(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("name", [*EXCHANGE, *SERVING, *BLOCKS.values(), "manifest.json"])
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_a_spoilt_batch_is_reported_and_the_one_before_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, how: str
) -> None:
    store = ScoreStore(tmp_path)
    whole = write_users(store, USERS)
    served = Served(store)
    assert served.batch.manifest == whole
    spoil(tmp_path / write_users(store, USERS).batch / name, how)
    assert served.refresh().manifest == whole
    assert name in caplog.text
    assert f"batch {whole.batch} is served still" in caplog.text
    # A process that starts now finds the newest that is whole, and says so.
    caplog.clear()
    assert Served(store).batch.manifest == whole
    assert f"batch {whole.batch} is served instead" in caplog.text
    assert served.batch.json(np.array([0])).startswith(b'[{"user_id":"a"')
    again = write_users(store, USERS)
    assert served.refresh().manifest == again


def test_a_large_first_batch_is_answered_from_while_it_is_compared(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, verify, go_on = ScoreStore(tmp_path), Batch.verify, threading.Event()
    whole = write_random(tmp_path, users=300).current()
    spoilt = write_random(tmp_path, users=300, seed=1).current()
    spoil(tmp_path / spoilt.batch / "users.jsonl", "flip")

    def slow(batch: Batch) -> Batch:
        assert batch.manifest == whole or go_on.wait(20)
        return verify(batch)

    monkeypatch.setattr(Batch, "verify", slow)
    served = Served(store, prompt=0.01)
    batch = served.batch
    assert batch.manifest == spoilt
    assert len(batch.select({"attribute_tier": "gold"}, 5)) == 5
    with pytest.raises(ScoresError, match=r"users.jsonl is missing or does not match its checksum"):
        batch.json(np.arange(300))
    go_on.set()
    wait_for(lambda: served.batch.manifest == whole)
    assert f"batch {whole.batch} is served instead" in caplog.text


@pytest.mark.parametrize("asked", ["scope", "consent", "has"])
def test_what_is_spoilt_is_not_taken_for_what_nobody_has(
    tmp_path: Path, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or people who withdrew consent would be contacted, and an operator's list be short without a word."""
    for module in ("checked", "files"):
        monkeypatch.setattr(f"serving.store.{module}.BLOCK", 8)
    store = write_random(tmp_path, users=300)
    column, array = ("attribute_consent_sms", "codes") if asked == "consent" else ("attribute_tier", "labels")
    place = columns_of(tmp_path / store.current().batch / "index.arrow", f"{array}:{column}")
    batch = store.open()
    assert asked_of(batch, asked)
    path = tmp_path / store.current().batch / "index.arrow"
    content = path.read_bytes()
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
    batch = store.open()
    with pytest.raises(SpoiltScoresError, match=r"index.arrow is missing or does not match its checksum"):
        asked_of(batch, asked)


def asked_of(batch: Batch, asked: str) -> object:
    if asked == "consent":
        return Pages._reachable(batch, "sms") is not None
    if asked == "has":
        return batch.has("attribute_tier", "gold")
    return seen(batch, replace(LOCAL, row_scope={"attribute_tier": ("gold",)})).any()


def columns_of(path: Path, name: str) -> int:
    """Where the values of an array begin."""
    with path.open("rb") as file:
        checked = Checked(file, hashlib.sha256(path.read_bytes()).digest())
        return checked._places(checked.table[name])[-1][0]


def test_a_first_batch_that_turns_out_spoilt_without_another_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, verify, go_on = ScoreStore(tmp_path), Batch.verify, threading.Event()
    manifest = write_users(store, USERS)
    spoil(tmp_path / manifest.batch / "ties.parquet", "flip")
    monkeypatch.setattr(Batch, "verify", lambda batch: go_on.wait(20) and verify(batch))
    served = Served(store, prompt=0.01)
    assert served.batch.json(np.array([0])).startswith(b'[{"user_id":"a"')
    go_on.set()
    wait_for(lambda: "there is no other to serve" in caplog.text)
    assert "ties.parquet is missing or does not match its checksum" in caplog.text
    wait_for(lambda: served._batch is None)
    # Known to be spoilt, it is not answered from again.
    monkeypatch.setattr(Batch, "verify", lambda batch: pytest.fail(f"{batch.manifest.batch} is compared again"))
    for _ in range(3):
        with pytest.raises(ScoresError, match=r"ties.parquet is missing or does not match its checksum"):
            _ = served.batch


def test_without_one_whole_batch_there_is_nothing_to_serve(tmp_path: Path) -> None:
    served = Served(ScoreStore(tmp_path))
    with pytest.raises(ScoresError, match=r"no scores in .*; make some with `koc score"):
        _ = served.batch
    spoil(tmp_path / write_users(served.store, USERS).batch / "index.arrow", "flip")
    with pytest.raises(ScoresError, match=r"index.arrow is missing or does not match its checksum"):
        _ = served.batch


def test_a_new_batch_is_followed_in_the_background_and_looked_for_once_a_while(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first = write_users(store, USERS)
    slow, quick = Served(store, patience=3600), Served(store, patience=0)
    assert slow.batch.manifest == quick.batch.manifest == first
    second = write_users(store, USERS)
    assert slow.batch.manifest == first
    wait_for(lambda: quick.batch.manifest == second)
    assert quick.batch.manifest == second
    assert slow.batch.manifest == first
    assert slow.refresh().manifest == second


def test_a_spoilt_batch_is_read_again_only_after_a_while(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ScoreStore(tmp_path)
    write_users(store, USERS)
    served = Served(store)
    _ = served.batch
    second = write_users(store, USERS)
    path = tmp_path / second.batch / "users.jsonl"
    content = path.read_bytes()
    spoil(path, "flip")
    served.refresh()
    path.write_bytes(content)
    caplog.clear()
    assert served.refresh().manifest != second
    assert caplog.text == ""
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert served.refresh().manifest == second


@pytest.mark.parametrize("what", ["pointer", "file"])
def test_a_disk_that_cannot_be_read_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    store = ScoreStore(tmp_path)
    first = write_users(store, USERS)
    served = Served(store)
    _ = served.batch
    second = write_users(store, USERS)

    def broken(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(*((Path, "read_text") if what == "pointer" else (os, "pread")), broken)
        assert served.refresh().manifest == first
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert served.refresh().manifest == second


def test_readers_of_an_old_batch_go_on_while_batches_change_and_go(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Each answer is of one batch, also when that batch was removed while the answer was made."""
    store = write_random(tmp_path, users=300)
    served, stop, failures, seen = Served(store, patience=0), threading.Event(), [], set()

    def read() -> None:
        try:
            while not stop.is_set():
                batch = served.batch
                rows = batch.select({"attribute_tier": "gold", "koc_percentile": {"min": 10}}, 20)
                ids = batch.table(rows, ["user_id"])["user_id"].to_pylist()
                assert batch.rows_of(ids).tolist() == rows.tolist()
                assert all(f'"{user}"'.encode() in batch.json(rows) for user in ids)
                assert batch.ties().num_rows > 0
                seen.add(batch.manifest.batch)
        except BaseException as error:
            failures.append(error)

    readers = [threading.Thread(target=read) for _ in range(3)]
    with caplog.at_level(logging.ERROR):
        for reader in readers:
            reader.start()
        written: list[Manifest] = []
        for seed in range(1, 6):
            write_random(tmp_path, users=300, seed=seed, keep=1)
            written.append(store.current())
            served.refresh()
        stop.set()
        for reader in readers:
            reader.join()
    assert failures == []
    assert served.batch.manifest == written[-1]
    assert [manifest.batch for manifest in store.batches()] == [written[-1].batch]
    assert len(seen) > 1
