from itertools import pairwise
from typing import Any

import pytest

from features.engine import DuckDB
from features.people import as_people, merged_accounts
from features.schema import TABLES, Kind
from tests.worlds import day, world


@pytest.fixture(scope="module")
def engine() -> DuckDB:
    return DuckDB(threads=1)


def merged(engine: DuckDB, *rows: tuple[str | None, str | None, str | None]) -> dict[str, str]:
    """account -> person of those that move, from (user_id, kind, value)."""
    identities = [{"user_id": user, "kind": kind, "value": value} for user, kind, value in rows]
    found = merged_accounts(world(engine=engine, identities=identities, orders=[]).tables["identities"], engine)
    return dict(zip(found["account"].to_pylist(), found["person_id"].to_pylist(), strict=True))


def test_accounts_that_share_a_value_are_one_person(engine: DuckDB) -> None:
    assert merged(engine, ("b", "phone", "1"), ("a", "phone", "1"), ("c", "phone", "2")) == {"b": "a"}


def test_an_equal_value_of_another_kind_is_somebody_else(engine: DuckDB) -> None:
    assert merged(engine, ("a", "phone", "1"), ("b", "unionid", "1")) == {}
    # Kind and value are kept apart: phone + 12 is not phone1 + 2.
    assert merged(engine, ("a", "phone", "12"), ("b", "phone1", "2")) == {}


def test_a_chain_of_shared_values_is_one_person_under_its_smallest_id(engine: DuckDB) -> None:
    chain = ["m", "z", "b", "y", "k"]
    rows = [(user, "k", str(link)) for link, pair in enumerate(pairwise(chain)) for user in pair]
    assert merged(engine, *rows) == dict.fromkeys(["m", "z", "y", "k"], "b")
    assert merged(engine, *reversed(rows)) == merged(engine, *rows)


def test_ids_are_text_in_any_script(engine: DuckDB) -> None:
    assert merged(engine, ("用户9", "微信", "张"), ("用户10", "微信", "张")) == {"用户9": "用户10"}


def test_a_missing_value_connects_nobody(engine: DuckDB) -> None:
    assert merged(engine, ("a", "phone", None), ("b", "phone", None), ("c", None, "1"), ("d", None, "1")) == {}
    assert merged(engine, (None, "phone", "1"), ("b", "phone", "1"), ("None", "phone", "2")) == {}


def test_no_identities_move_nobody(engine: DuckDB) -> None:
    assert merged(engine) == {}


ACCOUNTS = {"b": "a", "c": "a", "z": "y"}


@pytest.mark.parametrize("name", [name for name, spec in TABLES.items() if list(spec.of_kind(Kind.USER))])
def test_every_user_column_of_every_table_names_the_person(name: str, engine: DuckDB) -> None:
    spec = TABLES[name]
    people = [column.name for column in spec.of_kind(Kind.USER)]
    values = {Kind.TIME: day(1), Kind.MONEY: 1, Kind.COUNT: 1, Kind.FLAG: True}
    row = {column.name: values.get(column.kind, "b") for column in spec.columns}
    users: list[Any] = ["a", "b", "c", "z", "other", None]
    rows = [
        row | {column: users[(i + shift) % len(users)] for shift, column in enumerate(people)} for i in range(len(users))
    ]
    table = world(engine=engine, **{"orders": [], name: rows}).tables[name]
    accounts = world(
        engine=engine, orders=[], identities=[{"user_id": k, "kind": v, "value": ""} for k, v in ACCOUNTS.items()]
    )
    accounts_table = accounts.tables["identities"].select(account="user_id", person_id="kind")
    found = engine.to_arrow(as_people(table, name, accounts_table))
    assert found.column_names == list(spec.by_name)
    expected = [row | {column: ACCOUNTS.get(row[column], row[column]) for column in people} for row in rows]
    by = lambda row: [str(row[column]) for column in people]  # noqa: E731
    assert sorted(found.to_pylist(), key=by) == sorted(expected, key=by)
