import csv
import io
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy as sa

from features.errors import ListError
from serving.access.audit import Audit
from serving.access.principal import LOCAL, Principal, Scope
from serving.lists.exports import Form, harmless
from serving.lists.pages import Part
from serving.lists.returned import take_back
from serving.state.tables import roster
from tests.serving.lists.conftest import NOW, Room, criteria
from tests.serving.lists.test_lists import stop

PEOPLE = [
    {"user_id": "=a", "attribute_note": "+1+1"},
    {"user_id": "b", "attribute_note": "@SUM(A1)\x01"},
    {"user_id": "c", "attribute_note": "杭州, \"x\""},
]  # fmt: skip


def content(room: Room, list_id: str, form: Form, who: Principal = LOCAL, part: Part = Part.CONTACT) -> bytes:
    return b"".join(room.exports.export(who, list_id, form, part=part, now=NOW).chunks)


def test_the_three_kinds_of_files_hold_the_same_people(by_hand: Callable[..., Room], tmp_path: Path) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(3), now=NOW)
    stop(room, "b", "suppressed")
    text = content(room, made.list_id, Form.CSV)
    assert text.startswith(b"\xef\xbb\xbf")
    lines = list(csv.DictReader(io.StringIO(text.decode("utf-8-sig"))))
    assert [line["user_id"] for line in lines] == ["'=a", "c"]
    assert [line["attribute_note"] for line in lines] == ["'+1+1", '杭州, "x"']
    assert [line["state_zh"] for line in lines] == ["已入选"] * 2
    parquet = pq.read_table(pa.BufferReader(content(room, made.list_id, Form.PARQUET))).to_pylist()
    # Programs read Parquet: texts stay as they are.
    assert [row["user_id"] for row in parquet] == ["=a", "c"]
    (tmp_path / "list.xlsx").write_bytes(content(room, made.list_id, Form.XLSX))
    sheet = openpyxl.load_workbook(tmp_path / "list.xlsx").active
    cells = [[cell.value for cell in row] for row in sheet.iter_rows()]
    assert cells[0] == list(lines[0])
    assert [row[cells[0].index("user_id")] for row in cells[1:]] == ["'=a", "c"]
    assert all(cell.data_type != "f" for row in sheet.iter_rows() for cell in row)
    made_export = room.exports.export(LOCAL, made.list_id, Form.CSV, now=NOW)
    assert (made_export.rows, made_export.taken_out) == (2, {"suppressed": 1})
    assert [entry.rows for entry in Audit(room.database).read(action="list.export")] == [2, 2, 2, 2]


def test_people_held_out_are_exported_only_if_asked_for(room: Room) -> None:
    made = room.lists.create(LOCAL, criteria(60, holdout=0.3), now=NOW)
    for part, arms in ((Part.CONTACT, {"contact"}), (Part.HOLDOUT, {"holdout"}), (Part.ALL, {"contact", "holdout"})):
        rows = pq.read_table(pa.BufferReader(content(room, made.list_id, Form.PARQUET, part=part)))
        assert set(rows["arm"].to_pylist()) == arms
        assert len(rows) == sum(made.arms[arm] for arm in arms)


@pytest.mark.parametrize("form", Form)
def test_a_list_of_nobody_is_a_file_with_a_header(by_hand: Callable[..., Room], form: Form) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(3, filters={"koc_score": {"min": 99}}), now=NOW)
    assert content(room, made.list_id, form)


def test_external_ids_are_exported_for_keys_that_may_see_them(by_hand: Callable[..., Room]) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(3), now=NOW)
    with room.database.write() as connection:
        row = {"key": "1", "external_id": "wm1", "user_id": "c", "kind": "external_userid"}
        connection.execute(sa.insert(roster).values(**row, added_at=NOW, recorded_at=NOW))
    lines = list(csv.DictReader(io.StringIO(content(room, made.list_id, Form.CSV).decode("utf-8-sig"))))
    assert [line["external_id_external_userid"] for line in lines] == ["", "", "wm1"]
    reader = Principal("r", "reader", frozenset({Scope.ADMIN}))
    assert b"wm1" not in content(room, made.list_id, Form.CSV, reader)


def test_only_texts_that_would_be_computed_are_guarded() -> None:
    table = pa.table({"t": ["=1", "+1", "-1", "@x", "\t=1", " =1", "a=1", "", None], "n": [-1.0] * 9})
    assert harmless(table)["t"].to_pylist() == ["'=1", "'+1", "'-1", "'@x", "'\t=1", "' =1", "a=1", "", None]
    assert harmless(table)["n"].to_pylist() == [-1.0] * 9
    assert harmless(pa.table({"=cmd": ["x"]})).column_names == ["'=cmd"]


def test_a_returned_export_is_taken_row_by_row(by_hand: Callable[..., Room], tmp_path: Path) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(3), now=NOW)
    (tmp_path / "list.xlsx").write_bytes(content(room, made.list_id, Form.XLSX))
    book = openpyxl.load_workbook(tmp_path / "list.xlsx")
    sheet = book.active
    place = {cell.value: cell.column for cell in sheet[1]}
    sheet.cell(2, place["state"]).value = "已添加"
    sheet.cell(3, place["state"]).value = "unsuitable"
    sheet.cell(4, place["state"]).value = "finished"
    sheet.append([made.list_id, 9, "nobody", "added"] if list(place)[3] == "state" else [])
    book.save(tmp_path / "back.xlsx")
    found = take_back(room.members, LOCAL, tmp_path / "back.xlsx", now=NOW)
    assert (found.moved, found.unchanged, found.empty) == (1, 0, 0)
    assert [(bad.row, bad.user_id) for bad in found.bad] == [(3, "b"), (4, "c"), (5, "nobody")]
    assert "fill in state_reason" in found.bad[0].remedy
    assert "'finished' is no state; choose from selected (已入选)" in found.bad[1].remedy
    assert "is not on list" in found.bad[2].remedy
    states = {row["user_id"]: row["state"] for row in room.pages.page(LOCAL, made.list_id, now=NOW).rows}
    assert states == {"=a": "added", "b": "selected", "c": "selected"}


def test_rows_of_one_person_follow_one_another(by_hand: Callable[..., Room], tmp_path: Path) -> None:
    room = by_hand(PEOPLE)
    made = room.lists.create(LOCAL, criteria(3), now=NOW)
    rows = [("c", "added", ""), ("c", "surveyed", ""), ("c", "unsuitable", "no time"), ("b", "", ""), ("b", "selected", "")]
    lines = ["list_id,user_id,state,state_reason", *(f"{made.list_id},{','.join(row)}" for row in rows)]
    (tmp_path / "back.csv").write_text("\n".join(lines))
    found = take_back(room.members, LOCAL, tmp_path / "back.csv", now=NOW)
    assert (found.moved, found.unchanged, found.empty, [bad.row for bad in found.bad]) == (2, 1, 1, [3])
    assert [event.state for event in room.members.history(LOCAL, made.list_id, "c")] == ["added", "unsuitable"]


def test_a_file_without_the_columns_is_refused(room: Room, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user_id\na\n")
    with pytest.raises(ListError, match="has no column list_id, state; return an export"):
        take_back(room.members, LOCAL, tmp_path / "x.csv")
    (tmp_path / "x.pdf").write_text("x")
    with pytest.raises(ListError, match=r"x.pdf is none of"):
        take_back(room.members, LOCAL, tmp_path / "x.pdf")
