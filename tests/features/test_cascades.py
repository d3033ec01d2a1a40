"""Who brought whom and the chains of it: by hand, and against a slow reference on random trees and graphs."""

from collections import defaultdict
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cascades import DEPTH, brought, chains, descendants, share_cascades
from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)
END = day(40)
Row = dict[str, Any]


def prepared(as_of: datetime = END, **tables: Any) -> Snapshot:
    return prepare(take_snapshot(world(engine=ENGINE, **tables), as_of))


def share(name: str, sharer: str, at: float, parent: str | None = None, item: str | None = "tea") -> Row:
    return {"share_id": name, "sharer_id": sharer, "shared_at": day(at), "parent_share_id": parent, "item_id": item}


def response(of: str, who: str, at: float, action: str | None = "join") -> Row:
    return {"share_id": of, "responder_id": who, "responded_at": day(at), "action": action}


def order(user: str, at: float, amount: int, referrer: str | None = None, item: str = "tea") -> Row:
    return {"user_id": user, "item_id": item, "ordered_at": day(at), "amount": amount, "referrer_id": referrer}


# Ada invites Ben and Cat; Ben brings Dan and Eva on, both of whom Cat knows too; Dan brings Ada back and Fay in.
SHARES = [
    share("s1", "ada", 1),
    share("s2", "ben", 3, "s1"),
    share("s3", "cat", 4, "s1"),
    share("s4", "dan", 6, "s2"),
]
RESPONSES = [
    response("s1", "ben", 2),
    response("s1", "cat", 2.5, "register"),
    response("s2", "dan", 4, "buy"),
    response("s2", "eva", 5),
    response("s3", "eva", 4.5),
    response("s4", "ada", 7),
    response("s4", "fay", 8),
    response("s1", "gil", 2, "click"),
    response("s1", "hal", 2, "help"),
]
# Dan's order is the one behind the response of the same moment; Fay pays later; Eva buys on Cat's name.
ORDERS = [order("dan", 4, 500), order("fay", 8.5, 300), order("eva", 9, 70, "cat"), order("ben", 3.5, 11, "stranger")]


@pytest.fixture(scope="module")
def snapshot() -> Snapshot:
    return prepared(shares=SHARES, share_responses=RESPONSES, orders=ORDERS)


def members(table: Any) -> dict[tuple[str, str], tuple[int, int]]:
    """(head, member) -> level and value."""
    rows = ENGINE.to_arrow(table).to_pylist()
    found = {(row["user_id"], row["member_id"]): (row["level"], row["value"]) for row in rows}
    assert len(found) == len(rows)
    return found


def test_who_brought_whom_first(snapshot: Snapshot) -> None:
    rows = ENGINE.to_arrow(snapshot["brought"]).to_pylist()
    assert sorted((row["parent"], row["child"], row["since"]) for row in rows) == [
        ("ada", "ben", day(2)),
        ("ada", "cat", day(2.5)),
        ("ben", "dan", day(4)),
        ("ben", "eva", day(5)),
        ("cat", "eva", day(4.5)),
        ("dan", "ada", day(7)),
        ("dan", "fay", day(8)),
        ("stranger", "ben", day(3.5)),
    ]


def test_d14_d15_levels_and_money_of_the_chain_behind_each_person(snapshot: Snapshot) -> None:
    found = members(snapshot["chains"])
    assert {member: told for (head, member), told in found.items() if head == "ada"} == {
        "ben": (1, 0),  # what he bought was a stranger's doing
        "cat": (1, 0),
        "dan": (2, 500),
        "eva": (2, 70),  # through Ben or Cat: once
        "fay": (3, 300),
    }
    # Nobody is in their own chain, though Dan brought Ada back; who was with her before she came is not his.
    assert {member: told for (head, member), told in found.items() if head == "dan"} == {"ada": (1, 0), "fay": (1, 300)}
    assert {member: told for (head, member), told in found.items() if head == "stranger"} == {
        "ben": (1, 11), "dan": (2, 500), "eva": (2, 0), "fay": (3, 300), "ada": (3, 0),
    }  # fmt: skip


