import json
import os
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import ScoresError
from serving.evidence import Evidence
from serving.store import score_store
from serving.store.batch import Batch
from serving.store.schemas import BLOCKS, EXCHANGE, SERVING, TIES_SCHEMA
from serving.store.score_store import ScoreStore
from serving.store.served import Served
from tests.killed import killed

AS_OF = datetime(2024, 6, 1)
USERS = pa.table({"user_id": ["a", "b"], "koc_score": [2.0, 1.0], "stage": ["active", "dormant"]})
CATEGORIES = pa.table({"user_id": ["a"], "category": ["tea"], "influence": [1.0]})


TIES = pa.table(
    {
        "user_id": ["b", "c", "a"],
        "influencer_id": ["a", "a", "b"],
        "expected_follow_ups": [0.1, 0.5, 0.2],
        "strength": [1.0] * 3,
    },
    schema=TIES_SCHEMA,
)


def written(store: ScoreStore, users: pa.Table = USERS) -> str:
    return store.write(users, CATEGORIES, ties=TIES, dataset="shop", model="koc/1", as_of=AS_OF).batch


def written_marked(store: ScoreStore, mark: str) -> str:
    return store.write(USERS, CATEGORIES, dataset="shop", model="koc/1", as_of=AS_OF, mark=mark).batch


def test_a_batch_comes_back_as_written(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path / "scores")
    batch = written(store)
    manifest = store.current()
    assert (manifest.batch, manifest.rows, manifest.columns) == (batch, 2, ("user_id", "koc_score", "stage"))
    assert (manifest.dataset, manifest.model, manifest.as_of) == ("shop", "koc/1", "2024-06-01T00:00:00")
    assert store.open().table().equals(USERS)
    assert store.open().categories().equals(CATEGORIES)
    assert store.open().evidence() == Evidence.none()
    assert store.open().ties().equals(TIES)
    assert store.open().ties(pa.array(["a", "c"])).equals(TIES.slice(0, 2))
    files = {path.name for path in (tmp_path / "scores" / batch).iterdir()}
    assert files == {*manifest.checksums, "manifest.json"}


