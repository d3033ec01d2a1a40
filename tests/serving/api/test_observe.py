import io
from typing import Any

import orjson
import pytest
import structlog
from fastapi import FastAPI

from serving.api.observe import Metrics
from tests.serving.api.conftest import Caller


@pytest.fixture
def lines() -> Any:
    with structlog.testing.capture_logs() as captured:
        yield captured


@pytest.mark.parametrize("given", ["r-17", "a" * 128, "01J:x_y.z"])
def test_the_id_of_a_request_is_taken_over(caller: Caller, given: str) -> None:
    assert caller().get("/healthz", headers={"X-Request-ID": given}).headers["x-request-id"] == given


@pytest.mark.parametrize("given", ["", "a" * 129, 'x" forged="1', "a b"])
def test_an_id_that_could_mislead_readers_of_the_log_is_replaced(caller: Caller, given: str) -> None:
    answer = caller().get("/healthz", headers={"X-Request-ID": given})
    assert len(answer.headers["x-request-id"]) == 32


def test_every_request_has_its_own_id(caller: Caller) -> None:
    client = caller()
    assert len({client.get("/healthz").headers["x-request-id"] for _ in range(3)}) == 3


def test_a_request_is_one_line_of_log(caller: Caller, lines: list[dict[str, Any]]) -> None:
    caller("admin").get("/v1/audit?limit=5", headers={"X-Request-ID": "r1"})
    caller("admin").get("/healthz")
    (line,) = lines
    assert line.pop("ms") >= 0
    assert line == {
        "event": "request", "log_level": "info", "request_id": "r1", "key": "admin", "method": "GET", "route": "/v1/audit",
        "status": 200,
    }  # fmt: skip


def test_what_nobody_expected_is_told_in_the_log_alone(app: FastAPI, caller: Caller, lines: list[dict[str, Any]]) -> None:
    def boom() -> None:
        raise RuntimeError("password is hunter2")

    app.add_api_route("/v1/boom", boom)
    answer = caller().get("/v1/boom", headers={"X-Request-ID": "r1"})
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] == answer.json()["request_id"] == "r1"
    assert "hunter2" not in answer.text
    assert "RuntimeError" not in answer.text
    assert [line["event"] for line in lines] == ["unexpected", "request"]
    assert lines[1]["status"] == 500


def test_requests_are_counted_by_route_and_not_by_path(caller: Caller, app: FastAPI) -> None:
    async def one(name: str) -> str:
        return name

    app.add_api_route("/v1/things/{name}", one)
    client = caller("read")
    for path in ("/v1/things/a", "/v1/things/b", "/nothing/a", "/nothing/b"):
        client.get(path)
    text = client.get("/metrics").text
    assert 'koc_requests_total{method="GET",route="/v1/things/{name}",status="200"} 2.0' in text
    assert 'koc_requests_total{method="GET",route="unknown",status="404"} 2.0' in text
    assert 'koc_request_seconds_count{route="/v1/things/{name}"} 2.0' in text


def test_an_unknown_method_makes_no_metric_of_its_own(caller: Caller) -> None:
    client = caller("read")
    client.request("XYZZY", "/v1/audit")
    assert "XYZZY" not in client.get("/metrics").text


def test_two_applications_count_apart() -> None:
    first, second = Metrics(), Metrics()
    first.count("GET", "/a", 200, 0.1)
    assert b'route="/a"' in first.text()
    assert b'route="/a"' not in second.text()


def test_logs_are_json_lines_of_our_own_and_of_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    import logging
    import sys

    from serving.api.logs import start_logs

    out = io.TextIOWrapper(io.BytesIO(), write_through=True)
    before = structlog.get_config(), logging.getLogger().handlers[:], logging.getLogger().level
    monkeypatch.setattr(sys, "stderr", out)
    try:
        start_logs()
        structlog.get_logger().info("request", status=200)
        logging.getLogger("library").warning("slow %s", "disk")
    finally:
        structlog.configure(**before[0])
        logging.getLogger().handlers[:] = before[1]
        logging.getLogger().setLevel(before[2])
    out.seek(0)
    own, other = map(orjson.loads, out.read().splitlines())
    assert (own["event"], own["status"], own["level"]) == ("request", 200, "info")
    assert (other["event"], other["logger"], other["level"]) == ("slow disk", "library", "warning")
