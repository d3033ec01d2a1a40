from fastapi.testclient import TestClient

from serving.access.keys import Keys
from serving.api.services import Services
from serving.kpis import kpis
from tests.serving.api.conftest import Caller
from tests.serving.batches import write_users
from tests.serving.test_kpis import USERS, market, rewards


def test_d72_the_ledger_of_assets_over_the_api(caller: Caller, plain_services: Services) -> None:
    made = kpis(market(rewards=rewards(("a", 101))), USERS)
    manifest = write_users(plain_services.served.store, [{"user_id": "a"}], kpis=made)
    answer = caller("read").get("/v1/kpis")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["batch"], found["model"]) == (manifest.batch, "koc/1")
    assert found["as_of"] == "2024-06-01T00:00:00Z"
    assert [(row["category"], row["amount"], row["cost"]) for row in found["categories"]] == [
        ("tea", 1501, 51),
        ("toys", 533, 50),
    ]
    assert found["total"]["amount"] == 2034
    assert found["total"]["cost"] == 101


def test_keys_that_see_some_rows_are_refused(caller: Caller, plain_services: Services) -> None:
    write_users(plain_services.served.store, [{"user_id": "a", "attribute_tier": "gold"}])
    text, _ = Keys(plain_services.database).create("shop", ["read"], {"attribute_tier": ["gold"]})
    client: TestClient = caller()
    answer = client.get("/v1/kpis", headers={"Authorization": f"Bearer {text}"})
    assert answer.status_code == 403
    assert "sees some rows only" in answer.json()["detail"]


def test_a_batch_without_a_ledger_says_what_to_do(caller: Caller, plain_services: Services) -> None:
    write_users(plain_services.served.store, [{"user_id": "a"}])
    answer = caller("read").get("/v1/kpis")
    assert answer.status_code >= 400
    assert "score again" in answer.json()["detail"]
