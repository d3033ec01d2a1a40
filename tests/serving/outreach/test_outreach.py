from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from serving.access.audit import Audit
from serving.outreach.erasures import Erasures
from serving.outreach.outreach import Contact, Outreach, most_in_a_month
from serving.outreach.posted import Posted
from serving.outreach.suppressions import Cause, Suppressions
from serving.state.database import Database
from serving.state.tables import list_members, member_events, outreach
from tests.serving.outreach.shop import ALL, HANGZHOU, day, people_of, put_list, rows

Post = Callable[..., Posted]


@pytest.fixture
def service(database: Database, tmp_path: Path) -> Outreach:
    return Outreach(database, people_of(tmp_path), per_month=3)


@pytest.fixture
def post(service: Outreach) -> Post:
    """Posts contacts told as dicts; with a ``user`` alone they belong to campaign c and have a key of their own."""

    def post(*told: dict[str, Any], at: float = 1, principal: Any = ALL, header: str | None = None) -> Posted:
        records = [Contact(**({} if "list_id" in one else {"campaign_id": "c"}) | one) for one in told]
        return service.record(principal, records, idempotency_key=header, now=day(at))

    return post


def reasons(posted: Posted) -> list[str]:
    return [one.reason for one in posted.rejected]


def test_a_contact_is_kept_and_moves_the_member_on(database: Database, post: Post) -> None:
    put_list(database, {"u0": "contact", "u1": "contact", "u2": "holdout"})
    told = {
        "key": "a",
        "user_id": "u1",
        "list_id": "list1",
        "channel": "sms",
        "incentive": "tea",
        "cost": 150,
        "staff": "li",
    }
    posted = post(told, at=2)
    assert (posted.accepted, posted.repeated, posted.rejected) == (1, 0, [])
    kept = {**told, "campaign_id": "list1", "arm": "contacted", "against": None, "contacted_at": day(2)}
    assert rows(database, outreach) == [{**kept, "recorded_at": day(2)}]
    assert [one["state"] for one in rows(database, list_members, "rank")] == ["selected", "surveyed", "held_out"]
    (event,) = rows(database, member_events)
    assert (event["user_id"], event["state"], event["at"], event["key_id"]) == ("u1", "surveyed", day(2), "k1")
    post({"key": "b", "user_id": "u1", "list_id": "list1"}, at=3)
    assert len(rows(database, member_events)) == 1
    (entry, _) = Audit(database).read(action="outreach.create")
    assert (entry.subject, entry.rows, entry.criteria["accepted"]) == ("list1", 1, 1)


def test_the_same_record_again_is_repeated_and_another_one_under_its_key_is_refused(database: Database, post: Post) -> None:
    post({"key": "a", "user_id": "u1", "cost": 5})
    again = post({"key": "a", "user_id": "u1", "cost": 5}, at=2)
    assert (again.accepted, again.repeated) == (0, 1)
    for other in ({"cost": 6}, {"cost": 5, "user_id": "u2"}, {"cost": 5, "contacted_at": day(0.5)}):
        refused = post({"key": "a", "user_id": "u1", **other}, at=2)
        assert reasons(refused) == ["key_in_use"]
        assert "key 'a' is kept with other content" in refused.rejected[0].remedy
    twice = post({"key": "b", "user_id": "u3"}, {"key": "b", "user_id": "u3"}, {"key": "b", "user_id": "u4"})
    assert (twice.accepted, twice.repeated, reasons(twice)) == (1, 1, ["key_in_use"])
    assert [one["key"] for one in rows(database, outreach, "key")] == ["a", "b"]


def test_a_header_and_the_position_are_the_key_of_records_without_one(database: Database, post: Post) -> None:
    told = [{"user_id": "u1"}, {"user_id": "u2", "key": "own"}, {"user_id": "u3"}]
    assert post(*told, header="post-1").accepted == 3
    assert post(*told, header="post-1").repeated == 3
    assert [one["key"] for one in rows(database, outreach, "key")] == ["own", "post-1:0", "post-1:2"]
    without = post(*told)
    assert (without.repeated, reasons(without)) == (1, ["no_key", "no_key"])


