import pytest
from fastapi import FastAPI

from serving.access.keys import Keys
from serving.api.app import create_app
from serving.api.services import Services
from tests.serving.api.conftest import Caller


def test_on_the_machine_no_key_is_needed_until_there_is_one(caller: Caller, plain_services: Services) -> None:
    alone = caller()
    assert alone.get("/v1/audit").status_code == 200
    Keys(plain_services.database).create("first", ["read"])
    plain_services.keys._needed_at = -2.0
    answer = alone.get("/v1/audit")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "this needs a key: send `Authorization: Bearer koc_...`" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("asked", "headers"),
    [
        ({"host": "192.0.2.7"}, {}),
        ({"at": "http://shop.example"}, {}),
        ({}, {"Sec-Fetch-Site": "cross-site"}),
    ],
)
def test_without_a_key_only_the_machine_itself_is_let_in(
    caller: Caller, asked: dict[str, str], headers: dict[str, str]
) -> None:
    """Not another machine, nor a page that has its own name lead here, nor one that posts to another site."""
    assert caller(**asked).get("/v1/audit", headers=headers).status_code == 401


def test_where_others_can_reach_it_a_key_is_always_needed(plain_services: Services, caller: Caller) -> None:
    settings = plain_services.settings.model_copy(update={"host": "0.0.0.0"})
    client = caller()
    client.app = create_app(settings, plain_services)
    client._transport.app = client.app  # type: ignore[attr-defined]
    assert client.get("/v1/audit").status_code == 401


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer", "Basic b3BzOm9wcw==", "koc_1", ""])
def test_what_is_no_key_is_refused_even_on_the_machine(caller: Caller, header: str) -> None:
    answer = caller().get("/v1/audit", headers={"Authorization": header})
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_scope_that_is_missing_is_named(caller: Caller) -> None:
    answer = caller("operate", "train", "identify").get("/v1/audit")
    assert answer.status_code == 403
    assert "needs scope 'admin' and has identify, operate, train" in answer.json()["detail"]


def test_the_scheme_of_a_key_is_read_in_any_case(caller: Caller) -> None:
    client = caller("admin")
    client.headers["Authorization"] = client.headers["Authorization"].replace("Bearer", "bearer")
    assert client.get("/v1/audit").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/docs", "/openapi.json"])
def test_health_and_documentation_need_no_key(caller: Caller, path: str) -> None:
    assert caller(host="192.0.2.7", at="http://shop.example").get(path).status_code == 200


def test_metrics_need_a_key_beyond_the_machine(caller: Caller) -> None:
    assert caller(host="192.0.2.7").get("/metrics").status_code == 401
    assert caller("read", host="192.0.2.7").get("/metrics").status_code == 200


def test_every_operation_below_v1_needs_a_key_and_a_scope(app: FastAPI, caller: Caller) -> None:
    document = app.openapi()
    caller("read")
    stranger = caller(host="192.0.2.7")
    operations = [(path, method) for path, methods in document["paths"].items() for method in methods]
    guarded = [(path, method) for path, method in operations if path.startswith("/v1")]
    assert len(guarded) >= 2
    for path, method in guarded:
        assert document["paths"][path][method]["security"] == [{"key": []}], f"{method} {path} asks for no scope"
        assert stranger.request(method, path).status_code == 401, f"{method} {path}"
