from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest

from features.abuse.suspects import suspects
from features.abuse.verdicts import merge_candidates, verdicts
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.user_table import build_user_table
from tests.worlds import Rows, day, rows_of, user_rows, world

AT = day(60)


def prepared(**tables: Rows) -> Snapshot:
    return prepare(take_snapshot(world(until=AT, **tables), AT))


def named(snapshot: Snapshot) -> dict[str, dict[str, Any]]:
    return {row["user_id"]: row for row in snapshot.engine.to_arrow(snapshot["suspects"]).to_pylist()}


def helps(actor: str, target: str, *moments: float, action: str = "help", item: str | None = None) -> Rows:
    """Responses of one to another; each at an item of its own unless one is named."""
    return [
        {"responder_id": actor, "sharer_id": target, "item_id": item or f"{target}{at}", "action": action,
         "responded_at": day(at)}
        for at in moments
    ]  # fmt: skip


def buys(user: str, count: int) -> Rows:
    return [{"user_id": user, "item_id": "tea", "ordered_at": day(20 + number)} for number in range(count)]


def puppets(count: int, main: str = "eva", *, registered: float = 10.0) -> dict[str, Rows]:
    """Accounts that register within hours and help one account; ``main`` buys, and a friend helps it as well."""
    names = [f"p{number}" for number in range(count)]
    return {
        "users": [{"user_id": name, "registered_at": day(registered + n / 10)} for n, name in enumerate(names)],
        "share_responses": [
            *(row for n, name in enumerate(names) for row in helps(name, main, 12 + n / 50, 45 + n / 50)),
            *helps("ida", main, 13, 20),
        ],
        "orders": [*buys(main, 7), *buys("ida", 7)],
    }


def ring(*members: str) -> Rows:
    pairs = [(a, b) for a in members for b in members if a != b]
    return [row for n, pair in enumerate(pairs) for row in helps(*pair, 20 + n / 5, 40 + n / 5)]


def clock(bot: str, targets: list[str], *, every: float = 0.21, count: int = 60) -> Rows:
    return [row for n in range(count) for row in helps(bot, targets[n % len(targets)], 20 + every * n)]


def test_d40_accounts_registered_at_once_for_one_account_are_one_person() -> None:
    snapshot = prepared(**puppets(6))
    found = named(snapshot)
    assert {user: row["code"] for user, row in found.items()} == {
        **{f"p{n}": "sock_puppet" for n in range(6)}, "eva": "puppet_main",
    }  # fmt: skip
    assert {(row["cluster"], row["members"], row["acts"], row["until"]) for row in found.values()} == {
        ("eva", 7, 12, "2024-02-15")
    }
    merged = merge_candidates(snapshot).to_pylist()
    assert merged == [{"account": f"p{n}", "person_id": "eva", "basis": "behaviour"} for n in range(6)]


@pytest.mark.parametrize(
    ("why", "change"),
    [
        ("a family of four", {}),
        ("registered over months", {"users": [{"user_id": f"p{n}", "registered_at": day(n * 6)} for n in range(6)]}),
        ("customers of their own",
         {"orders": [row for n in range(6) for row in buys(f"p{n}", 9)]}),
        ("registered nobody knows when", {"users": [{"user_id": "eva"}]}),
        ("friends of others too",
         {"share_responses": [row for n in range(6) for whom in ("eva", f"x{n}", "y") for row in helps(f"p{n}", whom, 9)]}),
    ],
)  # fmt: skip
def test_d40_whoever_has_a_life_of_their_own_is_nobodys_puppet(why: str, change: dict[str, Rows]) -> None:
    assert named(prepared(**(puppets(4 if "four" in why else 6) | change))) == {}


def test_d40_fans_who_answer_one_call_together_are_no_puppets() -> None:
    """They register and click within hours, and nobody has bought yet."""
    fans = puppets(9)
    once = [row for n in range(9) for row in helps(f"p{n}", "eva", 12 + n / 50, 15 + n / 50)]
    assert named(prepared(**{**fans, "share_responses": [*once, *helps("ida", "eva", 13)]})) == {}
    # The same within weeks for fellows too is more than one call.
    among = [row for n in range(9) for row in helps(f"p{n}", f"p{(n + 1) % 9}", 14)]
    assert len(named(prepared(**{**fans, "share_responses": [*once, *among]}))) == 10


def test_d40_of_a_burst_those_who_are_linked_are_named() -> None:
    world_ = puppets(6)
    world_["users"] = [
        *world_["users"],
        {"user_id": "fan", "registered_at": day(10.2)},
        {"user_id": "new", "registered_at": day(10.3)},
    ]
    world_["share_responses"] = [
        *world_["share_responses"],
        *helps("fan", "eva", 12),
        *helps("new", "eva", 10.3, action="register"),
    ]
    assert set(named(prepared(**world_))) == {"eva", *(f"p{n}" for n in range(6))}


