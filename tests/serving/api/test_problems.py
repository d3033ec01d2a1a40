import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from pydantic import BaseModel, Field

from features.errors import (
    AccessError,
    ConflictError,
    DatasetError,
    ForbiddenError,
    KocError,
    ListError,
    NoScoresError,
    NotFoundError,
    ScoresError,
    SpoiltScoresError,
    StateError,
)
from tests.serving.api.conftest import Caller


class Order(BaseModel):
    size: int = Field(ge=1)
    names: list[str]


@pytest.fixture
def _order(app: FastAPI) -> None:
    async def order(order: Order) -> str:
        return f"{order.size}"

    app.add_api_route("/v1/order", order, methods=["POST"])


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (NotFoundError, 404),
        (ConflictError, 409),
        (ForbiddenError, 403),
        (AccessError, 401),
        (NoScoresError, 503),
        (SpoiltScoresError, 503),
        (StateError, 503),
        (ScoresError, 422),
        (ListError, 422),
        (DatasetError, 422),
    ],
)
def test_each_of_our_errors_has_its_status_and_keeps_its_words(
    app: FastAPI, caller: Caller, error: type[KocError], status: int
) -> None:
    def fail() -> None:
        raise error("column 'x' is not there; choose from a, b")

    app.add_api_route("/v1/fail", fail)
    answer = caller().get("/v1/fail")
    assert answer.status_code == answer.json()["status"] == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"] == "column 'x' is not there; choose from a, b"
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.usefixtures("_order")
def test_values_that_cannot_be_used_are_named_one_by_one(caller: Caller) -> None:
    answer = caller().post("/v1/order", json={"size": 0, "names": ["a", 3]})
    assert answer.status_code == 422
    problem = answer.json()
    assert problem["type"] == "urn:koc:invalid-request"
    assert problem["errors"] == [
        {"field": "body.size", "value": 0, "message": "Input should be greater than or equal to 1"},
        {"field": "body.names.1", "value": 3, "message": "Input should be a valid string"},
    ]
    assert problem["detail"].startswith("body.size: Input should be greater than or equal to 1; body.names.1: ")


@pytest.mark.usefixtures("_order")
@pytest.mark.parametrize("body", [b"{", b"", b"[1]", b'"\xff"', b"null", b'{"size": 1e999, "names": []}'])
def test_a_body_that_is_no_such_object_is_a_problem(caller: Caller, body: bytes) -> None:
    answer = caller().post("/v1/order", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_field_that_there_is_not_is_told_where_to_look(caller: Caller) -> None:
    answer = caller().post("/v1/candidate-lists", json={"criteria": {"size": 1, "sizes": 2}})
    message = "there is no such field; /docs lists those that there are"
    assert answer.json()["errors"] == [{"field": "body.criteria.sizes", "value": 2, "message": message}]


def test_where_nothing_is_one_is_told_where_to_look(caller: Caller) -> None:
    answer = caller().get("/v1/nothing/here")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:koc:not-found")
    assert answer.json()["detail"] == "there is nothing at /v1/nothing/here; /docs lists what there is"


def test_a_method_that_is_not_answered_is_named_with_those_that_are(caller: Caller) -> None:
    answer = caller().delete("/v1/audit")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert answer.json()["detail"] == "/v1/audit does not answer DELETE; /docs lists what it answers"


def test_a_database_that_is_gone_is_a_503_without_its_words(app: FastAPI, caller: Caller) -> None:
    def gone() -> None:
        raise sa.exc.OperationalError("SELECT secret FROM t", {}, Exception("server closed the connection"))

    app.add_api_route("/v1/gone", gone)
    answer = caller().get("/v1/gone")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret" not in answer.text


def test_what_somebody_else_has_kept_already_is_a_409(app: FastAPI, caller: Caller) -> None:
    def twice() -> None:
        raise sa.exc.IntegrityError("INSERT INTO t", {}, Exception("UNIQUE constraint failed: t.key"))

    app.add_api_route("/v1/twice", twice)
    answer = caller().get("/v1/twice")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:koc:changed-meanwhile")


def test_a_database_without_a_free_connection_is_a_503(app: FastAPI, caller: Caller) -> None:
    def full() -> None:
        raise sa.exc.TimeoutError("QueuePool limit of size 5 overflow 10 reached")

    app.add_api_route("/v1/full", full)
    answer = caller().get("/v1/full")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_body_that_is_too_large_is_refused(app: FastAPI, caller: Caller) -> None:
    async def order(order: Order) -> str:
        return f"{order.size}"

    app.add_api_route("/v1/order", order, methods=["POST"])
    answer = caller().post("/v1/order", content=b" " * (64 * 2**20 + 1), headers={"Content-Type": "application/json"})
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"]
