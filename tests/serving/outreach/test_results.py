from pathlib import Path

import pytest

from features.errors import NotFoundError
from serving.lists.lists import Lists
from serving.outreach.intervals import means, proportions
from serving.outreach.outcomes import Outcome, Outcomes
from serving.outreach.outreach import Contact, Outreach
from serving.outreach.people import People
from serving.outreach.results import ListResults
from serving.settings import ServiceSettings
from serving.state.database import Database
from tests.serving.outreach.shop import ALL, HANGZHOU, day, put_list, served_shop


class Desk:
    """The services of one shop, and quick ways to post to them."""

    def __init__(self, database: Database, folder: Path) -> None:
        served = served_shop(folder)
        people = People(served)
        self.database = database
        self.results = ListResults(database, Lists(database, served, ServiceSettings(home=folder)))
        self._outreach, self._outcomes = Outreach(database, people, per_month=9), Outcomes(database, people)

    def contact(self, *users: str, cost: int | None = None, at: float = 1, force: bool = False) -> None:
        told = [
            Contact(key=f"{user} {at}", list_id="list1", user_id=user, cost=cost, already_happened=force) for user in users
        ]
        assert self._outreach.record(ALL, told, now=day(at)).accepted == len(users)

    def did(self, user: str, outcome: str, at: float, amount: int | None = None) -> None:
        told = Outcome(key=f"{user} {outcome} {at}", list_id="list1", user_id=user, outcome=outcome, amount=amount,
                       happened_at=day(at))  # fmt: skip
        assert self._outcomes.record(ALL, [told], now=day(at)).accepted == 1


@pytest.fixture
def desk(database: Database, tmp_path: Path) -> Desk:
    return Desk(database, tmp_path)


ARMS = {f"u{n}": "contact" if n < 6 else "holdout" for n in range(10)}


def test_arms_are_compared_as_they_were_assigned(desk: Desk) -> None:
    put_list(desk.database, ARMS)
    desk.contact("u0", "u1", "u2", cost=100)
    desk.contact("u0", cost=50, at=2)
    desk.did("u0", "accepted", 2)
    desk.did("u0", "converted", 3, 1000)
    desk.did("u0", "converted", 9, 500)
    desk.did("u3", "converted", 8, 600)
    desk.did("u6", "converted", 9, 300)
    found = desk.results.of(ALL, "list1", now=day(15))
    contact, holdout = found.arms["contact"], found.arms["holdout"]
    assert (contact.people, contact.contacted, holdout.people, holdout.contacted) == (6, 3, 4, 0)
    assert contact.did == {"accepted": 1, "declined": 0, "shared": 0, "converted": 2}
    assert contact.rate["converted"] == pytest.approx(2 / 6)
    assert (contact.amount, contact.amount_per_person, holdout.amount_per_person) == (2100, 350, 75)
    assert found.differences["converted"] == proportions((2, 1), (6, 4))
    assert found.differences["amount_per_person"] == means([1500, 0, 0, 600, 0, 0], [300, 0, 0, 0])
    assert found.unit == "person"
    assert (found.cost, found.cost_per_conversion) == (350, 175)
    assert found.cost_per_additional_conversion == pytest.approx(350 / (6 * (2 / 6 - 1 / 4)))
    assert found.notes == ("3 of 6 people to contact have no contact posted; they count as the list assigned them",)
    assert found.analysis.startswith("intention to treat")


def test_by_week_people_count_when_they_did_it_first_and_amounts_when_they_came(desk: Desk) -> None:
    put_list(desk.database, ARMS)
    desk.did("u0", "converted", 3, 1000)
    desk.did("u0", "converted", 9, 500)
    desk.did("u3", "converted", 7, 600)
    desk.did("u6", "shared", 13.9)
    weeks = desk.results.of(ALL, "list1", now=day(14)).weeks
    assert [(week.week, week.starts_at) for week in weeks] == [(1, day(0)), (2, day(7))]
    assert [(w.arms["contact"]["converted"], w.arms["contact"]["amount"]) for w in weeks] == [(1, 1000), (1, 1100)]
    assert [week.arms["holdout"]["shared"] for week in weeks] == [0, 1]
    assert len(desk.results.of(ALL, "list1", now=day(14.1)).weeks) == 3