def test_d40_a_campaign_day_is_no_person(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(named(prepared(**puppets(12)))) == 13
    monkeypatch.setattr("features.abuse.puppets.MOST_ACCOUNTS", 11)
    assert named(prepared(**puppets(12))) == {}


def test_d40_a_burst_ends() -> None:
    """One who registers a day makes no burst of ten, but one of at most a fortnight."""
    world_ = puppets(18)
    world_["users"] = [{"user_id": f"p{n}", "registered_at": day(-8 + n)} for n in range(18)]
    # The first fourteen days have fourteen of them, the other stretch four: too few.
    assert set(named(prepared(**world_))) == {"eva", *(f"p{n}" for n in range(14))}


def test_d40_new_customers_who_came_for_one_person_are_no_puppets() -> None:
    """After a live show eight register, answer its host alone and buy once: that is what is wanted of a KOC."""
    world_ = puppets(8)
    world_["orders"] = [*world_["orders"], *(row for n in range(8) for row in buys(f"p{n}", 1))]
    snapshot = prepared(**world_)
    assert named(snapshot) == {}
    table = user_rows(build_user_table(snapshot), snapshot.engine).set_index("user_id")
    assert table.loc["eva", "responders_all"] == 9
    # One order among the eight passes none of them for customers.
    assert set(named(prepared(**{**world_, "orders": [*puppets(8)["orders"], *buys("p0", 1)]}))) == {
        "eva",
        *(f"p{n}" for n in range(8)),
    }


def test_d40_six_hundred_accounts_count_as_the_one_friend_that_is_real() -> None:
    def counted(accounts: int) -> dict[str, float]:
        snapshot = prepared(**puppets(accounts))
        rows = user_rows(build_user_table(snapshot), snapshot.engine).set_index("user_id")
        return rows.loc["eva", ["influence_all", "people_moved_all", "responders_all", "responses_all"]].to_dict()

    assert counted(60) == counted(0) == {
        "influence_all": 2_000_000, "people_moved_all": 1, "responders_all": 1, "responses_all": 2,
    }  # fmt: skip


def test_d40_accounts_that_mostly_pass_on_among_themselves_are_their_inviters() -> None:
    world_ = puppets(8)
    joined = [row for n in range(8) for row in helps(f"p{n}", "eva", 10 + n / 10, action="register")]
    among = [row for n in range(8) for step in (1, 2, 3) for row in helps(f"p{n}", f"p{(n + step) % 8}", 13 + n / 50)]
    world_["share_responses"] = [*joined, *among, *(row for n in range(8) for row in helps(f"p{n}", "eva", 12 + n / 50))]
    assert {row["cluster"] for row in named(prepared(**world_)).values()} == {"eva"}


def test_d40_puppets_count_for_nobody_even_if_their_person_breaks_another_rule() -> None:
    """In a ring, or above the rules of help, the person is accused of that, and puppets count no more than before."""
    world_ = puppets(8)
    rules = [row for n in range(8) for row in helps("eva", f"x{n}", 9 + n / 24)]
    for more, code in ((ring("eva", "b", "c", "d"), "help_ring"), (rules, "help_rule")):
        snapshot = prepared(**{**world_, "share_responses": [*world_["share_responses"], *more]})
        assert named(snapshot)["eva"]["code"] == code
        assert {row["abuse_person"] for row in verdicts(snapshot).to_pylist() if row["user_id"] in ("eva", "p0")} == {"eva"}
        left = set(rows_of(snapshot.source, snapshot["share_responses"], "responder_id")["responder_id"])
        assert not {name for name in left if name.startswith("p")}


def test_d40_puppets_bring_nobody_anywhere_for_their_person() -> None:
    """Joins of communities and group buys, and orders that name the person, are free or cheap ways to look influential."""

    def counted(accounts: int) -> dict[str, float]:
        world_ = puppets(accounts)
        names = [*(f"p{n}" for n in range(accounts)), "ida"]
        buyers = [*names[:-1][:4], "ida"]
        world_["orders"] = [
            *({**row, "referrer_id": None} for row in world_["orders"]),
            *({"user_id": name, "item_id": f"own-{name}", "ordered_at": day(18), "referrer_id": "eva"} for name in buyers),
        ]
        snapshot = prepared(
            **world_,
            memberships=[
                {"user_id": name, "community_id": "c", "joined_at": day(12), "inviter_id": "eva"} for name in names
            ],
            group_buys=[{"group_buy_id": "g", "initiator_id": "eva", "opened_at": day(14)}],
            group_buy_members=[{"group_buy_id": "g", "user_id": name, "joined_at": day(15)} for name in ("eva", *names)],
        )
        rows = user_rows(build_user_table(snapshot), snapshot.engine).set_index("user_id")
        columns = ["acts_all", "influence_all", "invited_all", "group_members_brought", "chain_size_all"]
        return rows.loc["eva", columns].to_dict()

    assert counted(12) == counted(0)
    assert counted(0)["invited_all"] == counted(0)["group_members_brought"] == 1


def test_d40_the_account_of_the_person_is_not_held_to_account() -> None:
    rows = {row["user_id"]: row for row in verdicts(prepared(**puppets(6))).to_pylist()}
    assert (rows["eva"]["abuse_code"], rows["eva"]["abuse_score"], rows["eva"]["abuse_person"]) == (None, 0.0, "eva")
    assert rows["p0"] == {
        "user_id": "p0",
        "abuse_score": 1.0,
        "abuse_code": "sock_puppet",
        "abuse_evidence": "one of 7 accounts of one person: registered at once, they act for eva and hardly for themselves; "
        "12 acts until 2024-02-15",
        "abuse_evidence_zh": "同一人的 7 个账号之一：集中注册，几乎只为 eva 操作；共 12 次操作，截至 2024-02-15",
        "abuse_person": "eva",
    }


def test_accounts_that_share_an_identity_are_merged_already() -> None:
    identities = [{"user_id": user, "kind": "phone", "value": "1"} for user in ("ben", "ada")]
    orders = [{"user_id": user, "item_id": "tea", "ordered_at": day(1)} for user in ("ben", "ada")]
    assert merge_candidates(prepared(orders=orders, identities=identities)).to_pylist() == [
        {"account": "ben", "person_id": "ada", "basis": "identity"}
    ]


def test_d41_those_who_help_each_other_in_turn_are_a_ring_that_moves_nobody() -> None:
    snapshot = prepared(share_responses=[*ring("a", "b", "c", "d"), *helps("e", "a", 30, 31)])
    found = {user: (row["code"], row["cluster"], row["acts"]) for user, row in named(snapshot).items()}
    assert found == dict.fromkeys("abcd", ("help_ring", "a", 24))
    ledger = rows_of(snapshot.source, snapshot["ledger"], "happened_at")
    assert ledger[["influencer_id", "influenced_id"]].drop_duplicates().values.tolist() == [["a", "e"]]


def test_d41_a_dense_block_of_helpers_is_held_to_account() -> None:
    helpers, helped = [f"h{n}" for n in range(5)], [f"t{n}" for n in range(4)]
    fake = [row for h in helpers for t in helped for row in helps(h, t, 20 + len(h), 30)]
    found = named(prepared(share_responses=[*fake, *helps("ada", "ben", 3, 4), *helps("cat", "dan", 5, 6)]))
    assert {row["code"] for row in found.values()} == {"dense_block"}
    assert set(found) == {*helpers, *helped}


def test_d39_a_bot_is_told_by_its_clock_and_counts_for_nobody() -> None:
    friends = [*helps("ida", "eva", 13, 20), *helps("ida", "gus", 14)]
    snapshot = prepared(share_responses=[*clock("bot", ["eva", "gus", "kim"]), *friends])
    assert {user: row["code"] for user, row in named(snapshot).items()} == {"bot": "bot_timing"}
    table = user_rows(build_user_table(snapshot), snapshot.engine).set_index("user_id")
    assert table.loc["eva", ["influence_all", "responses_all", "responders_all"]].tolist() == [2_000_000, 2, 1]
    # It has a row, so that it can be named, and no influence on it is anybody's.
    assert table.loc["bot", "acts_all"] == 60
    assert "bot" not in set(rows_of(snapshot.source, snapshot["ledger"])["influenced_id"])


def test_d06_rules_of_help_are_three_friends_a_day_and_once_per_product() -> None:
    busy = [row for friend in range(8) for row in helps("bob", f"f{friend}", 9 + friend / 24)]
    twice = [row for n in range(6) for row in helps("cat", "ada", 9 + n, item="tea")]
    fine = [row for n in range(6) for row in helps("dan", "ada", 9 + n)] + helps("eve", "ada", 9, 10, item="tea")
    found = named(prepared(share_responses=[*busy, *twice, *fine]))
    # bob: 5 above 3; cat: 5 after the first.
    assert {user: (row["code"], row["score"]) for user, row in found.items()} == {
        "bob": ("help_rule", 0.5), "cat": ("help_rule", 0.5),
    }  # fmt: skip
    clicks = [{**row, "action": "click"} for row in (*busy, *twice)]
    assert named(prepared(share_responses=clicks)) == {}


def test_d06_one_friend_counts_five_times_at_most() -> None:
    often = [row for n in range(40) for row in helps("ida", "eva", 1 + n)]
    snapshot = prepared(share_responses=[*often, *helps("joy", "eva", 2), *helps("joy", "gus", 2.5)])
    table = user_rows(build_user_table(snapshot), snapshot.engine).set_index("user_id")
    assert table.loc["eva", ["responses_all", "responses_each"]].tolist() == [6, 3.0]


def test_the_order_of_rows_and_what_comes_later_change_nothing() -> None:
    rows = [*ring("a", "b", "c", "d"), *clock("bot", ["a", "x"]), *puppets(6)["share_responses"]]
    later = [{**row, "responded_at": AT + timedelta(days=n)} for n, row in enumerate(rows)]
    first, second = (prepared(share_responses=given) for given in (rows, [*reversed(rows), *later]))
    assert suspects(first).equals(suspects(second))
    assert isinstance(suspects(first), pa.Table)


def test_without_responses_nobody_is_suspected() -> None:
    assert "suspects" not in prepared(orders=[{"user_id": "ada", "ordered_at": day(1)}])
