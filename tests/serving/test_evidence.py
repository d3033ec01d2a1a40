from dataclasses import replace

import pyarrow as pa

from features.engine import DuckDB
from features.prepare import prepare
from features.snapshot import Snapshot, take_snapshot
from serving.evidence import Evidence, evidence_of
from tests.worlds import day, world

ENGINE = DuckDB(threads=1)


def snapshot(*orders: tuple[str, str, float]) -> Snapshot:
    tables = world(
        engine=ENGINE,
        until=day(40),
        orders=[{"user_id": user, "item_id": item, "ordered_at": day(moment)} for user, item, moment in orders],
        items=[{"item_id": "x", "category": "tea"}],
        ties=[{"user_id": user, "influencer_id": "a"} for user in ("b", "c", "d")],
    )
    local = replace(tables, dataset=tables.dataset.model_copy(update={"zone": "Asia/Shanghai"}))
    return prepare(take_snapshot(local, day(30)))


def of(*orders: tuple[str, str, float], users: tuple[str, ...] = ("a",)) -> Evidence:
    return evidence_of(snapshot(*orders), pa.array(users, pa.string()))


def test_who_followed_is_told_in_local_time() -> None:
    found = of(("a", "x", 1), ("b", "x", 2.75), ("c", "x", 3)).follow_ups.to_pylist()
    assert [(row["user_id"], row["influenced_id"], row["item_id"], row["category"]) for row in found] == [
        ("a", "c", "x", "tea"),
        ("a", "b", "x", "tea"),
    ]
    # Six in the evening in UTC is past midnight in Shanghai.
    assert [row["happened_at"].isoformat() for row in found] == ["2024-01-04T08:00:00+08:00", "2024-01-04T02:00:00+08:00"]


def test_a_fresh_item_says_when_it_was_bought_and_who_is_left() -> None:
    assert of(("a", "x", 28.75), ("b", "x", 28), ("c", "y", 1)).next_items.to_pylist() == [
        {
            "user_id": "a",
            "place": 1,
            "item_id": "x",
            "category": "tea",
            "open_people": 2,
            "because": "bought on 2024-01-30; people around who have not: 2 of 3; first-time buyers in 5 days: 2",
            "because_zh": "2024-01-30 买过；身边 3 人中还有 2 人没买；近 5 天首购 2 人",
        }
    ]


def test_an_item_handed_on_before_says_whom_it_moved_and_its_category_where_known() -> None:
    found = of(("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("b", "y", 4)).next_items.to_pylist()
    assert [(row["item_id"], row["because"], row["because_zh"]) for row in found] == [
        (
            "x",
            "people moved to it before: 1; follow-ups in its category: 1; people around still to be moved: 2 of 3",
            "曾带动 1 人；同类目累计带动 1 次；身边 3 人中还有 2 人未被带动",
        ),
        ("y", "people moved to it before: 1; people around still to be moved: 2 of 3",
         "曾带动 1 人；身边 3 人中还有 2 人未被带动"),
    ]  # fmt: skip


def test_users_come_in_order_and_can_be_picked() -> None:
    found = of(("b", "x", 1), ("a", "x", 28), ("b", "y", 29), ("c", "y", 29), users=("c", "a", "b"))
    assert found.next_items["user_id"].to_pylist() == ["a", "b", "b", "c", "c"]
    assert found.of(pa.array(["b"])).next_items["user_id"].to_pylist() == ["b", "b"]
    assert found.of(pa.array(["d"])).next_items.num_rows == 0


def test_d26_every_explained_candidate_names_an_item_to_push() -> None:
    found = of(("b", "x", 29), ("c", "y", 29), ("d", "y", 29), ("a", "z", 1), users=("a", "nobody")).next_items.to_pylist()
    first = [(row["user_id"], row["item_id"], row["open_people"]) for row in found if row["place"] == 1]
    # x and y are as little known to shares; tea is nobody's taste here, and more took up y.
    assert first == [("a", "y", 1), ("nobody", "y", 0)]
    assert found[0]["because"] == (
        "of the market's best, as nothing of the user's own tells; first-time buyers in 5 days: 2; "
        "people around who have not: 1 of 3"
    )
    assert found[0]["because_zh"] == "本人暂无可参考记录，取全站最值得分享的商品；近 5 天首购 2 人；身边 3 人中还有 1 人没买"
    alone = [row["because"] for row in found if row["user_id"] == "nobody"]
    assert alone[0] == "of the market's best, as nothing of the user's own tells; first-time buyers in 5 days: 2"


def test_where_nobody_is_explained_there_is_no_evidence() -> None:
    none = of(("a", "x", 1), users=())
    assert none == Evidence.none()
    # The columns are those of evidence there is.
    some = of(("a", "x", 1), ("b", "x", 2))
    assert none.next_items.schema == some.next_items.schema
    assert none.follow_ups.column_names == some.follow_ups.column_names