def test_without_a_holdout_it_says_that_nothing_can_be_compared(desk: Desk) -> None:
    put_list(desk.database, {"u0": "contact", "u1": "contact"})
    desk.contact("u0", "u1")
    found = desk.results.of(ALL, "list1", now=day(2))
    assert (found.differences, found.cost_per_conversion, found.cost_per_additional_conversion) == ({}, None, None)
    assert found.notes == (
        "nobody was held out, so what contact changed cannot be told; make the next list with a holdout, such as 0.1",
    )


def test_what_spoils_a_comparison_is_said(desk: Desk) -> None:
    put_list(desk.database, ARMS)
    desk.contact("u6", force=True)
    desk.did("u0", "converted", -1, 5)
    found = desk.results.of(ALL, "list1", now=day(2))
    assert found.arms["contact"].did["converted"] == 0
    assert found.notes[0] == "1 outcomes from before the list was made are left out"
    assert found.notes[1] == "1 people held out were contacted nevertheless; the difference is too small for it"
    assert found.notes[-1] == "amounts have no interval: an arm has one person only, or all amounts are equal"


def test_where_communities_were_assigned_they_are_what_counts(desk: Desk) -> None:
    communities = {f"u{n}": f"g{n // 2}" for n in range(10)}
    arms = {user: "contact" if group in ("g0", "g1", "g2") else "holdout" for user, group in communities.items()}
    put_list(desk.database, arms, communities=communities)
    for user in ("u0", "u1", "u2", "u3", "u6"):
        desk.did(user, "shared", 1)
    found = desk.results.of(ALL, "list1", now=day(2))
    difference = found.differences["shared"]
    assert (found.unit, difference.method) == ("community", "cluster bootstrap")
    assert difference.value == pytest.approx(4 / 6 - 1 / 4)
    # Drawing three of the rates 1, 1, 0 and two of .5, 0: as far as 0 - .5 and 1 - 0.
    assert difference.low is not None
    assert difference.high is not None
    assert -0.5 <= difference.low < 0 < difference.high <= 1
    assert "one arm has 2 communities only: intervals over so few are too narrow, or missing" in found.notes
    # Of what nobody did nothing is known: not that contact changes nothing.
    nobody = found.differences["converted"]
    assert (nobody.value, nobody.low, nobody.high) == (0.0, None, None)
    assert any(note.startswith("no interval for accepted, declined, converted") for note in found.notes), found.notes


def test_a_key_counts_people_inside_of_its_scope_only(desk: Desk) -> None:
    put_list(desk.database, ARMS)
    desk.contact("u0", "u1", cost=100)
    for user in ("u0", "u1", "u6", "u7"):
        desk.did(user, "shared", 2)
    found = desk.results.of(HANGZHOU, "list1", now=day(3))
    assert {arm: (one.people, one.did["shared"]) for arm, one in found.arms.items()} == {
        "contact": (3, 1),
        "holdout": (2, 1),
    }
    assert found.cost == 100
    desk.did("u1", "shared", -1)
    assert desk.results.of(HANGZHOU, "list1", now=day(3)).notes == found.notes
    assert "1 outcomes from before the list was made" in desk.results.of(ALL, "list1", now=day(3)).notes[0]
    with pytest.raises(NotFoundError, match="no list 'list9'"):
        desk.results.of(HANGZHOU, "list9")


def test_a_list_of_many_is_told_quickly(desk: Desk) -> None:
    arms = {f"u{n}": "holdout" if n % 10 == 0 else "contact" for n in range(20_000)}
    put_list(desk.database, arms, communities={user: f"g{int(user[1:]) // 40}" for user in arms})
    found = desk.results.of(ALL, "list1", now=day(1))
    assert found.arms["holdout"].people == 2_000
    assert found.differences["shared"].value == 0
