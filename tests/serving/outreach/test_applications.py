from pathlib import Path

import pytest
from pydantic import ValidationError

from features.errors import ConflictError, ForbiddenError, ListError, NotFoundError
from serving.access.audit import Audit
from serving.access.principal import Principal, Scope
from serving.outreach.applications import Answers, Application, Applications, Person
from serving.outreach.erasures import Erasures
from serving.state.database import Database
from serving.state.tables import application_persons, applications
from tests.serving.outreach.shop import ALL, HANGZHOU, day, people_of, rows

ZHANG = Person(name="张三", phone="13800000000", address="杭州", identity_number="330100199001011234")
COOK = Answers.model_validate({"talents": ["烹饪"], "accounts": [{"platform": "weibo", "account": "kitchen", "fans": 1200}]})


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Applications:
    return Applications(database, people_of(tmp_path))


def form(name: str | None = "f1", **told: object) -> Application:
    return Application.model_validate({"application_id": name, "person": ZHANG, "answers": COOK, **told})


def test_d08_who_applied_is_kept_apart_from_what_they_can_do(database: Database, service: Applications) -> None:
    applied = service.add(ALL, form(user_id="u1"), now=day(1))
    assert (applied.application_id, applied.answers, applied.applied_at, applied.repeated) == ("f1", COOK, day(1), False)
    (row,) = rows(database, applications)
    assert not any(secret in str(row) for secret in ("张三", "138", "杭州", "3301"))
    assert rows(database, application_persons)[0]["person"] == ZHANG.model_dump()
    assert service.get(ALL, "f1") == service.all(ALL)[0] == applied
    with pytest.raises(ValidationError, match="phone"):
        Answers.model_validate({"phone": "138"})


def test_the_person_is_shown_to_keys_that_may_identify_and_the_log_knows(database: Database, service: Applications) -> None:
    service.add(ALL, form(), now=day(1))
    with pytest.raises(ForbiddenError, match="needs scope 'identify'"):
        service.person(Principal("k3", "op", frozenset({Scope.ADMIN})), "f1")
    assert service.person(ALL, "f1", request_id="r1") == ZHANG
    (entry,) = Audit(database).read(action="application.identify")
    assert (entry.key_id, entry.subject, entry.request_id) == ("k1", "f1", "r1")
    assert "张三" not in str(Audit(database).read())


def test_the_same_form_again_is_repeated_and_another_one_under_its_id_refused(service: Applications) -> None:
    service.add(ALL, form(), now=day(1))
    assert service.add(ALL, form(), now=day(2)).repeated
    for other in ({"user_id": "u1"}, {"person": Person(name="李四")}, {"answers": Answers()}, {"applied_at": day(0)}):
        with pytest.raises(ConflictError, match="application 'f1' is kept with other content"):
            service.add(ALL, form(**other), now=day(2))
    assert service.add(ALL, form(None), now=day(2)).application_id != "f1"
    with pytest.raises(ListError, match="has not come yet"):
        service.add(ALL, form("f2", applied_at=day(3)), now=day(2))


def test_a_key_sees_forms_of_people_inside_of_its_scope_only(service: Applications) -> None:
    for number, user in enumerate(["u0", "u1", None, "u2", "u4"]):
        service.add(ALL, form(f"f{number}", user_id=user), now=day(1))
    assert [one.application_id for one in service.all(HANGZHOU, limit=2)] == ["f0", "f3"]
    assert [one.application_id for one in service.all(HANGZHOU, limit=2, after="f3")] == ["f4"]
    assert len(service.all(ALL)) == 5
    with pytest.raises(NotFoundError, match="no application 'f1'"):
        service.get(HANGZHOU, "f1")
    with pytest.raises(ForbiddenError, match="sees only people of attribute_region Hangzhou"):
        service.add(HANGZHOU, form("f9"), now=day(1))


def test_nothing_is_taken_of_people_who_were_erased(database: Database, service: Applications, tmp_path: Path) -> None:
    service.add(ALL, form(user_id="u1"), now=day(1))
    Erasures(database, tmp_path / "dataset.toml").erase(ALL, "u1", "asked", now=day(2))
    assert rows(database, applications) == rows(database, application_persons) == []
    with pytest.raises(ListError, match="u1 was erased"):
        service.add(ALL, form(user_id="u1"), now=day(3))