def test_every_row_that_cannot_be_kept_says_why_and_the_others_are_kept(database: Database, post: Post) -> None:
    put_list(database, {"u0": "contact"})
    posted = post(
        {"key": "1", "user_id": "u5"},
        {"key": "2", "user_id": "nobody"},
        {"key": "3", "user_id": "u1", "list_id": "list1"},
        {"key": "4", "user_id": "u1", "list_id": "list9"},
        {"key": "5", "user_id": "u1", "contacted_at": day(1.1)},
    )
    assert posted.accepted == 1
    assert [(one.position, one.reason) for one in posted.rejected] == [
        (1, "unknown_user"), (2, "not_on_list"), (3, "unknown_list"), (4, "in_future"),
    ]  # fmt: skip
    assert "bring the person in with POST /v1/roster" in posted.rejected[0].remedy


def test_a_key_speaks_of_people_inside_of_its_scope_only(post: Post) -> None:
    told = {"key": "1", "user_id": "u0"}, {"key": "2", "user_id": "u1"}, {"key": "3", "user_id": "nobody"}
    posted = post(*told, principal=HANGZHOU)
    assert (posted.accepted, reasons(posted)) == (1, ["outside_scope", "outside_scope"])
    post({"key": "2", "user_id": "u1"})
    assert reasons(post({"key": "2", "user_id": "u1"}, principal=HANGZHOU)) == ["outside_scope"]


def test_people_held_out_are_not_contacted_by_their_list_nor_beside_it(database: Database, post: Post) -> None:
    put_list(database, {"u0": "contact", "u2": "holdout"}, days=14)
    put_list(database, {"u2": "contact"}, list_id="list2", days=14)
    beside = {"key": "1", "user_id": "u2"}
    assert reasons(post({**beside, "list_id": "list1"}, beside)) == ["held_out", "held_out"]
    assert post({"key": "2", "user_id": "u2", "list_id": "list2"}).accepted == 1
    assert post({"key": "3", "user_id": "u2"}, at=15).accepted == 1


def test_whoever_is_reserved_is_contacted_for_that_list_alone_and_while_it_runs(database: Database, post: Post) -> None:
    put_list(database, {"u0": "contact"}, days=4)
    put_list(database, {"u0": "contact", "u1": "contact"}, list_id="list2", days=9)
    ours = {"key": "1", "user_id": "u1", "list_id": "list2"}
    others = [{"key": "2", "user_id": "u1"}, {"key": "3", "user_id": "u0", "list_id": "list1"}]
    posted = post(ours, *others, at=5)
    assert (posted.accepted, reasons(posted)) == (1, ["reserved", "list_ended"])
    assert "u1 is reserved for list list2; contact them for it" in posted.rejected[0].remedy
    assert "list list1 ended 2024-06-05" in posted.rejected[1].remedy
    # What was done while it ran may be told later, and what happened all the same is kept with the rule.
    assert post({"key": "4", "user_id": "u1", "list_id": "list2", "contacted_at": day(8)}, at=20).accepted == 1
    happened = post(*({**one, "already_happened": True} for one in others), at=5)
    assert dict(happened.against) == {"reserved": 1, "list_ended": 1}
    assert reasons(post({"key": "6", "user_id": "u1", "list_id": "list2"}, at=9)) == ["list_ended"]
    assert post({"key": "5", "user_id": "u1"}, at=40).accepted == 1


def test_suppressions_and_consent_count_as_they_stood_at_the_contact(
    database: Database, service: Outreach, post: Post
) -> None:
    suppressions = Suppressions(database, service.people)
    suppressions.add(ALL, Cause.SUPPRESSED, ["u1"], "ring", starts_at=day(5), now=day(5))
    suppressions.add(ALL, Cause.CONSENT_WITHDRAWN, ["u2"], "td", channel="sms", now=day(5))
    told = [
        {"key": "1", "user_id": "u1", "contacted_at": day(4)},
        {"key": "2", "user_id": "u1", "contacted_at": day(6)},
        {"key": "3", "user_id": "u2", "channel": "sms"},
        {"key": "4", "user_id": "u2", "channel": "wecom"},
    ]
    posted = post(*told, at=7)
    assert (posted.accepted, reasons(posted)) == (2, ["suppressed", "consent_withdrawn"])
    assert "if it has happened, post it with already_happened" in posted.rejected[0].remedy


