from datetime import UTC, datetime, timedelta

import pytest

from serving.access.audit import Audit
from serving.access.principal import LOCAL
from serving.api.services import Services
from tests.serving.api.conftest import Caller

DAY = datetime(2024, 5, 31, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _entries(plain_services: Services) -> None:
    for number in range(5):
        Audit(plain_services.database).write(LOCAL, "list.view", f"l{number}", rows=number, now=DAY + timedelta(days=number))


def test_pages_hold_every_entry_once(caller: Caller) -> None:
    client, after, found = caller("admin"), 0, []
    while after is not None:
        page = client.get("/v1/audit", params={"limit": 2, "after": after, "action": "list"}).json()
        found += [entry["subject"] for entry in page["entries"]]
        after = page["next"]
    assert found == ["l0", "l1", "l2", "l3", "l4"]


def test_a_moment_without_a_zone_is_utc(caller: Caller) -> None:
    client = caller("admin")
    for since in ("2024-06-03T00:00:00", "2024-06-03T08:00:00+08:00"):
        entries = client.get("/v1/audit", params={"since": since, "until": "2024-06-04"}).json()["entries"]
        assert [(entry["subject"], entry["at"], entry["rows"]) for entry in entries] == [("l3", "2024-06-03T00:00:00Z", 3)]


def test_only_an_admin_reads_the_log(caller: Caller) -> None:
    assert caller("read", "operate", "train", "identify").get("/v1/audit").status_code == 403
