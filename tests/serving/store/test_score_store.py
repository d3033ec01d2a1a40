import json
import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import ScoresError
from serving.evidence import Evidence
from serving.store import score_store
from serving.store.schemas import EXCHANGE, TIES_SCHEMA
from serving.store.score_store import ScoreStore

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


@pytest.mark.parametrize("step", ["write_table", "rename", "replace"])
def test_a_half_written_batch_is_never_served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    store = ScoreStore(tmp_path)
    first = written(store)

    def fail(*_: object) -> None:
        raise OSError("disk full")

    target: object = {"write_table": score_store.pq, "rename": Path, "replace": os}[step]
    monkeypatch.setattr(target, step, fail)
    with pytest.raises(OSError, match="disk full"):
        written(store, USERS.slice(0, 1))
    monkeypatch.undo()
    assert store.current().batch == first
    assert store.open().table().equals(USERS)
    # A later batch is not hindered by what the crash left behind.
    assert written(store) == store.current().batch


@pytest.mark.parametrize("name", EXCHANGE[1:])
@pytest.mark.parametrize("missing", [True, False])
def test_altered_and_missing_files_are_refused(tmp_path: Path, name: str, missing: bool) -> None:
    store = ScoreStore(tmp_path)
    path = tmp_path / written(store) / name
    content = path.read_bytes()
    path.unlink() if missing else path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    batch = store.open()
    read = {"categories.parquet": batch.categories, "ties.parquet": batch.ties, "communities.parquet": batch.communities}
    with pytest.raises(ScoresError, match=f"{name} is missing or does not match its checksum; score again with `koc score`"):
        read.get(name, batch.evidence)()


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
        message = "users.arrow is missing or does not match its checksum"
    else:
        path.write_text(spoil)
        message = "manifest.json is not the manifest of a batch; score again"
    with pytest.raises(ScoresError, match=message):
        store.open().table()


def test_a_store_without_a_batch_tells_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ScoresError, match=r"no scores in .*; make some with `koc score --dataset dataset.toml`"):
        ScoreStore(tmp_path / "none").open().table()
    store = ScoreStore(tmp_path)
    (tmp_path / written(store) / "manifest.json").unlink()
    with pytest.raises(ScoresError, match=r"has no .*manifest.json; score again"):
        store.current()
