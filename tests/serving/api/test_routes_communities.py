"""Communities over the API."""

from serving.access.principal import LOCAL
from serving.api.services import Services
from serving.outreach.suppressions import Cause
from tests.serving.api.conftest import Caller
from tests.serving.batches import write_users
from tests.serving.test_community_pages import ROWS, USERS, communities_table


def test_communities_are_filtered_sorted_and_paged(caller: Caller, plain_services: Services) -> None:
    manifest = write_users(plain_services.served.store, USERS, communities=communities_table(ROWS))
    client = caller("read")
    first = client.get("/v1/communities", params={"by": "members", "limit": 2}).json()
    assert (first["batch"], first["model"]) == (manifest.batch, "koc/1")
    assert (first["total"], first["next"]) == (3, 2)
    assert [row["community_id"] for row in first["communities"]] == ["g2", "g1"]
    (row,) = client.get("/v1/communities", params={"leaderless": True}).json()["communities"]
    assert (row["community_id"], row["candidate_id"], row["value_per_head"]) == ("g1", "a", 900.0)
    plain_services.erasures.erase(LOCAL, "a", "asked")
    plain_services.suppressions.add(LOCAL, Cause.SUPPRESSED, ["c"], "abuse")
    named = {row["community_id"]: row for row in client.get("/v1/communities").json()["communities"]}
    people = {name: [row[f"{role}_id"] for role in ("leader", "broker", "candidate")] for name, row in named.items()}
    assert people == {"g1": [None] * 3, "g2": [None, None, "b"], "g3": [None] * 3}
    refused = client.get("/v1/communities", params={"kind": "mcn"})
    assert refused.status_code == 422
    assert "choose from club" in refused.json()["detail"]
    assert client.get("/v1/communities", params={"by": "beauty"}).status_code == 422
    assert caller("identify").get("/v1/communities").status_code == 403
