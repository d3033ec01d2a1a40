"""A campaign from its keys to its results and what stays of it, through the HTTP API alone, on both databases."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from serving.access.keys import Keys
from serving.api.app import create_app
from serving.api.services import Services
from serving.settings import ServiceSettings
from tests.serving.batches import random_users, write_random, write_table

REGIONS = {"Hangzhou": 40, "Suzhou": 30, "*": 30}
CRITERIA = {
    "size": 90,
    "filters": {"reachable": "sms", "churn_probability": {"max": 0.9}},
    "quotas": {"attribute_region": REGIONS},
    "diversity": {"most_each": {"attribute_owner": 40}},
    "holdout": 0.3,
    "cool_down_days": 30,
}
PLAN = {"name": "June", "criteria": CRITERIA}


@pytest.fixture
def services(tmp_path: Path, database_url: str) -> Iterator[Services]:
    settings = ServiceSettings(home=tmp_path, dataset=tmp_path / "dataset.toml", database_url=database_url)
    write_random(settings.scores, users=600)
    opened = Services.open(settings)
    yield opened
    opened.database.close()


class Caller:
    """A key and what it gets: bodies of answers whose status is the one expected."""

    def __init__(self, services: Services, *scopes: str, **row_scope: list[str]) -> None:
        text, self.key = Keys(services.database).create(" ".join(scopes), scopes, row_scope)
        self.client = TestClient(create_app(services.settings, services), headers={"Authorization": f"Bearer {text}"})

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = self.client.get(f"/v1{path}", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def post(self, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        answer = self.client.post(f"/v1{path}", json=body, **more)
        assert answer.status_code == status, answer.text
        return answer.json()

    def file(self, path: str, form: str, **query: Any) -> bytes:
        answer = self.client.get(f"/v1{path}/export", params={"form": form, **query})
        assert answer.status_code == 200, answer.text
        content: bytes = answer.content
        return content

    def people(self, path: str, part: str = "contact", limit: int = 7) -> list[dict[str, Any]]:
        """Every row of a list, read page by page."""
        rows: list[dict[str, Any]] = []
        query: dict[str, Any] = {"part": part, "limit": limit}
        while True:
            page = self.get(f"{path}/members", **query)
            rows += page["rows"]
            if page["next_cursor"] is None:
                return rows
            query["after"] = page["next_cursor"]


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["user_id"] for row in rows]


def test_a_whole_campaign(services: Services) -> None:  # noqa: PLR0915 - a story
    operator, admin = Caller(services, "operate"), Caller(services, "admin")

    # Whom to expect, and the list itself.
    preview = operator.post("/candidates", {"filters": CRITERIA["filters"], "size": 20})
    assert len(preview) == 20
    made = operator.post("/candidate-lists", PLAN, 201)
    path = f"/candidate-lists/{made['list_id']}"
    everybody = operator.people(path, "all")
    contacts, held_out = (ids(operator.people(path, arm)) for arm in ("contact", "holdout"))
    assert len(everybody) == made["rows"] == made["arms"]["contact"] + made["arms"]["holdout"]
    assert sorted(contacts + held_out) == sorted(ids(everybody))
    assert len(held_out) > 5
    assert {row["attribute_consent_sms"] for row in everybody} == {"yes"}
    lived = [row["attribute_region"] for row in everybody]
    found = {region: lived.count(region) for region in ("Hangzhou", "Suzhou")}
    found["*"] = len(lived) - sum(found.values())
    assert all(found[region] <= most for region, most in REGIONS.items())
    short = {one["value"]: one["found"] for one in made["shortfalls"] if one["column"]}
    assert short == {region: found[region] for region, most in REGIONS.items() if found[region] < most}
    assert short  # or it was not tried

    # Given to staff, worked, exported and returned.
    operator.post(f"{path}/assign", {"how": {"by": "turn", "staff": ["li", "wang"]}})
    tasks = operator.get("/worklists/li")["tasks"]
    assert {task["user_id"] for task in tasks} <= set(contacts)
    assert all(task["words_zh"] for task in tasks)
    csv = pyarrow.csv.read_csv(io.BytesIO(operator.file(path, "csv")))
    parquet = pq.read_table(io.BytesIO(operator.file(path, "parquet")))
    book = openpyxl.load_workbook(io.BytesIO(operator.file(path, "xlsx")))
    header, *filled = book.active.iter_rows()
    columns = {cell.value: place for place, cell in enumerate(header)}
    for form in (
        csv["user_id"].to_pylist(),
        parquet["user_id"].to_pylist(),
        [row[columns["user_id"]].value for row in filled],
    ):
        assert form == contacts
    for row in filled[:3]:
        row[columns["state"]].value = "已添加"
    back = io.BytesIO()
    book.save(back)
    returned = operator.post("/returned-exports", files={"file": ("li.xlsx", back.getvalue())})
    assert (returned["moved"], returned["bad"]) == (3, [])
    assert [row["state"] for row in operator.people(path)[:4]] == ["added"] * 3 + ["selected"]

    # What was done and what came of it; the same post twice counts once.
    calls = {"records": [{"list_id": made["list_id"], "user_id": user, "channel": "sms", "cost": 100} for user in contacts]}
    for kept in ("accepted", "repeated"):
        report = operator.post("/outreach", calls, headers={"Idempotency-Key": "morning"})
        assert (report[kept], report["rejected"]) == (len(contacts), [])
    refused = operator.post(
        "/outreach", {"records": [{"list_id": made["list_id"], "user_id": held_out[0], "key": "k"}]}, 422
    )
    assert "held_out" in refused["errors"][0]["message"]
    bought = [*contacts[::2], held_out[0]]
    did = [
        {"list_id": made["list_id"], "user_id": user, "outcome": "converted", "amount": 9900, "key": f"order {user}"}
        for user in bought
    ]
    for _ in range(2):
        operator.post("/outcomes", {"records": did})
    results = operator.get(f"{path}/results")
    arms = results["arms"]
    assert (arms["contact"]["contacted"], arms["contact"]["did"]["converted"]) == (len(contacts), len(bought) - 1)
    assert (arms["holdout"]["contacted"], arms["holdout"]["did"]["converted"]) == (0, 1)
    difference = results["differences"]["converted"]
    assert difference["value"] == pytest.approx((len(bought) - 1) / len(contacts) - 1 / len(held_out))
    assert difference["low"] < difference["value"] < difference["high"]
    assert results["cost"] == 100 * len(contacts)

    # Whoever withdraws or is erased is in no read from then on; the list itself stays what it is.
    withdrew, erased = contacts[3], contacts[4]
    operator.post("/consent-withdrawals", {"user_ids": [withdrew], "channel": "sms"}, 201)
    operator.post("/erasures", {"user_id": erased}, 403)
    admin.post("/erasures", {"user_id": erased})
    left = [user for user in contacts if user not in (withdrew, erased)]
    assert ids(operator.people(path)) == left
    assert pq.read_table(io.BytesIO(operator.file(path, "parquet")))["user_id"].to_pylist() == left
    now = operator.get(path)
    assert now["taken_out"] == {"consent_withdrawn": 1, "erased": 1}
    assert {**now, "taken_out": {}} == made
    (entry,) = operator.get(f"/users/{withdrew}")["suppressions"]
    assert (entry["kind"], entry["channel"]) == ("consent_withdrawn", "sms")
    operator.get(f"/users/{erased}", 404)

    # Nobody is on two running lists, and after the first has ended, nobody who was contacted within the cool-down.
    second = operator.post("/candidate-lists", PLAN, 201)
    others = ids(operator.people(f"/candidate-lists/{second['list_id']}", "all"))
    assert others
    assert not set(others) & set(ids(everybody))
    for one in (made, second):
        operator.post(f"/candidate-lists/{one['list_id']}/close")
    third = operator.post("/candidate-lists", PLAN, 201)
    again = set(ids(operator.people(f"/candidate-lists/{third['list_id']}", "all")))
    assert not again & set(contacts)
    assert again & set(held_out)
    assert operator.get(f"/candidate-lists/{third['list_id']}/why/{left[0]}")["failing"] == "cool_down"

    # A retrained batch underneath changes nothing of what was made.
    before = operator.people(path, "all")
    write_table(services.served.store, random_users(400, seed=9), model="koc/2")
    assert services.served.refresh().manifest.model == "koc/2"
    unmoved = [user for user in before if user["user_id"] in _still_reachable(services)]
    assert operator.people(path, "all") == unmoved
    assert operator.get(path)["checksum"] == made["checksum"]

    # Who did all that is on record.
    entries = admin.get("/audit")["entries"]
    mine = [(entry["action"], entry["rows"]) for entry in entries if entry["key_id"] == operator.key.key_id]
    assert ("list.create", made["rows"]) in mine
    assert mine.count(("list.export", len(contacts))) == 3
    assert ("outreach.create", len(contacts)) in mine
    assert ("outcomes.create", len(bought)) in mine
    assert {action for action, _ in mine} >= {"list.read", "worklist.view", "list.return", "user.view", "list.close"}
    assert ("user.erase", 1) in [
        (entry["action"], entry["rows"]) for entry in entries if entry["key_id"] == admin.key.key_id
    ]


def _still_reachable(services: Services) -> set[str]:
    """Whose consent the batch that is served knows still, or who are unknown to it."""
    batch = services.served.batch
    users = batch.table(columns=["user_id", "attribute_consent_sms"]).to_pylist()
    refuse = {user["user_id"] for user in users if user["attribute_consent_sms"] != "yes"}
    return {f"u{number:05}" for number in range(600)} - refuse


def test_d59_an_operator_of_one_region_campaigns_within_it(services: Services) -> None:
    whole, mine = Caller(services, "operate"), Caller(services, "operate", attribute_region=["Suzhou"])
    made = whole.post("/candidate-lists", PLAN, 201)
    path = f"/candidate-lists/{made['list_id']}"
    rows = whole.people(path, "all")
    inside = [row["user_id"] for row in rows if row["attribute_region"] == "Suzhou"]
    outside = next(row["user_id"] for row in rows if row["attribute_region"] != "Suzhou")
    assert ids(mine.people(path, "all")) == inside
    assert pq.read_table(io.BytesIO(mine.file(path, "parquet", part="all")))["user_id"].to_pylist() == inside
    assert sum(arm["people"] for arm in mine.get(f"{path}/results")["arms"].values()) == len(inside)
    mine.get(f"/users/{outside}", 404)
    mine.post(f"{path}/states", {"user_ids": [outside], "state": "surveyed"}, 422)
    told = mine.post("/outreach", {"records": [{"list_id": made["list_id"], "user_id": outside, "key": "k"}]}, 422)
    assert "outside" in told["errors"][0]["message"] or "unknown" in told["errors"][0]["message"]