def test_d14_levels_and_money_of_one_campaign(snapshot: Snapshot) -> None:
    rows = ENGINE.to_arrow(share_cascades(snapshot)).to_pylist()
    first = {row["member_id"]: (row["level"], row["value"]) for row in rows if row["share_id"] == "s1"}
    assert first == {"ben": (1, 0), "cat": (1, 0), "dan": (2, 500), "eva": (2, 70), "fay": (3, 300)}
    assert {row["member_id"] for row in rows if row["share_id"] == "s3"} == {"eva"}
    assert {row["user_id"] for row in rows if row["share_id"] == "s2"} == {"ben"}


def test_money_of_another_subject_is_in_the_chain_and_not_in_the_campaign() -> None:
    snapshot = prepared(
        shares=[share("s1", "ada", 1)],
        share_responses=[response("s1", "ben", 2)],
        orders=[order("ben", 3, 100, "ada"), order("ben", 5, 40, "ada", "jam")],
    )
    assert members(snapshot["chains"]) == {("ada", "ben"): (1, 140)}
    (row,) = ENGINE.to_arrow(share_cascades(snapshot)).to_pylist()
    assert row["value"] == 100


def test_what_is_known_later_is_in_no_chain() -> None:
    snapshot = prepared(day(4.2), shares=SHARES, share_responses=RESPONSES, orders=ORDERS)
    found = members(snapshot["chains"])
    assert {member for head, member in found if head == "ada"} == {"ben", "cat", "dan"}


def test_a_window_tells_the_chain_as_if_history_began_there(snapshot: Snapshot) -> None:
    links = brought(snapshot, day(4), day(9))
    assert links is not None
    found = members(chains(snapshot, ENGINE.materialise(links), day(4), day(9)))
    # Of Ada's doing only Cat's share of day 4 lies in these days; Eva's order of day 9 is beyond them.
    assert {head for head, _ in found} == {"ada", "ben", "cat", "dan"}
    assert {member: told for (head, member), told in found.items() if head == "ada"} == {"cat": (1, 0), "eva": (2, 0)}
    assert found["ben", "fay"] == (2, 300)
    assert found["cat", "eva"] == (1, 0)


def test_each_table_tells_who_brought_whom() -> None:
    snapshot = prepared(
        orders=[order("b", 1, 1, "referrer")],
        memberships=[{"user_id": "b", "community_id": "c", "inviter_id": "inviter", "joined_at": day(2)}],
        group_buys=[{"group_buy_id": "g", "initiator_id": "opener", "opened_at": day(3)}],
        group_buy_members=[{"group_buy_id": "g", "user_id": who, "joined_at": day(3)} for who in ("opener", "b")],
        share_responses=[
            {"sharer_id": name, "responder_id": "b", "action": action, "responded_at": day(4)}
            for name, action in [("joined", "join"), ("unnamed act", None), ("clicked", "click"), ("helped", "help")]
        ],
    )
    assert {head for head, _ in members(snapshot["chains"])} == {"referrer", "inviter", "opener", "joined", "unnamed act"}


def test_without_any_table_nothing_is_told() -> None:
    orders = [{"user_id": "ada", "item_id": "tea", "ordered_at": day(1)}]
    snapshot = prepared(orders=orders)
    assert brought(snapshot) is None
    assert "chains" not in snapshot


def test_the_chain_begins_at_the_lookback() -> None:
    snapshot = prepared(shares=SHARES, share_responses=RESPONSES, orders=ORDERS, settings={"lookback": END - day(4.2)})
    assert {head for head, _ in members(snapshot["chains"])} == {"ben", "cat", "dan"}


# --- against a slow reference

Links = dict[tuple[str, str], int]


