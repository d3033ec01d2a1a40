from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from features.errors import LiveError
from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.api.app import create_app
from serving.api.services import Services
from serving.live import MOST_USERS, LiveScores
from serving.settings import ServiceSettings
from tests.serving.batches import AS_OF, write_random


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Services:
    settings = ServiceSettings(home=tmp_path, dataset=tmp_path / "dataset.toml", database_url=database_url)
    write_random(settings.scores, users=50)
    return Services.open(settings)


@pytest.fixture
def client(services: Services) -> TestClient:
    text, _ = Keys(services.database).create("crm", ["read"])
    return TestClient(create_app(services.settings, services), headers={"Authorization": f"Bearer {text}"})


@pytest.fixture
def first(services: Services) -> dict[str, Any]:
    found: dict[str, Any] = services.served.batch.table().slice(0, 1).to_pylist()[0]
    return found


def test_the_card_of_a_user(client: TestClient, services: Services, first: dict[str, Any]) -> None:
    answer = client.get(f"/v1/users/{first['user_id']}", headers={"X-Request-ID": "r7"})
    assert answer.status_code == 200
    card = answer.json()
    assert card["potential"]["rank"] == 1
    assert card["potential"]["koc_score"] == first["koc_score"]
    assert (card["activated"], card["scores"]) == (None, {})
    assert card["attributes"]["tier"] == first["attribute_tier"]
    assert (card["reason"], card["reason_zh"]) == (first["reason"], first["reason_zh"])
    assert len(card["follow_ups"]) == 2
    assert [entry["batch"] for entry in card["history"]] == [card["batch"]]
    entry = Audit(services.database).read(action="user.view")[-1]
    assert (entry.subject, entry.request_id) == (first["user_id"], "r7")


def test_a_user_who_is_not_there_is_a_problem_that_names_the_id(client: TestClient) -> None:
    for path in ("/v1/users/nobody", "/v1/users/nobody/matches"):
        answer = client.get(path)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
        assert "no user 'nobody' among those of batch" in answer.json()["detail"]


def test_a_user_outside_of_the_rows_of_a_key_is_not_there(
    client: TestClient, services: Services, first: dict[str, Any]
) -> None:
    other = "bronze" if first["attribute_tier"] != "bronze" else "gold"
    seen = {}
    for tier in (first["attribute_tier"], other):
        text, _ = Keys(services.database).create(tier, ["read"], {"attribute_tier": [tier]})
        headers = {"Authorization": f"Bearer {text}"}
        seen[tier] = client.get(f"/v1/users/{first['user_id']}", headers=headers).status_code
    assert seen == {first["attribute_tier"]: 200, other: 404}


def test_matches_of_a_member(client: TestClient, services: Services) -> None:
    tie = services.served.batch.ties().to_pylist()[0]
    answer = client.get(f"/v1/users/{tie['user_id']}/matches", params={"limit": 3})
    assert answer.status_code == 200
    found = answer.json()["matches"]
    assert 1 <= len(found) <= 3
    expected = [row["expected_follow_ups"] for row in found]
    assert expected == sorted(expected, reverse=True)
    assert all(0 < row["probability"] < row["expected_follow_ups"] for row in found)


def test_fresh_scores(client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []

    def score(users: list[str], principal: Any, *, model: str | None, request_id: str) -> LiveScores:
        asked.append((users, principal.name, model, request_id))
        told = [{"user_id": "a", "koc_score": 2.0, "batch_koc_score": 1.5, "change": 0.5}]
        return LiveScores(AS_OF.replace(tzinfo=UTC), "koc/2", None, None, None, told, [{"user_id": "b", "reason": "no act"}])

    monkeypatch.setattr(services.live, "score", score)
    body = {"user_ids": ["a", "b"], "model": "challenger"}
    answer = client.post("/v1/scores", json=body, headers={"X-Request-ID": "r8"})
    assert asked == [(["a", "b"], "crm", "challenger", "r8")]
    assert answer.json() == {
        "as_of": "2024-06-01T00:00:00Z",
        "model": "koc/2",
        "batch": None,
        "batch_as_of": None,
        "batch_model": None,
        "scores": [{"user_id": "a", "koc_score": 2.0, "batch_koc_score": 1.5, "change": 0.5}],
        "unknown": [{"user_id": "b", "reason": "no act"}],
    }


@pytest.mark.parametrize("users", [[], ["a"] * (MOST_USERS + 1), [""], [7], ["a" * 201]])
def test_users_who_cannot_be_scored_are_named(client: TestClient, users: list[Any]) -> None:
    answer = client.post("/v1/scores", json={"user_ids": users})
    assert answer.status_code == 422
    assert "body.user_ids" in answer.json()["detail"]


def test_fresh_scores_that_take_long_say_when_to_come_back(
    client: TestClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def score(*_: object, **__: object) -> LiveScores:
        raise LiveError("being made; ask again later, or score by a job", retry_after=30)

    monkeypatch.setattr(services.live, "score", score)
    answer = client.post("/v1/scores", json={"user_ids": ["a"]})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "30")
    assert "by a job" in answer.json()["detail"]


def test_without_a_dataset_fresh_scores_are_not_there(client: TestClient, services: Services) -> None:
    answer = client.post("/v1/scores", json={"user_ids": ["a"]})
    assert answer.status_code == 503
    assert answer.json()["detail"] == (
        f"fresh scores cannot be made: no dataset file at {services.settings.dataset}; draft one with `koc init FILES...`"
    )


def test_the_document_shows_an_example_of_each_answer(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    for path, method in (("/v1/users/{user_id}", "get"), ("/v1/users/{user_id}/matches", "get"), ("/v1/scores", "post")):
        operation = document["paths"][path][method]
        assert operation["description"]
        assert {"401", "403", "422", "503"} <= set(operation["responses"])
    for name in ("ScoreCard", "Matched", "Fresh", "Wanted"):
        assert document["components"]["schemas"][name]["examples"]
