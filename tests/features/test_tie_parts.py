"""Influencers in parts of about the same number of ties, each of one part."""

import pyarrow as pa
import pytest

from features.engine import DuckDB
from features.tie_parts import EVERYBODY, influencers_in_parts

ENGINE = DuckDB(threads=1)


def parts_of(ties: dict[str, int]) -> list[list[str]]:
    """The influencers of each part; ties: influencer -> their number."""
    table = ENGINE.from_arrow(pa.table({"influencer_id": [name for name, count in ties.items() for _ in range(count)]}))
    parts = [ENGINE.to_arrow(some.of(table))["influencer_id"].to_pylist() for some in influencers_in_parts(table, ENGINE)]
    assert sum(map(len, parts)) == sum(ties.values())
    return [sorted(set(part)) for part in parts]


@pytest.fixture(autouse=True)
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("features.tie_parts.TIES_A_PART", 10)


def test_few_ties_are_one_part() -> None:
    table = ENGINE.from_arrow(pa.table({"influencer_id": ["a"] * 10}))
    assert influencers_in_parts(table, ENGINE) == [EVERYBODY]


def test_each_influencer_is_in_one_part_and_parts_rise() -> None:
    parts = parts_of(dict.fromkeys("hgfedcba", 3))
    assert len(parts) == 3
    assert [name for part in parts for name in part] == sorted("abcdefgh")


def test_one_who_has_most_of_the_ties_is_not_divided() -> None:
    parts = parts_of({"a": 1, "hub": 50, "z": 1})
    assert [name for part in parts for name in part] == ["a", "hub", "z"]
    assert all(parts)


def test_one_influencer_alone_is_one_part() -> None:
    assert parts_of({"hub": 50}) == [["hub"]]
