from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest

from features.errors import ListError
from serving.access.principal import Scope
from serving.outreach.erasures import Erasures
from serving.outreach.posted import Posted
from serving.outreach.roster import ExternalContact, Roster
from serving.outreach.roster_file import read_roster
from serving.state.database import Database
from serving.state.tables import roster
from tests.serving.outreach.shop import ALL, HANGZHOU, day, people_of, rows


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Roster:
    return Roster(database, people_of(tmp_path))


def contact(external_id: str, **told: object) -> ExternalContact:
    return ExternalContact.model_validate({"external_id": external_id, "added_at": day(0), **told})


def counts(posted: Posted) -> tuple[int, int, list[str]]:
    return posted.accepted, posted.repeated, [one.reason for one in posted.rejected]


def test_a_contact_is_kept_once_for_each_of_staff_and_community(database: Database, service: Roster) -> None:
    told = [
        contact("w1", user_id="u1", staff="li", community_id="g1"),
        contact("w1", staff="li", community_id="g2"),
        contact("w1", staff="wang", community_id="g1"),
    ]
    assert counts(service.bring_in(ALL, told, now=day(1))) == (3, 0, [])
    assert counts(service.bring_in(ALL, told, now=day(2))) == (0, 3, [])
    kept = rows(database, roster, "key")
    assert {one["user_id"] for one in kept} == {"u1"}
    assert {one["recorded_at"] for one in kept} == {day(1)}


def test_what_is_learned_later_is_added_and_nothing_forgotten(database: Database, service: Roster) -> None:
    service.bring_in(ALL, [contact("w1", join_scene="scan"), contact("w2", inviter_id="w1")], now=day(1))
    assert counts(service.bring_in(ALL, [contact("w1", user_id="u1")], now=day(2))) == (1, 0, [])
    first, second = rows(database, roster, "external_id")
    assert (first["user_id"], first["join_scene"], first["recorded_at"]) == ("u1", "scan", day(2))
    assert (second["inviter_id"], second["recorded_at"]) == ("u1", day(2))
    assert counts(service.bring_in(ALL, [contact("w2", inviter_id="w1")], now=day(3))) == (0, 1, [])
    # Another row of a known contact knows its user at once.
    service.bring_in(ALL, [contact("w1", community_id="g1", inviter_id="w2")], now=day(4))
    assert [one["user_id"] for one in rows(database, roster, "external_id", "key")] == ["u1", "u1", None]


def test_contacts_that_cannot_be_kept_say_why(database: Database, service: Roster, tmp_path: Path) -> None:
    Erasures(database, tmp_path / "dataset.toml").erase(ALL, "u3", "asked", now=day(0))
    service.bring_in(ALL, [contact("w1", user_id="u1")], now=day(1))
    told = [contact("w1", user_id="u2"), contact("w3", user_id="u3"), contact("w4", added_at=day(2))]
    posted = service.bring_in(ALL, told, now=day(1))
    assert counts(posted) == (0, 0, ["other_user", "erased", "in_future"])
    assert "w1 is user u1, not u2" in posted.rejected[0].remedy
    # Whose external id it is, a key is not told whose rows or external ids it does not see.
    for key in (HANGZHOU, replace(ALL, scopes=frozenset({Scope.OPERATE}))):
        other = service.bring_in(key, [contact("w1", user_id="u2")], now=day(1))
        assert "w1 is another user, not u2" in other.rejected[0].remedy
    assert counts(service.bring_in(ALL, [contact("w5", inviter_id="u3")], now=day(1))) == (1, 0, [])
    assert [one["inviter_id"] for one in rows(database, roster, "external_id")] == [None, None]
    scoped = service.bring_in(
        HANGZHOU, [contact("w6", user_id="u2"), contact("w7", user_id="u1"), contact("w8")], now=day(1)
    )
    assert counts(scoped) == (1, 0, ["outside_scope", "outside_scope"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "gb18030"])
def test_d07_a_file_is_read_under_the_names_of_wecom(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "r.csv"
    lines = (
        "external_userid,添加人,邀请人,state,chat_id,添加时间,备注",
        "w1,li,w9,scan,g1,2024-06-01 08:00,x",
        "w2,,,,,1717200000,",
    )
    path.write_text("\n".join(lines), encoding=encoding)
    assert read_roster(path, "Asia/Shanghai") == [
        contact("w1", staff="li", inviter_id="w9", join_scene="scan", community_id="g1"), contact("w2"),
    ]  # fmt: skip


def test_a_spreadsheet_s_rounded_ids_are_refused(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for row in (("external_id", "user_id", "added_at"), ("w1", 690123456789012345, day(0).replace(tzinfo=None))):
        book.active.append(row)
    book.save(tmp_path / "r.xlsx")
    with pytest.raises(ListError, match=r"r.xlsx: 'user_id' has ids that a spreadsheet has rounded, such as 6.90.*as text"):
        read_roster(tmp_path / "r.xlsx", "UTC")


def test_rows_and_columns_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("external_id,added_at\nw1,soon\n,2024-06-01\nw3,2024-06-01\n")
    said = r"a.csv: 2 rows cannot be read \(row 2, added_at: 'soon': .*; row 3, external_id: empty: Field required\)"
    with pytest.raises(ListError, match=said):
        read_roster(tmp_path / "a.csv", "UTC")
    (tmp_path / "b.csv").write_text("external_id,when\nw1,2024-06-01\n")
    with pytest.raises(ListError, match=r"b.csv has no column added_at; call it one of .*createtime.* columns are external"):
        read_roster(tmp_path / "b.csv", "UTC")
