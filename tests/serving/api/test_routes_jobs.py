from typing import Any

import pytest

from serving.access.principal import LOCAL
from serving.api.services import Services
from serving.jobs.leases import Lease, Leases
from tests.serving.api.conftest import Caller

SCORE: dict[str, Any] = {"kind": "score", "arguments": {"model": "challenger"}}
LIST: dict[str, Any] = {"kind": "list", "arguments": {"criteria": {"size": 10}}}


def test_a_job_is_asked_for_watched_cancelled_and_tried_again(caller: Caller, plain_services: Services) -> None:
    client = caller("train")
    asked = client.post("/v1/jobs", json=SCORE)
    assert asked.status_code == 202
    job = asked.json()
    assert asked.headers["Location"] == f"/v1/jobs/{job['job_id']}"
    assert (job["state"], job["progress"], job["arguments"]) == ("queued", 0, {"model": "challenger", "as_of": None})
    assert Leases(plain_services.database, 60).claim("w", ["score"])
    lease = Lease(job["job_id"], "w", 1)
    Leases(plain_services.database, 60).tell(lease, 0.5, "orders")
    seen = client.get(asked.headers["Location"]).json()
    assert (seen["state"], seen["progress"], seen["step"], seen["attempts"]) == ("running", 0.5, "orders", 1)
    retried = client.post(f"{asked.headers['Location']}/retry")
    assert (retried.status_code, retried.headers["Content-Type"]) == (409, "application/problem+json")
    assert client.post(f"{asked.headers['Location']}/cancel").json()["cancel_asked"] is True
    Leases(plain_services.database, 60).cancel(lease)
    retried = client.post(f"{asked.headers['Location']}/retry")
    assert (retried.status_code, retried.json()["state"]) == (202, "queued")
    assert client.post(f"{asked.headers['Location']}/cancel").json()["state"] == "cancelled"
    audited = [entry.action for entry in plain_services.audit.read(action="job")]
    assert audited == ["job.create", "job.cancel", "job.retry", "job.cancel"]
    assert all(entry.request_id for entry in plain_services.audit.read(action="job"))


@pytest.mark.parametrize(
    ("scope", "body", "status"),
    [("read", LIST, 403), ("read", SCORE, 403), ("operate", LIST, 202), ("operate", SCORE, 403), ("train", LIST, 403),
     ("train", {"kind": "train"}, 202), ("train", {"kind": "score"}, 202), ("admin", LIST, 202)],
)  # fmt: skip
def test_each_kind_needs_its_scope(caller: Caller, scope: str, body: dict[str, Any], status: int) -> None:
    assert caller(scope).post("/v1/jobs", json=body).status_code == status


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"kind": "fly"}, "body"),
        ({"kind": "score", "arguments": {"as_of": "soon"}}, "body.score.arguments.as_of"),
        ({"kind": "list", "arguments": {"criteria": {"size": 0}}}, "body.list.arguments.criteria.size"),
        ({"kind": "train", "arguments": {"settings": {"dates": 0}}}, "body.train.arguments.settings"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(caller: Caller, body: dict[str, Any], field: str) -> None:
    client = caller("admin")
    refused = client.post("/v1/jobs", json=body)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field)
    assert client.get("/v1/jobs").json() == {"jobs": [], "next": None}


def test_keys_see_their_own_jobs_and_admins_all(caller: Caller) -> None:
    one, other, admin = caller("operate"), caller("operate"), caller("admin")
    made = [client.post("/v1/jobs", json=LIST).json()["job_id"] for client in (one, other, one)]
    assert [job["job_id"] for job in one.get("/v1/jobs").json()["jobs"]] == [made[2], made[0]]
    first = admin.get("/v1/jobs", params={"limit": 2}).json()
    second = admin.get("/v1/jobs", params={"limit": 2, "after": first["next"]}).json()
    assert [job["job_id"] for job in first["jobs"] + second["jobs"]] == made[::-1]
    assert second["next"] is None
    for act in ("", "/cancel", "/retry"):
        answer = other.request("POST" if act else "GET", f"/v1/jobs/{made[0]}{act}")
        assert (answer.status_code, made[0] in answer.json()["detail"]) == (404, True)
    assert admin.post(f"/v1/jobs/{made[0]}/cancel").status_code == 200
    assert len(admin.get("/v1/jobs", params={"state": ["cancelled", "running"]}).json()["jobs"]) == 1
    assert admin.get("/v1/jobs", params={"kind": "train"}).json()["jobs"] == []


def test_metrics_count_jobs_by_state(caller: Caller, plain_services: Services) -> None:
    plain_services.jobs.create(LOCAL, "score", {})
    said = caller("read").get("/metrics").text
    assert 'koc_jobs{state="queued"} 1.0' in said
    assert 'koc_jobs{state="failed"} 0.0' in said
