from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from features.errors import ConflictError
from serving.access.audit import Audit
from serving.lists.members import write
from serving.lists.states import State
from serving.outreach import applications as applications_module
from serving.outreach import roster as roster_module
from serving.outreach.applications import Application, Applications, Person
from serving.outreach.erasures import Erasures, TableToClear
from serving.outreach.roster import ExternalContact, Roster
from serving.outreach.suppressions import Cause, Suppressions, blocked
from serving.state.database import Database
from serving.state.tables import (
    application_persons,
    applications,
    audit_log,
    list_members,
    member_events,
    reservations,
    roster,
    suppressions,
)
from tests.serving.outreach.shop import ALL, day, people_of, put_list, rows

DATASET = """
[tables.orders]
source = "orders.csv"
columns = { user_id = "买家", ordered_at = "付款时间" }

[tables.ties]
source = "postgresql://me:secret@db/crm"
table = "friends"

[tables.items]
source = "items.csv"

[tables.outreach]
source = "sqlite://operations.db"
table = "training_outreach"
"""


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "dataset.toml"
    path.write_text(DATASET, encoding="utf-8")
    return path


def test_an_erasure_deletes_what_is_kept_of_the_person_and_of_nobody_else(
    database: Database, dataset: Path, tmp_path: Path
) -> None:
    people = people_of(tmp_path)
    put_list(database, {"u1": "contact", "u2": "contact"})
    for user in ("u1", "u2"):
        Applications(database, people).add(ALL, Application(person=Person(name=user), user_id=user), now=day(0))
        Suppressions(database, people).add(ALL, Cause.SUPPRESSED, [user], "x", evidence=f"{user} said", now=day(0))
    contacts = [
        ExternalContact(external_id="w1", user_id="u1", added_at=day(0)),
        ExternalContact(external_id="w2", user_id="u2", inviter_id="u1", added_at=day(0)),
    ]
    Roster(database, people).bring_in(ALL, contacts, now=day(0))
    lift = Suppressions(database, people).lift
    for one in rows(database, suppressions):
        lift(ALL, one["suppression"], f"{one['user_id']} is well", now=day(0))
    with database.write() as connection:
        connection.execute(sa.insert(reservations).values(user_id="u1", list_id="list1", until=day(9)))
        write(connection, ALL, [("list1", user, State.UNSUITABLE, f"{user} is ill") for user in ("u1", "u2")], day(0))
    erased = Erasures(database, dataset).erase(ALL, "u1", "asked", now=day(1))
    assert erased.deleted == {"applications": 1, "roster": 1, "reservations": 1}
    assert [one["person"] for one in rows(database, application_persons)] == [
        Person(name="u2").model_dump(exclude_none=True)
    ]
    assert [(one["user_id"], one["inviter_id"]) for one in rows(database, roster)] == [("u2", None)]
    assert [one["state_reason"] for one in rows(database, list_members, "rank")] == [None, "u2 is ill"]
    assert [one["reason"] for one in rows(database, member_events, "event")] == [None, "u2 is ill"]
    kept = {(one["user_id"], one["kind"]): (one["evidence"], one["lifted_because"]) for one in rows(database, suppressions)}
    assert kept == {
        ("u1", "suppressed"): (None, None),
        ("u2", "suppressed"): ("u2 said", "u2 is well"),
        ("u1", "erased"): (None, None),
    }
    assert not any("u1 is" in str(one["criteria"]) for one in rows(database, audit_log))
    with database.read() as connection:
        assert ("u1", "erased") in zip(*blocked(connection, None, day(-99)).to_pydict().values(), strict=True)


def test_it_tells_which_tables_of_the_deployment_still_hold_the_person(database: Database, dataset: Path) -> None:
    erased = Erasures(database, dataset).erase(ALL, "u1", "asked", now=day(1))
    assert erased.clear == (
        TableToClear("orders", "orders.csv", {"user_id": "买家"}),
        TableToClear("ties", "postgresql://me@db/crm", {"user_id": "user_id", "influencer_id": "influencer_id"}),
    )
    assert "remove u1 from these tables, then train and score again" in erased.remedy
    without = Erasures(database, dataset.parent / "none.toml").erase(ALL, "u2", "asked", now=day(1))
    assert "none.toml cannot be read" in without.remedy
    assert {"orders", "share_responses"} < {one.table for one in without.clear}


def test_once_is_as_good_as_twice_and_cannot_be_lifted(database: Database, dataset: Path, tmp_path: Path) -> None:
    erasures = Erasures(database, dataset)
    assert erasures.erase(ALL, "u1", "asked", now=day(1)).erased_at == day(1)
    assert erasures.erase(ALL, "u1", "again", now=day(2)).erased_at == day(1)
    (entry,) = Suppressions(database, people_of(tmp_path)).of(ALL, "u1")
    with pytest.raises(ConflictError, match="is an erasure, which cannot be undone"):
        Suppressions(database, people_of(tmp_path)).lift(ALL, entry.suppression, "x")
    assert [one.subject for one in Audit(database).read(action="user.erase")] == ["u1", "u1"]


@pytest.mark.parametrize("kind", ["roster", "applications"])
def test_an_import_that_is_under_way_brings_nobody_back(
    database: Database, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    people, module = people_of(tmp_path), {"roster": roster_module, "applications": applications_module}[kind]
    asked = {"roster": "erased", "applications": "entries_of"}[kind]
    erasure = Thread(target=Erasures(database, dataset).erase, args=(ALL, "u1", "asked"))
    found = getattr(module, asked)

    def and_meanwhile(*question: Any) -> Any:
        answer = found(*question)
        erasure.start()
        erasure.join(0.5)
        return answer

    monkeypatch.setattr(module, asked, and_meanwhile)
    if kind == "roster":
        Roster(database, people).bring_in(ALL, [ExternalContact(external_id="w1", user_id="u1", added_at=day(0))])
    else:
        Applications(database, people).add(ALL, Application(person=Person(name="Li"), user_id="u1"))
    erasure.join()
    assert rows(database, roster) == rows(database, applications) == rows(database, application_persons) == []
    assert [one["kind"] for one in rows(database, suppressions)] == ["erased"]
