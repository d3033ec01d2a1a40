from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serving.outreach.erasures import Erasures
from serving.outreach.outcomes import Outcome, Outcomes
from serving.outreach.posted import Posted
from serving.state.database import Database
from serving.state.tables import outcomes
from tests.serving.outreach.shop import ALL, day, people_of, put_list, rows


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Outcomes:
    return Outcomes(database, people_of(tmp_path))


def test_what_contacted_and_held_out_people_did_is_kept_once(database: Database, service: Outcomes) -> None:
    put_list(database, {"u0": "contact", "u2": "holdout"})
    told = [
        Outcome(key="a", list_id="list1", user_id="u0", outcome="converted", amount=990, happened_at=day(2)),
        Outcome(key="b", list_id="list1", user_id="u2", outcome="shared"),
        Outcome(key="c", campaign_id="spring", user_id="u5", outcome="declined"),
    ]
    assert service.record(ALL, told, now=day(3)).accepted == 3
    assert service.record(ALL, told, now=day(4)).repeated == 3
    kept = rows(database, outcomes, "key")
    assert [(one["list_id"], one["campaign_id"], one["amount"]) for one in kept] == [
        ("list1", "list1", 990), ("list1", "list1", None), (None, "spring", None),
    ]  # fmt: skip
    assert [one["happened_at"] for one in kept] == [day(2), day(3), day(3)]
    assert {one["recorded_at"] for one in kept} == {day(3)}


def test_an_amount_belongs_to_a_conversion_and_nothing_to_the_erased(
    database: Database, service: Outcomes, tmp_path: Path
) -> None:
    Erasures(database, tmp_path / "dataset.toml").erase(ALL, "u1", "asked", now=day(0))
    posted = service.record(
        ALL,
        [
            Outcome(key="a", campaign_id="c", user_id="u0", outcome="shared", amount=1),
            Outcome(key="b", campaign_id="c", user_id="u1", outcome="shared"),
            Outcome(key="c", campaign_id="c", user_id="u0", outcome="shared", happened_at=day(9)),
        ],
        now=day(1),
    )
    assert [one.reason for one in posted.rejected] == ["amount_without_purchase", "erased", "in_future"]
    assert posted.nothing_taken
    assert rows(database, outcomes) == []


def test_posts_at_one_moment_keep_each_record_once(database: Database, service: Outcomes) -> None:
    told = [Outcome(key=f"k{n}", campaign_id="c", user_id=f"u{n}", outcome="shared", happened_at=day(1)) for n in range(10)]

    def send(_: int) -> Posted:
        return service.record(ALL, told, now=day(1))

    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(send, range(8)))
    assert (sum(one.accepted for one in posted), sum(one.repeated for one in posted)) == (10, 70)
    assert len(rows(database, outcomes)) == 10