def test_what_happened_against_a_rule_is_kept_with_the_rule(database: Database, service: Outreach, post: Post) -> None:
    put_list(database, {"u0": "contact", "u2": "holdout"})
    Suppressions(database, service.people).add(ALL, Cause.SUPPRESSED, ["u1"], "ring", now=day(0))
    told = [
        {"key": "1", "user_id": "u1", "already_happened": True},
        {"key": "2", "user_id": "u2", "list_id": "list1", "already_happened": True},
        {"key": "3", "user_id": "u3", "already_happened": True},
    ]
    posted = post(*told)
    assert (posted.accepted, dict(posted.against)) == (3, {"suppressed": 1, "held_out": 1})
    kept = [(one["arm"], one["against"]) for one in rows(database, outreach, "key")]
    assert kept == [("contacted", "suppressed"), ("holdout", "held_out"), ("contacted", None)]
    assert post(*told, at=2).repeated == 3
    assert [one["state"] for one in rows(database, list_members, "rank")] == ["selected", "held_out"]


def test_nothing_is_kept_of_people_who_were_erased(database: Database, tmp_path: Path, post: Post) -> None:
    Erasures(database, tmp_path / "dataset.toml").erase(ALL, "u1", "asked", now=day(0))
    assert reasons(post({"key": "1", "user_id": "u1", "already_happened": True})) == ["erased"]


def test_nobody_is_contacted_more_often_than_the_cap_over_all_lists(database: Database, post: Post) -> None:
    put_list(database, {"u1": "contact"}, days=4)
    post({"key": "0", "user_id": "u1", "list_id": "list1"}, at=0)
    told = [{"key": f"k{n}", "user_id": "u1"} for n in range(4)]
    posted = post(*told, at=10)
    assert (posted.accepted, reasons(posted)) == (2, ["above_cap", "above_cap"])
    assert "more than 3 times in 30 days" in posted.rejected[0].remedy
    assert reasons(post({"key": "x", "user_id": "u1"}, at=29.9)) == ["above_cap"]
    # The first has left the month of this one; told late, one more inside of the month of the others is too many.
    assert post({"key": "y", "user_id": "u1"}, at=30).accepted == 1
    late = {"key": "z", "user_id": "u1", "contacted_at": day(5)}
    assert reasons(post(late, at=31)) == ["above_cap"]
    assert dict(post({**late, "already_happened": True}, at=31).against) == {"above_cap": 1}


def test_the_fullest_month_counts_whatever_the_order() -> None:
    assert most_in_a_month([], day(0)) == 1
    assert most_in_a_month([day(-30), day(30)], day(0)) == 1
    assert most_in_a_month([day(-29), day(29)], day(0)) == 2
    assert most_in_a_month([day(10), day(20), day(35)], day(0)) == 3
    assert most_in_a_month([day(0), day(0)], day(0)) == 3


def test_a_record_is_of_a_list_or_of_a_campaign() -> None:
    for wrong in ({}, {"list_id": "l", "campaign_id": "c"}):
        with pytest.raises(ValidationError, match="give list_id, or campaign_id"):
            Contact(user_id="u1", key="a", **wrong)
    with pytest.raises(ValidationError):
        Contact(user_id="u\x001", campaign_id="c")


def test_posts_at_one_moment_keep_each_record_once_and_the_cap(database: Database, service: Outreach) -> None:
    same = [Contact(user_id=f"u{n}", campaign_id="c", key=f"same-{n}", contacted_at=day(1)) for n in range(9)]

    def send(thread: int) -> tuple[Posted, Posted]:
        own = [Contact(user_id="u9", campaign_id="c", key=f"own-{thread}", contacted_at=day(1))]
        return service.record(ALL, same, now=day(1)), service.record(ALL, own, now=day(1))

    with ThreadPoolExecutor(8) as pool:
        posted = list(pool.map(send, range(8)))
    assert sum(shared.accepted for shared, _ in posted) == 9
    assert sum(shared.repeated for shared, _ in posted) == 7 * 9
    assert sum(own.accepted for _, own in posted) == 3
    assert len(rows(database, outreach)) == 9 + 3