def reference(links: Links, depth: int) -> dict[tuple[str, str], tuple[int, int]]:
    """(root, member) -> level and first arrival, by walking every way in the order of time."""
    onward = defaultdict(list)
    for (parent, child), since in links.items():
        onward[parent].append((child, since))
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for root in list(onward):
        ways = [(root, -1)]
        for level in range(1, depth + 1):
            ways = [
                (child, since)
                for at, arrived in set(ways)
                for child, since in onward[at]
                if since >= arrived and child != root
            ]
            for member, since in ways:
                before = found.get((root, member), (level, since))
                found[root, member] = (before[0], min(before[1], since))
    return found


def as_table(links: Links) -> Any:
    rows = sorted(links.items())
    return ENGINE.from_arrow(
        pa.table(
            {
                "parent": pa.array([parent for (parent, _), _ in rows], pa.string()),
                "child": pa.array([child for (_, child), _ in rows], pa.string()),
                "since": pa.array([day(at) for _, at in rows], pa.timestamp("us")),
            }
        )
    )


def assert_as_reference(links: Links, depth: int) -> None:
    rows = ENGINE.to_arrow(descendants(as_table(links), ENGINE, depth)).to_pylist()
    found = {(row["root"], row["member"]): (row["level"], row["since"]) for row in rows}
    assert len(found) == len(rows)
    assert found == {key: (level, day(at)) for key, (level, at) in reference(links, depth).items()}


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), max_size=30))
@settings(max_examples=25, deadline=None)
def test_trees_are_as_the_reference_has_them(drawn: list[tuple[int, int]]) -> None:
    # Person n was brought by an earlier one, sometimes before that one came.
    assert_as_reference({(f"p{parent % (n + 1)}", f"p{n + 1}"): at for n, (parent, at) in enumerate(drawn)}, DEPTH)


@given(st.dictionaries(st.tuples(st.integers(0, 9), st.integers(0, 9)), st.integers(0, 6), max_size=35), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_graphs_with_cycles_and_several_parents_are_as_the_reference_has_them(
    drawn: dict[tuple[int, int], int], depth: int
) -> None:
    assert_as_reference({(f"p{a}", f"p{b}"): at for (a, b), at in drawn.items() if a != b}, depth)


@given(
    st.lists(
        st.tuples(st.integers(0, 7), st.integers(0, 7), st.integers(0, 8), st.integers(1, 500)), min_size=1, max_size=25
    )
)
@settings(max_examples=20, deadline=None)
def test_chain_values_are_as_the_reference_has_them(drawn: list[tuple[int, int, int, int]]) -> None:
    # One order each, of an item of its own, on the referrer's name: each pays once, and both link and money are known.
    paid = [(f"p{a}", f"p{b}", at, amount) for a, b, at, amount in drawn if a != b]
    if not paid:
        return
    orders = [order(child, at, amount, parent, f"i{n}") for n, (parent, child, at, amount) in enumerate(paid)]
    found = members(prepared(orders=orders)["chains"])
    links: Links = {}
    for parent, child, at, _ in paid:
        links[parent, child] = min(at, links.get((parent, child), at))
    expected = {}
    for (root, member), (level, _) in reference(links, DEPTH).items():
        arrived = {root: -1} | {person: at for (head, person), (_, at) in reference(links, DEPTH).items() if head == root}
        value = sum(
            amount for giver, payer, at, amount in paid if payer == member and giver in arrived and arrived[giver] <= at
        )
        expected[root, member] = (level, value)
    assert found == expected


@pytest.mark.parametrize(("most", "levels"), [(6, 3), (5, 2), (4, 1), (0, 1)])
def test_levels_that_could_lead_to_too_many_pairs_are_cut_for_everybody(most: int, levels: int) -> None:
    """Of a to b to c to d three pairs are known; one level on there are two more, and then one."""
    links = {("a", "b"): 1, ("b", "c"): 2, ("c", "d"): 3}
    rows = ENGINE.to_arrow(descendants(as_table(links), ENGINE, most=most)).to_pylist()
    whole = ["ab1", "bc1", "cd1", "ac2", "bd2", "ad3"]
    found = {f"{row['root']}{row['member']}{row['level']}" for row in rows}
    assert found == {pair for pair in whole if int(pair[2]) <= levels}
