import asyncio
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from fastapi.testclient import TestClient

from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.api.app import create_app
from serving.api.routes_lists import MOST_AT_ONCE
from serving.api.services import Services
from serving.settings import ServiceSettings
from serving.state.database import Database
from serving.state.turns import Turns
from tests.serving.batches import write_random

Client = Callable[..., TestClient]


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Services:
    settings = ServiceSettings(home=tmp_path, dataset=tmp_path / "dataset.toml", database_url=database_url)
    write_random(settings.scores, users=50)
    return Services.open(settings)


@pytest.fixture
def client_of(services: Services) -> Client:
    def make(*scopes: str, **row_scope: list[str]) -> TestClient:
        text, _ = Keys(services.database).create("crm", scopes, row_scope)
        return TestClient(create_app(services.settings, services), headers={"Authorization": f"Bearer {text}"})

    return make


def made(client: TestClient, **criteria: Any) -> dict[str, Any]:
    answer = client.post("/v1/candidate-lists", json={"name": "June", "criteria": {"size": 10} | criteria})
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_candidates_are_the_best_of_the_batch(client_of: Client, services: Services) -> None:
    client, batch = client_of("operate"), services.served.batch
    answer = client.post("/v1/candidates", json={"filters": {"attribute_tier": ["gold"]}, "size": 3})
    rows = batch.select({"attribute_tier": ["gold"]}, 3)
    assert answer.content == batch.json(rows)
    assert answer.headers["x-batch"] == batch.manifest.batch
    best = answer.json()[0]["user_id"]
    erased = client.post("/v1/suppressions", json={"user_ids": [best], "code": "asked"})
    assert erased.status_code < 300, erased.text
    services.previews._turns.looked = -math.inf
    later = client.post("/v1/candidates", json={"filters": {"attribute_tier": ["gold"]}, "size": 3}).json()
    assert len(later) == 3
    assert best not in [row["user_id"] for row in later]
    wrong = client.post("/v1/candidates", json={"filters": {"attribute_tier": ["platin"]}})
    assert (wrong.status_code, "choose from bronze, gold, silver" in wrong.json()["detail"]) == (422, True)
    for body in ({"size": 0}, {"sise": 3}, {"filters": {"koc_score": {}}}):
        assert client.post("/v1/candidates", json=body).json()["type"] == "urn:koc:invalid-request"
    columns = {column["name"]: column for column in client.get("/v1/candidates/filters").json()}
    assert columns["attribute_tier"]["values"] == ["bronze", "gold", "silver"]


