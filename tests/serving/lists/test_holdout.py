import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.lists.holdout import held_out, salt_of, unit_of
from serving.state.database import Database

SALT = "00" * 16


@given(st.lists(st.text(min_size=1), max_size=30), st.floats(0, 1), st.floats(0, 1))
def test_a_larger_share_holds_out_the_same_and_more(units: list[str], a: float, b: float) -> None:
    small, large = sorted((a, b))
    assert not (held_out(units, small, SALT) & ~held_out(units, large, SALT)).any()


@given(st.lists(st.text(min_size=1), max_size=30), st.floats(0, 1))
def test_whoever_else_is_asked_about_changes_nothing(units: list[str], share: float) -> None:
    together = held_out(units, share, SALT).tolist()
    assert together == [held_out([unit], share, SALT)[0] for unit in units]


@pytest.mark.parametrize("share", [0.05, 0.1, 0.5])
def test_the_share_is_right(share: float) -> None:
    count = 20_000
    found = held_out((f"user u{number}" for number in range(count)), share, SALT).sum()
    # Within four standard deviations of a binomial.
    assert abs(found - share * count) < 4 * math.sqrt(share * (1 - share) * count)


def test_another_salt_holds_out_others() -> None:
    units = [f"u{number}" for number in range(1000)]
    both = held_out(units, 0.5, SALT) == held_out(units, 0.5, "11" * 16)
    assert 0.4 < both.mean() < 0.6


def test_nobody_and_everybody() -> None:
    assert held_out(["a", "b"], 0.0, SALT).tolist() == [False, False]
    assert held_out(["a", "b"], 1.0, SALT).tolist() == [True, True]


def test_members_of_a_community_go_together() -> None:
    assert unit_of("a", "g") == unit_of("b", "g")
    assert unit_of("a", None) != unit_of("b", None)
    # A person and a community of one name are not one unit.
    assert unit_of("g", None) != unit_of("a", "g")


def test_the_salt_is_made_once(database: Database) -> None:
    with database.write() as connection:
        first = salt_of(connection)
    with database.write() as connection:
        assert salt_of(connection) == first
    assert len(bytes.fromhex(first)) == 16