def test_the_latest_batch_is_served_and_the_earlier_one_kept(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first, second = written(store), written(store, USERS.slice(0, 1))
    assert store.current().batch == second != first
    assert len(store.open().table()) == 1
    assert {path.name for path in tmp_path.iterdir()} == {first, second, "current"}


STEPS: dict[str, object] = {"write_table": score_store.pq, "write_records": score_store, "write_arrays": score_store,
                            "sha256": score_store, "fsync": os, "rename": Path, "replace": os}  # fmt: skip


@pytest.mark.parametrize("step", STEPS)
def test_a_half_written_batch_is_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = ScoreStore(tmp_path)
    first = written(store)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(STEPS[step], step, fail)
    with pytest.raises(OSError, match="disk full"):
        written(store, USERS.slice(0, 1))
    monkeypatch.undo()
    assert store.current().batch == first
    assert store.open().table().equals(USERS)
    # A later batch is not hindered by what the crash left behind.
    assert written(store) == store.current().batch


@pytest.mark.parametrize(
    ("call", "number", "seen"),
    [
        ("pyarrow.parquet.write_table", 3, 1),
        ("serving.store.score_store.write_arrays", 1, 1),
        ("serving.store.manifest.Manifest.write", 1, 1),
        ("os.fsync", 5, 1),
        ("pathlib.Path.rename", 1, 1),
        # From here on the new batch is whole, and waits for the pointer.
        ("os.replace", 1, 2),
        ("serving.store.score_store.ScoreStore.clear", 1, 2),
    ],
)
def test_a_process_killed_while_it_writes_leaves_whole_batches_only(
    tmp_path: Path, call: str, number: int, seen: int
) -> None:
    store = ScoreStore(tmp_path)
    written(store)
    first = store.current()
    assert killed(written, store, call=call, number=number)
    assert [manifest.checksums for manifest in store.batches()] == [first.checksums] * seen
    for manifest in store.batches():
        store.open(manifest.batch).verify()
    assert (store.current() == first) is (call != "serving.store.score_store.ScoreStore.clear")
    assert Served(store).batch.table().equals(USERS)
    # Once they are old, what is left over goes with the next batch, which is as if nothing had happened.
    for path in tmp_path.glob(".*"):
        os.utime(path, (0, 0))
    again = store.write(USERS, CATEGORIES, ties=TIES, dataset="shop", model="koc/1", as_of=AS_OF, keep=1)
    assert again.checksums == first.checksums
    assert {path.name for path in tmp_path.iterdir()} == {again.batch, "current"}


def test_who_was_killed_before_the_last_step_finds_the_own_batch_by_its_mark(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first = written(store)
    assert killed(written_marked, store, "job", call="os.replace")
    assert store.current().batch == first
    found = store.marked("job")
    assert found is not None
    assert store.current() == found


@pytest.mark.parametrize("name", [*EXCHANGE[1:], *SERVING])
def test_altered_files_are_refused_when_they_are_read(tmp_path: Path, name: str) -> None:
    store = ScoreStore(tmp_path)
    path = tmp_path / written(store) / name
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    read = {
        "categories.parquet": Batch.categories,
        "ties.parquet": Batch.ties,
        "communities.parquet": Batch.communities,
        "kpis.parquet": Batch.kpis,
        "drift.parquet": Batch.drift,
        "evidence.parquet": Batch.evidence,
        "next_items.parquet": Batch.evidence,
        "users.arrow": Batch.table,
        "users.jsonl": lambda batch: batch.json(np.array([0])),
        "index.arrow": Batch.verify,
    }
    with pytest.raises(ScoresError, match=f"{name} is missing or does not match its checksum; score again with `koc score`"):
        read[name](store.open())
    with pytest.raises(ScoresError, match=f"{name} is missing or does not match its checksum"):
        store.open().verify()


@pytest.mark.parametrize("name", [*EXCHANGE, *SERVING, *BLOCKS.values()])
def test_a_batch_without_one_of_its_files_is_refused(tmp_path: Path, name: str) -> None:
    store = ScoreStore(tmp_path)
    (tmp_path / written(store) / name).unlink()
    with pytest.raises(ScoresError, match=f"{name} is missing or does not match its checksum"):
        store.open()


def test_without_a_tie_model_there_are_no_ties(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    store.write(USERS, CATEGORIES, dataset="shop", model="koc/1", as_of=AS_OF)
    assert store.open().ties().equals(TIES_SCHEMA.empty_table())


@pytest.mark.parametrize("spoil", ["{", "[]", '{"batch": "b"}', "checksums"])
def test_a_spoilt_manifest_is_refused(tmp_path: Path, spoil: str) -> None:
    store = ScoreStore(tmp_path)
    path = tmp_path / written(store) / "manifest.json"
    if spoil == "checksums":
        content = {**json.loads(path.read_text()), "checksums": {}}
        path.write_text(json.dumps(content))
    else:
        path.write_text(spoil)
    with pytest.raises(ScoresError, match=r"manifest.json is not the manifest of a batch; score again"):
        store.open().table()


def test_a_store_without_a_batch_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"no scores in .*; make some with `koc score --dataset dataset.toml`"):
        ScoreStore(tmp_path / "none").open().table()
    store = ScoreStore(tmp_path)
    (tmp_path / written(store) / "manifest.json").unlink()
    with pytest.raises(ScoresError, match=r"has no .*manifest.json; score again"):
        store.current()


def test_old_batches_go_and_the_current_one_stays(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first, second, third = (written(store) for _ in range(3))
    assert [manifest.batch for manifest in store.batches()] == [third, second, first]
    # An operator turned back to the first.
    (tmp_path / "current").write_text(first)
    latest = store.write(USERS, CATEGORIES, dataset="shop", model="koc/1", as_of=AS_OF, keep=2).batch
    assert [manifest.batch for manifest in store.batches()] == [latest, third]
    (tmp_path / "current").write_text(third)
    store.clear(1)
    assert [manifest.batch for manifest in store.batches()] == [third]
    assert {path.name for path in tmp_path.iterdir()} == {third, "current"}
    with pytest.raises(ScoresError, match=f"no batch {first} in .*; there are {third}"):
        store.open(first)


def test_what_a_crash_left_behind_is_cleared_once_it_is_old(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    (tmp_path / ".current-old").touch()
    os.utime(tmp_path / ".current-old", (0, 0))
    for name in (".partial-old", ".partial-new", ".removed-x"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".partial-old", (0, 0))
    batch = written(store)
    assert {path.name for path in tmp_path.iterdir()} == {batch, "current", ".partial-new"}


@pytest.mark.parametrize("said", [b"", b"..", b"../x", b"gone", b"\xff\x00"])
def test_a_spoilt_pointer_names_no_batch(tmp_path: Path, said: bytes) -> None:
    store = ScoreStore(tmp_path)
    written(store)
    (tmp_path / "current").write_bytes(said)
    with pytest.raises(ScoresError, match=r"names no batch; score again|has no .*manifest.json"):
        store.open()


def test_users_are_stored_by_falling_score_and_unknown_numbers_as_null(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    users = pa.table({"user_id": ["a", "b", "c", "d"], "koc_score": [1.0, None, 3.0, 1.0], "reach": [0.0, 1.0, np.nan, 2.0]})
    written(store, users)
    assert store.open().table().to_pydict() == {
        "user_id": ["c", "a", "d", "b"], "koc_score": [3.0, 1.0, 1.0, None], "reach": [None, 0.0, 2.0, 1.0]
    }  # fmt: skip
    assert pq.read_table(tmp_path / store.current().batch / "users.parquet").equals(store.open().table())


def test_a_batch_of_another_model_is_kept_beside_what_is_served(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    first = written(store)

    def champion(model: str) -> bool:
        return model == "koc/1"

    more = {"dataset": "shop", "as_of": AS_OF, "keep": 1, "served": champion}
    beside = store.write(USERS, CATEGORIES, model="koc/2", **more).batch
    assert store.current_id() == first
    assert [manifest.batch for manifest in store.batches()] == [beside, first]
    assert store.marked(beside.rpartition("-")[2], champion) is not None
    assert store.current_id() == first
    # The next batch of the champion is compared with its last one, not with what nobody was served.
    later = written(store)
    assert [found.manifest.batch for found in store.pair()] == [first, later]
    assert [found.manifest.batch for found in store.pair(beside)] == [first, beside]
    assert store.write(USERS, CATEGORIES, model="koc/1", **more).batch == store.current_id()
    assert [manifest.batch for manifest in store.batches()] == [store.current_id()]


def test_a_promotion_while_a_batch_of_the_last_champion_is_written_stays(tmp_path: Path) -> None:
    store, promoted = ScoreStore(tmp_path), threading.Event()
    new = store.write(USERS, CATEGORIES, dataset="shop", model="koc/2", as_of=AS_OF).batch

    def promote() -> None:
        promoted.set()
        ScoreStore(tmp_path).serve_model("koc/2")

    promotion = threading.Thread(target=promote)

    def champion(model: str) -> bool:
        # It is still the champion when it is asked about, and not any more when it would be served.
        promotion.start()
        assert promoted.wait(10)
        promotion.join(0.2)
        return model == "koc/1"

    store.write(USERS, CATEGORIES, dataset="shop", model="koc/1", as_of=AS_OF, served=champion)
    promotion.join(10)
    assert store.current_id() == new