def test_the_database_is_never_asked_where_other_requests_wait(
    client_of: Client, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, read = client_of("operate"), type(services.database).read
    asked: list[bool] = []

    def note(database: Database) -> Any:
        try:
            asyncio.get_running_loop()
            asked.append(True)
        except RuntimeError:
            asked.append(False)
        return read(database)

    monkeypatch.setattr(type(services.database), "read", note)
    monkeypatch.setattr(services.previews, "_turns", Turns(1e9, 1e9, time.monotonic))
    assert client.post("/v1/candidates", json={"size": 3}).status_code == 200
    assert asked
    assert not any(asked)
    monkeypatch.setattr(services.previews, "_stopped", None)
    assert client.post("/v1/candidates", json={"size": 3}).status_code == 200
    monkeypatch.undo()
    services.previews._turns.looked = -math.inf
    assert client.post("/v1/candidates", json={"size": 3, "filters": {"reachable": "sms"}}).status_code == 200


def test_candidates_of_a_key_with_a_row_scope(client_of: Client) -> None:
    client = client_of("read", attribute_region=["Wuhan", "Nowhere"])
    rows = client.post("/v1/candidates", json={"size": 50}).json()
    assert {row["attribute_region"] for row in rows} == {"Wuhan"}
    assert client_of("read", attribute_region=["Nowhere"]).post("/v1/candidates", json={}).json() == []
    columns = {column["name"]: column for column in client.get("/v1/candidates/filters").json()}
    assert columns["attribute_region"]["values"] == ["Wuhan"]
    nobody = client_of("read", attribute_region=["Nowhere"])
    columns = {column["name"]: column for column in nobody.get("/v1/candidates/filters").json()}
    assert columns["attribute_tier"]["values"] == []


def test_a_key_with_a_row_scope_learns_no_value_of_others(client_of: Client, services: Services) -> None:
    client, nobody = (client_of("operate", attribute_region=[region]) for region in ("Wuhan", "Nowhere"))
    alien, mixed = {"attribute_region": "Hangzhou"}, {"attribute_region": {"min": 1}}
    for filters in (alien, mixed, {"attribute_region": "Atlantis"}):
        criteria = {"size": 5, "filters": filters}
        ruled = {"size": 5, "rules": {"rule": filters}}
        for path, body in (
            ("candidates", {"filters": filters}),
            ("candidate-lists", {"criteria": criteria}),
            ("candidate-lists", {"criteria": ruled}),
        ):
            answer = client.post(f"/v1/{path}", json=body)
            assert (answer.status_code, "choose from Wuhan" in answer.text) == (422, True), answer.text
            assert not any(region in answer.json()["detail"].split("choose")[1] for region in ("Hangzhou", "Suzhou"))
            # Of nobody no value is known, so that none is told and none is wrong.
            assert nobody.post(f"/v1/{path}", json=body).status_code in (200, 201)
        assert nobody.post("/v1/candidates", json={"filters": filters}).json() == []
    unknown = {"filters": {"attribute_city": "Wuhan"}}
    assert nobody.post("/v1/candidates", json=unknown).status_code == 422
    batch = services.served.batch
    of = batch.values("attribute_region") == "Wuhan"
    columns = {column["name"]: column for column in client.get("/v1/candidates/filters").json()}
    score = batch.values("koc_score")[of]
    assert [columns["koc_score"][end] for end in ("lowest", "highest")] == [score.min(), score.max()]
    assert "holds numbers, which" in client.post("/v1/candidates", json={"filters": {"koc_score": "x"}}).json()["detail"]
    moved = {name for name in ("beauty", "snacks", "toys") if (batch.category_moved(name)[of] > 0).any()}
    told = client.post("/v1/candidates", json={"filters": {"category": "books"}}).json()["detail"].split("choose from ")[1]
    assert set(told.split(", ")) == moved


def test_a_scope_that_the_batch_does_not_know_shows_nobody(client_of: Client) -> None:
    for scope in ({"category": ["books"]}, {"reachable": ["pigeon"]}, {"attribute_city": ["Wuhan"]}):
        client = client_of("operate", **scope)
        assert client.post("/v1/candidates", json={}).json() == []
    some = client_of("read", category=["books", "toys"], reachable=["sms", "pigeon"])
    assert some.post("/v1/candidates", json={"size": 50}).json()


def test_a_list_is_made_paged_worked_exported_and_returned(client_of: Client, services: Services) -> None:
    client = client_of("operate")
    found = made(client, holdout=0.2, quotas={"attribute_region": {"Hangzhou": 40, "*": 5}}, size=50)
    assert [short["column"] for short in found["shortfalls"]] == [None, "attribute_region"]
    path = f"/v1/candidate-lists/{found['list_id']}"
    assert client.get(path).json() == found
    assert [one["list_id"] for one in client.get("/v1/candidate-lists").json()["lists"]] == [found["list_id"]]
    rows: list[dict[str, Any]] = []
    after = None
    while True:
        page = client.get(f"{path}/members", params={"limit": 4, "part": "all"} | ({"after": after} if after else {})).json()
        rows += page["rows"]
        if (after := page["next_cursor"]) is None:
            break
    assert [row["rank"] for row in rows] == list(range(1, found["rows"] + 1))
    assert client.post(f"{path}/assign", json={"how": {"by": "turn", "staff": ["li"]}}).json()["staff"] == {
        "li": found["arms"]["contact"]
    }
    task = client.get("/v1/worklists/li").json()["tasks"][0]
    moved = client.post(f"{path}/states", json={"user_ids": [task["user_id"]], "state": "surveyed"})
    assert moved.json()["members"][0]["state"] == "surveyed"
    refused = client.post(f"{path}/states", json={"user_ids": [task["user_id"]], "state": "selected"})
    assert (refused.status_code, "allowed are added" in refused.json()["detail"]) == (409, True)
    assert len(client.get(f"{path}/members/{task['user_id']}/history").json()["events"]) == 2
    file = client.get(f"{path}/export", params={"form": "xlsx"})
    assert file.headers["x-rows"] == str(found["arms"]["contact"])
    book = openpyxl.load_workbook(io.BytesIO(file.content))
    header = [cell.value for cell in book.active[1]]
    book.active.cell(2, header.index("state") + 1).value = "in_group"
    book.active.cell(3, header.index("state") + 1).value = "lost"
    back = io.BytesIO()
    book.save(back)
    told = client.post("/v1/returned-exports", files={"file": ("back.xlsx", back.getvalue())}).json()
    assert (told["moved"], [row["row"] for row in told["bad"]]) == (1, [3])
    assert client.get("/v1/worklists").json()["staff"]["li"] == found["arms"]["contact"]
    why = client.get(f"{path}/why/{task['user_id']}").json()
    assert (why["rank"], why["failing"]) == (task["rank"], None)
    judged = client.post("/v1/eligibility", json={"user_id": task["user_id"], "criteria": {"size": 5}}).json()
    assert judged["failing"] == "reserved"
    assert client.post(f"{path}/close").status_code == 200
    assert client.post(f"{path}/close").status_code == 409
    actions = {entry.action for entry in Audit(services.database).read()}
    assert {"list.create", "list.read", "list.export", "list.close", "list.return", "worklist.view"} <= actions


def test_people_of_a_file_are_left_out(client_of: Client, services: Services) -> None:
    client = client_of("operate")
    first = services.served.batch.table(columns=["user_id"])["user_id"].to_pylist()[:3]
    file = {"exclude": ("mine.csv", "user_id\n" + "\n".join(first))}
    body = {"body": '{"criteria": {"size": 2}}'}
    answer = client.post("/v1/candidate-lists/with-file", data=body, files=file)
    assert answer.status_code == 201, answer.text
    rows = client.get(f"/v1/candidate-lists/{answer.json()['list_id']}/members").json()["rows"]
    assert not {row["user_id"] for row in rows} & set(first)
    for name, body, status in (("mine.pdf", '{"criteria": {"size": 2}}', 422), ("mine.csv", "{", 422), ("..", "{}", 422)):
        answer = client.post("/v1/candidate-lists/with-file", data={"body": body}, files={"exclude": (name, "user_id\nu1")})
        assert answer.status_code == status


def test_who_may_not_and_what_is_not_there(client_of: Client) -> None:
    reader, operator = client_of("read"), client_of("operate", attribute_region=["Wuhan"])
    body = {"criteria": {"size": 5}}
    assert reader.post("/v1/candidate-lists", json=body).status_code == 403
    found = made(operator)
    assert reader.get(f"/v1/candidate-lists/{found['list_id']}").status_code == 200
    elsewhere = client_of("operate", attribute_region=["Suzhou"])
    for path in ("", "/members", "/export", "/why/u00001"):
        answer = elsewhere.get(f"/v1/candidate-lists/{found['list_id']}{path}")
        assert answer.status_code == 404
    assert elsewhere.post(f"/v1/candidate-lists/{found['list_id']}/close").status_code == 404
    large = operator.post("/v1/candidate-lists", json={"criteria": {"size": MOST_AT_ONCE + 1}})
    assert (large.status_code, "POST /v1/jobs" in large.json()["detail"]) == (422, True)
