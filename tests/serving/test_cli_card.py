import json
from pathlib import Path

import pytest

from serving.store.score_store import ScoreStore
from tests.command import koc
from tests.serving.batches import write_random


@pytest.fixture
def store(tmp_path: Path) -> ScoreStore:
    return write_random(tmp_path / "scores", users=40)


def test_a_card_is_shown_to_people(store: ScoreStore, tmp_path: Path) -> None:
    first = store.open().table().slice(0, 1).to_pylist()[0]
    ran = koc("card", first["user_id"], "--home", tmp_path, "--matches", columns=140)
    assert ran.status == 0, ran.err
    assert f"{first['user_id']} as of 2024-06-01 by koc/1" in ran.out
    for shown in (
        "what may come",
        "rank 1",
        first["reason"],
        first["reason_zh"],
        "who followed",
        "likely to move this user",
    ):
        assert shown in ran.out
    # What is not there takes no room.
    assert "suppressions" not in ran.out


def test_a_card_as_json_is_that_of_the_api(store: ScoreStore, tmp_path: Path) -> None:
    first = store.open().table().slice(0, 1).to_pylist()[0]
    ran = koc("card", first["user_id"], "--home", tmp_path, "--format", "json", "--matches")
    card = json.loads(ran.out)
    assert card["potential"]["koc_score"] == first["koc_score"]
    assert card["as_of"] == "2024-06-01T00:00:00+00:00"
    assert {"matches", "history", "lists"} <= set(card)


@pytest.mark.usefixtures("store")
def test_an_unknown_user_is_named(tmp_path: Path) -> None:
    ran = koc("card", "nobody", "--home", tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("error no user 'nobody' among those of batch 20240601T0000-")
