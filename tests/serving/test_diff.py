from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from features.errors import ScoresError
from serving.access.keys import Keys
from serving.access.principal import LOCAL
from serving.api.services import Services
from serving.diff import batch_diff
from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.serving.api.conftest import Caller, app, caller, plain_services, plain_settings
from tests.serving.batches import write_users

__all__ = ["app", "caller", "plain_services", "plain_settings"]


def user(name: str, score: float, willingness: float, reach: float = 0.0) -> dict[str, Any]:
    return {"user_id": name, "koc_score": score, "willingness": willingness, "reach": reach}


BEFORE = [user("a", 4, 1.0), user("b", 3, 0.5, 0.5), user("c", 2, 0.0), user("gone", 1, 0.0)]
NOW = [user("b", 5, 0.6, 2.0), user("new", 4, 1.0), user("a", 3, 0.2), user("c", 2, 0.0)]


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return two(ScoreStore(tmp_path / "scores"))


def two(store: ScoreStore) -> ScoreStore:
    write_users(store, BEFORE)
    write_users(store, NOW, model="koc/2")
    return store


def test_d61_who_entered_and_left_the_top_and_why(store: ScoreStore) -> None:
    found = batch_diff(*store.pair(), top=2)
    assert (found.model_before, found.model, found.people_before, found.people) == ("koc/1", "koc/2", 4, 4)
    (entered,), (left,), (moved,) = found.entered, found.left, found.moved
    assert (entered.user_id, entered.rank_before, entered.rank, entered.because) == ("new", None, 2, None)
    # Of a, who is further down now, willingness fell from 1 to .2.
    assert (left.user_id, left.rank_before, left.rank, left.because) == ("a", 1, 3, "willingness")
    # b rose by reach: 1.5 more, against .1 of willingness.
    assert (moved.user_id, moved.rank_before, moved.rank, moved.because) == ("b", 2, 1, "reach")
    assert (moved.reason_before, moved.reason) == ("why b", "why b")
    assert found.because == {"willingness": 0, "reach": 1}
    # a, b, c are in both: ranks 1, 2, 3 became 2, 1, 3.
    assert found.rank_correlation == pytest.approx(0.5)
    assert found.summary()["entered"] == found.summary()["left"] == 1


def test_d61_the_same_batch_again_changes_nothing(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    for _ in range(2):
        write_users(store, BEFORE)
    found = batch_diff(*store.pair(), top=3)
    assert (found.entered, found.left, found.moved) == ([], [], [])
    assert found.rank_correlation == pytest.approx(1.0)


def test_batches_that_cannot_be_compared_say_why(tmp_path: Path) -> None:
    store = ScoreStore(tmp_path)
    write_users(store, BEFORE)
    with pytest.raises(ScoresError, match="no batch was written before"):
        store.pair()
    write_users(store, NOW, dataset="other")
    with pytest.raises(ScoresError, match=r"is of shop, .* of other; compare batches of one dataset"):
        batch_diff(*store.pair())


def test_the_command_prints_it_and_lists_batches(store: ScoreStore, tmp_path: Path) -> None:
    ran = koc("batches", "diff", "--top", 2, "--home", tmp_path)
    assert ran.status == 0, ran.err
    assert "entered 1, left 1; rank correlation of everybody 0.500" in ran.out
    for name in ("new", "a", "b"):
        assert f"│ {name} " in ran.out
    listed = koc("batches", "list", "--home", tmp_path).out
    assert all(manifest.batch in listed for manifest in store.batches())


def test_the_route_names_nobody_who_was_erased_and_is_audited(caller: Caller, plain_services: Services) -> None:
    two(plain_services.served.store)
    client = caller("read")
    told = client.get("/v1/batches/diff", params={"top": 2}).json()
    assert told == asdict(batch_diff(*plain_services.served.store.pair(), top=2))
    plain_services.erasures.erase(LOCAL, "a", "asked")
    told = client.get("/v1/batches/diff", params={"top": 2}).json()
    assert (told["left"], [each["user_id"] for each in told["entered"]]) == ([], ["new"])
    entries = plain_services.audit.read(action="batch.diff")
    assert [entry.rows for entry in entries] == [3, 2]


def test_the_route_refuses_keys_that_see_some_rows(caller: Caller, plain_services: Services) -> None:
    two(plain_services.served.store)
    text, _ = Keys(plain_services.database).create("shop", ["read"], {"stage": ["active"]})
    answer = caller().get("/v1/batches/diff", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 403
