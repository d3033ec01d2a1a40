"""The word table: it names our tables and columns only, and headers are read in all their spellings."""

import pytest

from features.draft.header_words import PRIVATE, WORDS, named_by, normalise, readings, words_of
from features.schema import TABLES


def test_words_cover_the_contract_and_nothing_else() -> None:
    assert set(WORDS) == set(TABLES)
    for table, columns in WORDS.items():
        assert set(columns) == set(TABLES[table].by_name), table


def test_our_own_names_decide() -> None:
    for table, columns in WORDS.items():
        own = [
            column
            for column, text in columns.items()
            if normalise(column) not in {word for word, _ in words_of(text)} and TABLES[table][column].kind.value != "text"
        ]
        assert own in ([], ["value"]), f"{table}: {own} cannot be recognised by their own names"


@pytest.mark.parametrize("header", ["User_ID ", "user-id", "USER ID", "ｕｓｅｒ＿ｉｄ", "userId"])
def test_normalise_removes_spelling(header: str) -> None:
    assert normalise(header) == "userid"


def test_readings_open_brackets_and_slashes() -> None:
    assert readings("添加人（员工）") == ["添加人(员工)", "添加人", "员工"]
    assert readings("来源/join_scene")[1:] == ["来源", "joinscene"]


def test_words_of_counts_doubts() -> None:
    assert list(words_of("uid time? id??")) == [("uid", 0), ("time", 1), ("id", 2)]


def test_named_by_takes_deciding_words_only() -> None:
    assert named_by("收货人/提货人", PRIVATE) == "a person's name"
    assert named_by("name", PRIVATE) is None
    assert named_by("详细收货地址", PRIVATE) is None
    assert named_by("详细收货地址", PRIVATE, ending=True) == "an address"
