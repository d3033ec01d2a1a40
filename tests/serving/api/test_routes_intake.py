import pytest
from fastapi.testclient import TestClient

from serving.api.services import Services
from serving.state.tables import roster
from tests.serving.api.conftest import Caller
from tests.serving.outreach.shop import rows

FORM = {
    "application_id": "f1",
    "person": {"name": "张三", "phone": "138"},
    "answers": {"talents": ["烹饪"], "accounts": [{"platform": "weibo", "fans": 1200}]},
}


@pytest.fixture
def client(caller: Caller) -> TestClient:
    return caller("operate")


def test_a_roster_comes_in_as_json_before_any_scores(client: TestClient, plain_services: Services) -> None:
    told = {"external_id": "w1", "user_id": "u1", "added_at": "2024-06-01T08:00:00+08:00"}
    assert client.post("/v1/roster", json={"records": [told]}).json()["accepted"] == 1
    assert client.post("/v1/roster", json={"records": [told]}).json()["repeated"] == 1
    assert rows(plain_services.database, roster)[0]["user_id"] == "u1"
    # Who is on the roster is known, score or not.
    contact = {"key": "1", "user_id": "u1", "campaign_id": "c"}
    assert client.post("/v1/outreach", json={"records": [contact]}).json()["accepted"] == 1


def test_a_roster_comes_in_as_a_file(client: TestClient, plain_services: Services) -> None:
    content = "external_userid,添加时间\nw1,2024-06-01 08:00\nw2,2024-06-01 08:00\n"
    answer = client.post("/v1/roster/file", files={"file": ("名单.CSV", content.encode("gb18030"))})
    assert answer.json()["accepted"] == 2
    assert rows(plain_services.database, roster, "key")[0]["added_at"].hour == 0
    other = client.post("/v1/roster/file", files={"file": ("r.csv", content.encode())}, data={"zone": "UTC"})
    assert other.json()["accepted"] == 2


@pytest.mark.parametrize(
    ("name", "content", "zone", "said"),
    [
        ("r.pdf", "x", "UTC", "'r.pdf' is none of .csv, .xlsx"),
        ("r.csv", "external_id,added_at\nw1,2024-06-01\n", "Mars/North", "unknown zone 'Mars/North'"),
        ("r.csv", "external_id,added_at\n", "UTC", "has no rows below its header"),
        ("r.csv", "", "UTC", "is empty"),
        ("r.csv", "external_id,added_at\nw1,soon\n", "UTC", "row 2, added_at: 'soon'"),
        ("r.xlsx", "no zip", "UTC", "cannot be read as a spreadsheet"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(client: TestClient, name: str, content: str, zone: str, said: str) -> None:
    answer = client.post("/v1/roster/file", files={"file": (name, content.encode())}, data={"zone": zone})
    assert answer.status_code == 422
    assert said in answer.json()["detail"]
    assert "koc-roster" not in answer.json()["detail"]


def test_an_application_shows_the_person_to_keys_that_may_identify(client: TestClient, caller: Caller) -> None:
    made = client.post("/v1/applications", json=FORM)
    assert made.status_code == 201
    assert client.post("/v1/applications", json=FORM).status_code == 200
    assert client.post("/v1/applications", json={**FORM, "person": {"name": "李四"}}).status_code == 409
    assert client.get("/v1/applications/f1").json() == made.json()
    assert "张三" not in client.get("/v1/applications").text
    for scope in ("operate", "admin"):
        assert caller(scope).get("/v1/applications/f1/person").status_code == 403
    assert caller("identify").get("/v1/applications/f1/person").json()["name"] == "张三"
    assert caller("identify").get("/v1/applications/f9/person").status_code == 404


def test_applications_are_paged_by_id(client: TestClient) -> None:
    for number in range(5):
        client.post("/v1/applications", json={**FORM, "application_id": f"f{number}"})
    first = client.get("/v1/applications", params={"limit": 3}).json()
    second = client.get("/v1/applications", params={"limit": 3, "after": first["next"]}).json()
    ids = [one["application_id"] for page in (first, second) for one in page["applications"]]
    assert (ids, second["next"]) == ([f"f{number}" for number in range(5)], None)
