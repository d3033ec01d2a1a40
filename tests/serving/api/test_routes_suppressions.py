import pytest
from fastapi.testclient import TestClient

from serving.api.services import Services
from tests.serving.api.conftest import Caller
from tests.serving.batches import write_users


@pytest.fixture
def client(plain_services: Services, caller: Caller) -> TestClient:
    write_users(plain_services.served.store, [{"user_id": "u1"}, {"user_id": "u2"}])
    return caller("operate")


def test_a_person_is_suppressed_for_a_while_and_an_appeal_ends_it(client: TestClient) -> None:
    body = {"user_ids": ["u1"], "code": "ring", "evidence": "40 helpers", "expires_at": "2999-01-01T00:00:00Z"}
    added = client.post("/v1/suppressions", json=body)
    assert added.status_code == 201
    (entry,) = added.json()["suppressions"]
    assert (entry["kind"], entry["code"], entry["lifted_at"]) == ("suppressed", "ring", None)
    lifted = client.post(f"/v1/suppressions/{entry['suppression']}/lift", json={"reason": "colleagues"})
    assert lifted.json()["lifted_because"] == "colleagues"
    again = client.post(f"/v1/suppressions/{entry['suppression']}/lift", json={"reason": "colleagues"})
    assert again.status_code == 409
    assert client.get("/v1/users/u1/suppressions").json()["suppressions"] == [lifted.json()]
    assert client.post("/v1/suppressions/77/lift", json={"reason": "x"}).status_code == 404


def test_consent_is_withdrawn_for_a_channel(client: TestClient) -> None:
    added = client.post("/v1/consent-withdrawals", json={"user_ids": ["u1", "u2"], "channel": "sms"})
    assert [one["channel"] for one in added.json()["suppressions"]] == ["sms", "sms"]
    told = {"user_id": "u1", "campaign_id": "c"}
    posted = client.post("/v1/outreach", json={"records": [{"key": "1", "channel": "sms", **told}, {"key": "2", **told}]})
    assert [one["reason"] for one in posted.json()["rejected"]] == ["consent_withdrawn"]


def test_an_end_that_has_passed_is_refused(client: TestClient) -> None:
    body = {"user_ids": ["u1"], "code": "ring", "expires_at": "2024-01-01T00:00:00Z"}
    answer = client.post("/v1/suppressions", json=body)
    assert answer.status_code == 422
    assert "give a later one" in answer.json()["detail"]


def test_only_admins_erase(client: TestClient, caller: Caller) -> None:
    assert client.post("/v1/erasures", json={"user_id": "u1"}).status_code == 403
    erased = caller("admin").post("/v1/erasures", json={"user_id": "u1"})
    assert erased.status_code == 200
    assert erased.json()["deleted"] == {"applications": 0, "roster": 0, "reservations": 0}
    assert "remove u1 from" in erased.json()["remedy"]
    assert client.get("/v1/users/u1/suppressions").json()["suppressions"][0]["kind"] == "erased"
