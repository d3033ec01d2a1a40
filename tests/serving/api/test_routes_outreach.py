from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient

from serving.access.audit import Audit
from serving.access.keys import Keys
from serving.api.services import Services
from serving.state.tables import outreach
from tests.serving.api.conftest import Caller
from tests.serving.batches import write_users
from tests.serving.outreach.shop import put_list, rows


@pytest.fixture
def services(plain_services: Services) -> Services:
    users = [{"user_id": f"u{number}", "attribute_region": "Suzhou" if number % 2 else "Hangzhou"} for number in range(10)]
    write_users(plain_services.served.store, users)
    arms = {"u0": "contact", "u1": "contact", "u2": "holdout", "u3": "holdout"}
    put_list(plain_services.database, arms, days=36_500)
    return plain_services


@pytest.fixture
def client(services: Services, caller: Caller) -> TestClient:  # noqa: ARG001
    return caller("operate")


def test_contacts_and_outcomes_come_back_as_results(client: TestClient, services: Services) -> None:
    contacts = {"records": [{"user_id": "u0", "list_id": "list1", "cost": 500}, {"user_id": "u9", "list_id": "list1"}]}
    headers = {"Idempotency-Key": "morning", "X-Request-ID": "r1"}
    answer = client.post("/v1/outreach", json=contacts, headers=headers)
    assert answer.status_code == 200
    report = answer.json()
    assert (report["accepted"], report["repeated"], report["against"]) == (1, 0, {})
    assert [(one["position"], one["key"], one["reason"]) for one in report["rejected"]] == [(1, "morning:1", "not_on_list")]
    assert client.post("/v1/outreach", json=contacts, headers=headers).json()["repeated"] == 1
    did = {"key": "o1", "user_id": "u0", "list_id": "list1", "outcome": "converted", "amount": 990}
    assert client.post("/v1/outcomes", json={"records": [did]}).json()["accepted"] == 1
    results = client.get("/v1/candidate-lists/list1/results").json()
    assert results["arms"]["contact"]["did"]["converted"] == 1
    assert results["differences"]["converted"]["value"] == 0.5
    assert results["differences"]["converted"]["method"] == "newcombe"
    assert (results["cost"], results["cost_per_conversion"]) == (500, 500.0)
    (entry, _) = Audit(services.database).read(action="outreach.create")
    assert entry.request_id == "r1"


def test_a_post_of_which_nothing_is_kept_is_a_problem_that_names_every_record(client: TestClient) -> None:
    told = {"key": "k", "user_id": "u5", "campaign_id": "c"}
    client.post("/v1/outreach", json={"records": [told]})
    answer = client.post("/v1/outreach", json={"records": [{**told, "cost": 7}]})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    assert "key 'k' is kept with other content" in answer.json()["detail"]
    strangers = [{"key": f"s{number}", "user_id": f"x{number}", "campaign_id": "c"} for number in range(5)]
    answer = client.post("/v1/outreach", json={"records": strangers})
    assert answer.status_code == 422
    assert [one["field"] for one in answer.json()["errors"]] == [f"body.records.{number}" for number in range(5)]
    assert "and 2 more" in answer.json()["detail"]


def test_a_rule_that_was_broken_is_counted(client: TestClient, services: Services) -> None:
    client.post("/v1/suppressions", json={"user_ids": ["u0"], "code": "ring"})
    told = {"key": "k", "user_id": "u0", "list_id": "list1"}
    assert client.post("/v1/outreach", json={"records": [told]}).status_code == 422
    report = client.post("/v1/outreach", json={"records": [{**told, "already_happened": True}]}).json()
    assert report["against"] == {"suppressed": 1}
    assert rows(services.database, outreach)[0]["against"] == "suppressed"


@pytest.mark.parametrize(
    "wrong",
    [
        {"user_id": "u0"},
        {"user_id": "u0", "campaign_id": "c", "cost": -1},
        {"user_id": "u0", "campaign_id": "c", "cost": 1.5},
        {"user_id": "u\x000", "campaign_id": "c"},
        {"user_id": "u0", "campaign_id": "c", "contacted_at": "2024-06-01T10:00:00"},
        {"user_id": "u0", "campaign_id": "c", "phone": "138"},
    ],
)
def test_records_that_cannot_be_read_are_named_before_anything_is_kept(
    client: TestClient, services: Services, wrong: dict[str, object]
) -> None:
    good = {"key": "k", "user_id": "u5", "campaign_id": "c"}
    answer = client.post("/v1/outreach", json={"records": [good, {"key": "l", **wrong}]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("body.records.1")
    assert rows(services.database, outreach) == []


def test_reading_keys_post_nothing_and_row_scopes_see_their_part(caller: Caller, services: Services) -> None:
    told = {"records": [{"key": "k", "user_id": "u1", "campaign_id": "c"}]}
    assert caller("read").post("/v1/outreach", json=told).status_code == 403
    text, _ = Keys(services.database).create("hangzhou", ["operate"], {"attribute_region": ["Hangzhou"]})
    scoped = caller()
    scoped.headers["Authorization"] = f"Bearer {text}"
    answer = scoped.post("/v1/outreach", json=told)
    assert answer.status_code == 422
    assert "sees only people of attribute_region Hangzhou" in answer.json()["detail"]
    assert scoped.get("/v1/candidate-lists/list1/results").json()["arms"]["contact"]["people"] == 1


def test_moments_are_told_in_utc(client: TestClient, services: Services) -> None:
    told = {"key": "k", "user_id": "u5", "campaign_id": "c", "contacted_at": "2024-06-01T08:00:00+08:00"}
    client.post("/v1/outreach", json={"records": [told]})
    assert rows(services.database, outreach)[0]["contacted_at"] == datetime(2024, 6, 1, tzinfo=UTC)
