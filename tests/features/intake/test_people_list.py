from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DatasetError, ValidationError
from features.intake.people_list import PeopleList, open_list, read_list
from tests.files import dataset_of, write_csv

KNOWN = pa.array(["张三", "u2", "u3", "690123456789012345"], pa.string())


def listed(path: Path, column: str | None = None) -> PeopleList:
    # The list has an encoding of its own, whatever the dataset's files are written in.
    dataset = dataset_of(path.parent, {"orders": {"source": "orders.csv"}}, encoding="gb18030")
    return read_list(dataset, open_list(path, column), KNOWN, column)


def write_sheet(path: Path, *rows: tuple[object, ...]) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_text_is_read_in_the_encoding_it_comes_in(tmp_path: Path, encoding: str) -> None:
    write_csv(tmp_path / "a.csv", "user_id,备注", "张三,好", " u2 ,", ",无", "u2,", encoding=encoding)
    assert listed(tmp_path / "a.csv") == PeopleList(["张三", "u2", "u2"], 1, "user_id", "by its name")


def test_spreadsheets_and_parquet_hold_lists_too(tmp_path: Path) -> None:
    path = write_sheet(tmp_path / "a.xlsx", ("name", "会员"), ("Li", "u2"), ("Wu", 17), ("Xi", None))
    assert listed(path, "会员") == PeopleList(["u2", "17"], 1, "会员", "as asked for")
    pq.write_table(pa.table({"id": [690123456789012345, 5]}), tmp_path / "a.parquet")
    assert listed(tmp_path / "a.parquet") == PeopleList(["690123456789012345", "5"], 0, "id", "the only one")


def test_the_column_most_of_whose_ids_are_known_is_taken(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "nr,who,staff", "1,u2,u3", "2,x,", "3,u3,y", "4,张三,z", "5,u3,")
    assert listed(tmp_path / "a.csv") == PeopleList(
        ["u2", "x", "u3", "张三", "u3"], 0, "who", "75% of its ids are known users"
    )
    pq.write_table(pa.table({"tags": [["u2"], ["u3"]], "who": ["u2", "u3"]}), tmp_path / "a.parquet")
    assert listed(tmp_path / "a.parquet").column == "who"


def test_of_two_columns_of_people_one_has_to_be_named(tmp_path: Path) -> None:
    # As in a roster with newcomers, of whom nothing is known yet, and who brought them.
    write_csv(tmp_path / "a.csv", "客户ID,邀请人", "u2,u3", "张三,u3", "new,u2")
    with pytest.raises(DatasetError, match=r"several .* '客户ID' \(67%\) and '邀请人' \(100%\); name the one"):
        listed(tmp_path / "a.csv")
    assert listed(tmp_path / "a.csv", "客户ID").ids == ["u2", "张三", "new"]


def test_without_such_a_column_one_is_asked_to_name_it(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "nr,phone", "1,u2", "2,138", "3,139")
    with pytest.raises(
        DatasetError, match=r"the nearest is 'phone' with 33%.*its columns are nr, phone; name one with --col"
    ):
        listed(tmp_path / "a.csv")
    write_csv(tmp_path / "b.csv", "nr,phone")
    with pytest.raises(DatasetError, match="name one with --column"):
        listed(tmp_path / "b.csv")


def test_a_column_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "user,note", "u2,")
    with pytest.raises(DatasetError, match=r"a.csv has no column 'users'; did you mean 'user'\? its columns are user, note"):
        listed(tmp_path / "a.csv", "users")
    with pytest.raises(DatasetError, match=r"no list at .*b.csv; name the file of the people with --list"):
        listed(tmp_path / "b.csv")


def test_a_list_without_a_header_would_lose_its_first_row(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "u2", "u3")
    with pytest.raises(DatasetError, match=r"the first row of .*a.csv is the user 'u2'; give the file a header"):
        listed(tmp_path / "a.csv")


@pytest.mark.parametrize("id_", [690123456789012345, "690123456789012000"])
def test_ids_that_a_spreadsheet_has_rounded_are_refused(tmp_path: Path, id_: object) -> None:
    path = write_sheet(tmp_path / "a.xlsx", ("user_id",), ("u2",), (id_,))
    said = r"a.xlsx: ids rounded by a spreadsheet in 1 row of 'user_id', such as row 3: .*6.?90123456789012.*as text"
    with pytest.raises(ValidationError, match=said):
        listed(path)


def test_a_column_of_strangers_is_refused(tmp_path: Path) -> None:
    write_csv(tmp_path / "a.csv", "user_id,phone", "x,u2", "y,u3")
    with pytest.raises(DatasetError, match=r"none of the 2 ids in 'user_id' of .*a.csv, such as 'x', .* user_id, phone, or"):
        listed(tmp_path / "a.csv")
    write_csv(tmp_path / "b.csv", "user_id,phone", ",u2")
    with pytest.raises(DatasetError, match=r"none of the 0 ids in 'user_id' of .*b.csv is a user known by the date"):
        listed(tmp_path / "b.csv")
