"""Who is cited as having followed, and which item is handed on next."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.engine import DuckDB
from features.evidence import follow_ups, market_items, next_items
from features.items import share_worth
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from features.tables import Tables
from tests.features.random_world import AS_OF, as_tables, later, random_rows, shuffled
from tests.worlds import Rows, day, world

ENGINE = DuckDB(threads=1)


def at(number: float, **tables: Any) -> Snapshot:
    """The prepared snapshot at day ``number`` of a world whose attribution window is 5 days."""
    return prepare(take_snapshot(world(engine=ENGINE, until=day(60), **tables), day(number)))


def rows(snapshot: Snapshot, build: Any, *users: str, **options: int) -> list[dict[str, Any]]:
    """What ``build`` says of ``users``, in the order of its places."""
    wanted = ENGINE.from_arrow(pa.table({"user_id": pa.array(users, pa.string())}))
    found: list[dict[str, Any]] = ENGINE.to_arrow(build(snapshot, wanted, **options)).to_pylist()
    return sorted(found, key=lambda row: (row["user_id"], row["place"]))


def orders(*bought: tuple[str, str, float]) -> Rows:
    return [{"user_id": user, "item_id": item, "ordered_at": day(moment)} for user, item, moment in bought]


def followers(influencer: str, *users: str) -> Rows:
    return [{"user_id": user, "influencer_id": influencer} for user in users]


ITEMS = [{"item_id": item, "category": category} for item, category in (("x", "tea"), ("y", "toys"), ("z", "tea"))]


# Who followed


def test_the_latest_follow_ups_come_first_each_with_its_item_and_date() -> None:
    snapshot = at(
        20,
        items=ITEMS,
        orders=orders(
            ("a", "x", 1), ("b", "x", 2), ("c", "x", 3), ("a", "y", 4), ("b", "y", 6), ("a", "w", 7), ("b", "w", 8)
        ),
        ties=[*followers("a", "b"), *followers("b", "c")],
    )
    found = rows(snapshot, follow_ups, "a", "b", "nobody")
    cited = [(r["user_id"], r["place"], r["influenced_id"], r["item_id"], r["category"], r["happened_at"]) for r in found]
    assert cited == [
        ("a", 1, "b", "w", None, day(8)),
        ("a", 2, "b", "y", "toys", day(6)),
        ("a", 3, "b", "x", "tea", day(2)),
        ("b", 1, "c", "x", "tea", day(3)),
    ]
    assert {(row["evidence"], row["weight"]) for row in found} == {("tie", 1_000_000)}
    assert [row["item_id"] for row in rows(snapshot, follow_ups, "a", most=2)] == ["w", "y"]


def test_of_one_moment_the_smaller_ids_come_first() -> None:
    answers = [{"sharer_id": "a", "responder_id": who, "item_id": item, "responded_at": day(3)}
               for who, item in (("c", "x"), ("b", "z"), ("b", "y"))]  # fmt: skip
    found = rows(at(10, share_responses=answers), follow_ups, "a")
    assert [(row["influenced_id"], row["item_id"], row["evidence"]) for row in found] == [
        ("b", "y", "response"), ("b", "z", "response"), ("c", "x", "response"),
    ]  # fmt: skip


def test_rows_of_money_alone_are_nobody_who_followed() -> None:
    # One person moved to one item counts once; the later purchase carries money only.
    answers = [{"sharer_id": "a", "responder_id": "b", "item_id": "x", "responded_at": day(3)}]
    snapshot = at(10, share_responses=answers, orders=[{**row, "amount": 100} for row in orders(("b", "x", 3.5))])
    assert len(ENGINE.to_arrow(snapshot["ledger"])) == 2
    assert [row["happened_at"] for row in rows(snapshot, follow_ups, "a")] == [day(3)]


@pytest.mark.parametrize(("moment", "cited"), [(5 - 1e-6, True), (5, False), (5.5, False)])
def test_what_happens_at_the_date_is_neither_cited_nor_known(moment: float, cited: bool) -> None:
    snapshot = at(5, orders=orders(("a", "x", 1), ("b", "x", moment)), ties=followers("a", "b"))
    assert len(rows(snapshot, follow_ups, "a")) == cited
    # While nobody is known to have followed, b is still left for x.
    assert len(rows(snapshot, next_items, "a")) == (not cited)


def test_what_is_older_than_the_lookback_is_not_cited() -> None:
    snapshot = at(
        20,
        orders=orders(("a", "x", 1), ("b", "x", 2), ("a", "y", 12), ("b", "y", 13)),
        ties=followers("a", "b"),
        settings={"lookback": timedelta(days=15)},
    )
    assert [row["item_id"] for row in rows(snapshot, follow_ups, "a")] == ["y"]


# What to hand on next


def test_the_item_that_most_are_left_for_and_most_buy_lately_is_handed_on() -> None:
    snapshot = at(
        20,
        items=ITEMS,
        # a bought x, y and z within the window. b has x already; z was bought lately by d and e too, and w long ago.
        orders=orders(("a", "w", 2), ("a", "x", 16), ("a", "y", 18), ("a", "z", 17), ("b", "x", 1), ("d", "z", 16),
                      ("e", "z", 17)),
        ties=followers("a", "b", "c"),
    )  # fmt: skip
    found = rows(snapshot, next_items, "a")
    assert [(r["item_id"], r["open_people"], r["people"], r["buyers_lately"], r["taken_at"]) for r in found] == [
        ("z", 2, 2, 3, day(17)),
        ("y", 2, 2, 1, day(18)),
        ("x", 1, 2, 1, day(16)),
    ]
    assert [row["category"] for row in found] == ["tea", "toys", "tea"]
    assert [row["item_id"] for row in rows(snapshot, next_items, "a", most=1)] == ["z"]


def test_of_equal_items_past_follow_ups_in_the_category_decide() -> None:
    moved_to_toys = (("a", "toy", 1), ("b", "toy", 2))
    options = (("a", "x", 18), ("a", "y", 17))
    items = [*ITEMS, {"item_id": "toy", "category": "toys"}]
    with_past, without = (
        at(20, items=items, orders=orders(*past, *options), ties=followers("a", "b", "c")) for past in (moved_to_toys, ())
    )
    assert [(row["item_id"], row["moved_in_category"]) for row in rows(with_past, next_items, "a")] == [("y", 1), ("x", 0)]
    # Without follow-ups, what was bought later.
    assert [row["item_id"] for row in rows(without, next_items, "a")] == ["x", "y"]


def test_where_all_have_it_nothing_is_handed_on() -> None:
    snapshot = at(20, orders=orders(("a", "x", 18), ("b", "x", 1)), ties=followers("a", "b"))
    assert rows(snapshot, next_items, "a") == []


def test_whoever_bought_nothing_lately_hands_on_what_was_followed() -> None:
    snapshot = at(
        30,
        items=ITEMS,
        orders=orders(("a", "x", 1), ("b", "x", 2), ("c", "x", 3), ("a", "y", 4), ("b", "y", 5), ("a", "w", 5)),
        ties=followers("a", "b", "c", "d"),
    )
    found = rows(snapshot, next_items, "a")
    # Nobody followed to w; tea moved two people, toys one.
    assert [(r["item_id"], r["open_people"], r["moved"], r["moved_in_category"], r["taken_at"]) for r in found] == [
        ("x", 1, 2, 2, None),
        ("y", 2, 1, 1, None),
    ]


def test_without_orders_or_ties_the_people_are_those_who_responded() -> None:
    answers = [
        {"sharer_id": sharer, "responder_id": who, "item_id": item, "responded_at": day(moment)}
        for sharer, who, item, moment in [
            ("a", "b", "x", 1), ("a", "c", "x", 2), ("a", "b", "y", 3), ("a", "d", "z", 4), ("e", "c", "y", 5)
        ]
    ]  # fmt: skip
    found = rows(at(10, share_responses=answers, items=ITEMS), next_items, "a")
    # Of b, c and d: x is open to d; y to d, since c answered e's share of it; z, of the strong category, to b and c.
    assert [(r["item_id"], r["open_people"], r["people"], r["moved"], r["moved_in_category"]) for r in found] == [
        ("x", 1, 3, 2, 3),
        ("z", 2, 3, 1, 3),
        ("y", 1, 3, 1, 1),
    ]


def test_datasets_without_evidence_say_nothing() -> None:
    snapshot = at(20, orders=[{"user_id": "a", "ordered_at": day(3)}])
    assert rows(snapshot, follow_ups, "a") == rows(snapshot, next_items, "a") == []
    joined = [{"user_id": "b", "inviter_id": "a", "community_id": "g", "joined_at": day(3)}]
    invited = at(20, memberships=joined, orders=[{"user_id": "a", "ordered_at": day(3)}])
    assert [(row["item_id"], row["evidence"]) for row in rows(invited, follow_ups, "a")] == [(None, "invitation")]
    assert rows(invited, next_items, "a") == []


def test_of_items_that_moved_as_many_the_one_more_worth_sharing_comes_first() -> None:
    shares = [{"share_id": f"{item}{n}", "sharer_id": "s", "item_id": item, "shared_at": day(1)}
              for item in ("w", "x") for n in range(4)]  # fmt: skip
    answers = [{"share_id": "w0", "responder_id": "t", "responded_at": day(1)}]
    # t bought the shared w; a moved b to w first and to x later, so that x would come first by its date.
    bought = orders(("t", "w", 1.5), ("a", "w", 8), ("b", "w", 9), ("a", "x", 8), ("b", "x", 10))
    snapshot = at(30, shares=shares, share_responses=answers, orders=bought, ties=followers("a", "b", "c"))
    assert [row["item_id"] for row in rows(snapshot, next_items, "a")] == ["w", "x"]


def test_d26_whoever_has_nothing_of_their_own_hands_on_the_best_of_the_market_first_of_the_category_bought_from() -> None:
    bought = orders(
        ("a", "z", 1), ("d", "x", 26), ("e", "x", 27), ("f", "y", 26), ("g", "y", 27), ("h", "y", 28), ("b", "x", 2)
    )
    snapshot = at(30, items=ITEMS, orders=bought, ties=followers("a", "b", "c"))
    assert rows(snapshot, next_items, "a", "nobody") == []
    found = rows(snapshot, market_items, "a", "nobody")
    told = [(r["user_id"], r["item_id"], r["open_people"], r["people"], r["buyers_lately"], r["worth"]) for r in found]
    assert told == [
        # a bought tea before; b has x, c has nothing. y is bought by more people, who are not around a.
        ("a", "x", 1, 2, 2, None),
        ("a", "y", 2, 2, 3, None),
        ("nobody", "y", 0, 0, 3, None),
        ("nobody", "x", 0, 0, 2, None),
    ]


# Random worlds


def random_snapshot(tables: Tables) -> Snapshot:
    return prepare(take_snapshot(tables, AS_OF))


PEOPLE = [f"u{number}" for number in range(40)]


@given(world_seed=st.integers(0, 2**32), seed=st.integers(0, 2**32))
@settings(max_examples=2, deadline=None)
def test_later_rows_and_the_order_of_rows_change_no_evidence(world_seed: int, seed: int) -> None:
    told = random_rows(world_seed)
    now, then = (
        random_snapshot(as_tables(some, ENGINE, credit="category"))
        for some in (told, shuffled(later(told, AS_OF, seed), seed))
    )
    for build in (follow_ups, next_items):
        assert rows(now, build, *PEOPLE) == rows(then, build, *PEOPLE)
    assert all(row["happened_at"] < AS_OF for row in rows(then, follow_ups, *PEOPLE))
    assert all(row["taken_at"] is None or row["taken_at"] < AS_OF for row in rows(then, next_items, *PEOPLE))


@pytest.mark.parametrize("seed", range(2))
def test_next_items_are_those_of_a_slow_and_obvious_count(seed: int) -> None:
    tables = as_tables(random_rows(seed), ENGINE, window=timedelta(days=10))
    snapshot = random_snapshot(tables)
    found = rows(snapshot, next_items, *PEOPLE)
    columns = ("user_id", "place", "item_id", "open_people", "people", "buyers_lately", "moved", "moved_in_category")
    assert [tuple(row[column] for column in columns) for row in found] == counted(snapshot, day(20))
    assert {row["taken_at"] is None for row in found} == {True, False}


def counted(snapshot: Snapshot, since: datetime) -> list[tuple[Any, ...]]:
    """The columns of ``next_items``, user by user and option by option."""
    ledger, adoptions, pairs, items = (ENGINE.to_arrow(snapshot[name]).to_pylist()
                                       for name in ("ledger", "adoptions", "pairs", "items"))  # fmt: skip
    category = {row["item_id"]: row["category"] for row in items}
    worth = {row["item_id"]: row["share_worth"] for row in ENGINE.to_arrow(share_worth(snapshot)).to_pylist()}
    taken = {(row["user_id"], row["subject"]) for row in adoptions} | {
        (row["influenced_id"], row["subject"]) for row in ledger
    }
    fresh = [row for row in adoptions if row["first_at"] >= since]
    lately = Counter(row["subject"] for row in fresh)
    found = []
    for user in PEOPLE:
        moved = [row for row in ledger if row["influencer_id"] == user and row["weight"] > 0]
        people = {row["influenced_id"] for row in moved} | {r["user_id"] for r in pairs if r["influencer_id"] == user}
        options = {row["subject"]: (row["item_id"], row["first_at"], True) for row in fresh if row["user_id"] == user}
        if not options:
            for row in sorted(moved, key=lambda row: row["happened_at"]):
                if row["item_id"] is not None:
                    item = min(other["item_id"] or "~" for other in moved if other["subject"] == row["subject"])
                    options[row["subject"]] = (item, row["happened_at"], False)
        ranked = []
        for subject, (item, moment, bought) in options.items():
            left = sum((person, subject) not in taken for person in people)
            on_it = sum(row["subject"] == subject for row in moved)
            kind = category.get(item)
            in_kind = sum(row["category"] == kind for row in moved) if kind else 0
            buyers = lately[subject] if bought else 0
            key = (-left * buyers, -in_kind, -on_it, -worth.get(item, -1.0), -moment.timestamp(), item)
            ranked.append((key, (item, left, len(people), buyers, on_it, in_kind)))
        ranked = sorted(entry for entry in ranked if entry[1][1])
        found += [(user, place, *facts) for place, (_, facts) in enumerate(ranked[:3], 1)]
    return sorted(found)
