from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from features.errors import ScoresError
from serving.candidates import candidates, likely_followers
from serving.criteria import Criteria, RankBy
from serving.evidence import Evidence
from serving.store.batch import Batch
from serving.store.categories import AFFINITY, BOUGHT
from serving.store.filters import Filters
from serving.store.schemas import TIES_SCHEMA
from serving.store.score_store import ScoreStore

# Best first, as `score_users` writes them.
USERS = pa.table(
    {
        "user_id": ["a", "b", "c", "d"],
        "koc_score": [4.0, 3.0, 2.0, 1.0],
        "expected_value": [100.0, 900.0, 100.0, 500.0],
        "rising": [-1.0, None, 0.5, 0.1],
        "churn_probability": [0.9, 0.2, None, 0.1],
        "stage": ["active", "active", "dormant", "newcomer"],
    }
)
# 9 people moved to tea, 1 to toys: the market's share of toys is a tenth.
CATEGORIES = pa.table(
    {
        "user_id": ["a", "b", "c"],
        "category": ["tea", "tea", "toys"],
        "influence": [8.0, 1.0, 1.0],
    }
)


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    return batch_of(tmp_path_factory.mktemp("scores"), USERS, CATEGORIES)


def batch_of(folder: Path, users: pa.Table, categories: pa.Table) -> Batch:
    store = ScoreStore(folder)
    store.write(users, categories, dataset="shop", model="koc/1", as_of=datetime(2024, 6, 1))
    return store.open()


def ids(listed: pa.Table) -> list[str]:
    return listed["user_id"].to_pylist()  # type: ignore[no-any-return]


def test_the_best_come_first_with_their_rank(batch: Batch) -> None:
    listed = candidates(batch, Criteria(limit=3))
    assert ids(listed) == ["a", "b", "c"]
    assert listed["rank"].to_pylist() == [1, 2, 3]
    assert listed.column_names[0] == "rank"
    assert ids(candidates(batch, Criteria(limit=100))) == ["a", "b", "c", "d"]


def test_the_best_next_item_stands_beside_its_user(tmp_path: Path) -> None:
    handed = pa.table({"user_id": ["c", "a", "a"], "place": [1, 1, 2], "item_id": ["x", "y", "z"], "category": ["tea"] * 3,
                       "open_people": [1, 2, 2], "because": ["c x", "a y", "a z"],
                       "because_zh": ["因 x", "因 y", "因 z"]})  # fmt: skip
    store = ScoreStore(tmp_path)
    store.write(
        USERS,
        CATEGORIES,
        Evidence(Evidence.none().follow_ups, handed),
        dataset="shop",
        model="koc/1",
        as_of=datetime(2024, 6, 1),
    )
    listed = candidates(store.open(), Criteria(limit=3))
    assert listed["next_item"].to_pylist() == ["y", None, "x"]
    assert listed["next_item_because"].to_pylist() == ["a y", None, "c x"]
    assert listed["next_item_because_zh"].to_pylist() == ["因 y", None, "因 x"]


def test_likely_leavers_and_people_long_gone_are_left_out(batch: Batch) -> None:
    listed = candidates(batch, Criteria(max_churn=0.2))
    assert ids(listed) == ["b", "d"]
    assert listed["rank"].to_pylist() == [1, 2]


def test_one_stage_is_listed_alone(batch: Batch) -> None:
    assert ids(candidates(batch, Criteria(stage="active"))) == ["a", "b"]
    assert ids(candidates(batch, Criteria(stage="active", max_churn=0.5))) == ["b"]


def test_a_category_weighs_the_record_against_the_market(batch: Batch) -> None:
    # share = (own in it + 1/10) / (own in all + 1): c has 1.1 / 2, d without a record the market's 1/10, a .1/9, b .1/2.
    listed = candidates(batch, Criteria(category="toys"))
    assert ids(listed) == ["c", "b", "d", "a"]
    expected = [2 * 1.1 / 2, 3 * 0.1 / 2, 1 * 0.1, 4 * 0.1 / 9]
    assert listed["category_score"].to_pylist() == pytest.approx(expected)
    assert listed["rank"].to_pylist() == [1, 2, 3, 4]


def test_equal_category_scores_keep_the_order_of_the_scores(tmp_path: Path) -> None:
    names = [f"p{number:02}" for number in range(60)]
    users = pa.table({"user_id": names, "koc_score": [1.0, 2.0] * 30, "stage": ["active"] * 60})
    listed = candidates(batch_of(tmp_path, users, CATEGORIES), Criteria(limit=60, category="tea"))
    assert ids(listed) == names[1::2] + names[::2]


def test_an_unknown_category_or_stage_lists_those_that_are_known(batch: Batch) -> None:
    with pytest.raises(ScoresError, match="nobody moved anybody in category 'coffee'; choose from tea, toys"):
        candidates(batch, Criteria(category="coffee"))
    with pytest.raises(ScoresError, match="no user has stage 'asleep'; choose from active, dormant, newcomer"):
        candidates(batch, Criteria(stage="asleep"))


def test_of_many_categories_the_first_are_named(tmp_path: Path) -> None:
    names = [f"c{number:02}" for number in range(30)]
    many = pa.table({"user_id": ["a"] * 30, "category": names, "influence": [1.0] * 30})
    with pytest.raises(ScoresError, match=r"choose from c00, .*, c19 \.\.\.$"):
        candidates(batch_of(tmp_path, USERS, many), Criteria(category="x"))


def test_scores_without_categories_churn_or_influence_say_so(tmp_path: Path) -> None:
    bare = batch_of(tmp_path / "bare", USERS.drop_columns(["churn_probability"]), CATEGORIES.slice(0, 0))
    with pytest.raises(ScoresError, match=r"know no category: their dataset maps no items.category"):
        candidates(bare, Criteria(category="tea"))
    with pytest.raises(ScoresError, match="no churn probability: their dataset has no orders; drop that filter"):
        candidates(bare, Criteria(max_churn=0.5))
    churn_only = batch_of(tmp_path / "churn", USERS.drop_columns(["koc_score"]), CATEGORIES)
    with pytest.raises(ScoresError, match="rate churn only: nothing tells who moved whom; map ties, shares or referrers"):
        candidates(churn_only, Criteria())


def test_value_ranks_by_money_and_equal_money_by_score(batch: Batch) -> None:
    assert candidates(batch, Criteria(by=RankBy.VALUE))["user_id"].to_pylist() == ["b", "d", "a", "c"]


def test_rising_ranks_by_trend_and_leaves_out_who_moved_nobody(batch: Batch) -> None:
    assert candidates(batch, Criteria(by=RankBy.RISING))["user_id"].to_pylist() == ["c", "d", "a"]


def test_value_in_a_category_is_weighed_by_its_share(batch: Batch) -> None:
    # Shares of toys: a (0 + .1) / 9, b .1 / 2, c 1.1 / 2, d .1 / 1.
    listed = candidates(batch, Criteria(by=RankBy.VALUE, category="toys"))
    assert listed["user_id"].to_pylist() == ["c", "d", "b", "a"]
    assert listed["category_score"].to_pylist() == pytest.approx([55.0, 50.0, 45.0, 10 / 9])


def test_rising_in_a_category_is_refused(batch: Batch) -> None:
    with pytest.raises(ScoresError, match="over all categories only"):
        candidates(batch, Criteria(by=RankBy.RISING, category="toys"))


def test_value_without_amounts_says_so(tmp_path: Path) -> None:
    without = USERS.set_column(2, "expected_value", pa.nulls(4, pa.float64()))
    with pytest.raises(ScoresError, match="no expected_value"):
        candidates(batch_of(tmp_path, without, CATEGORIES), Criteria(by=RankBy.VALUE))


def test_the_likeliest_followers_come_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    ties = pa.table(
        {
            "user_id": ["p", "q", "r", "s", "p", "q"],
            "influencer_id": ["a", "a", "a", "a", "b", "c"],
            "expected_follow_ups": [0.1, 0.7, 0.1, 2.0, 0.5, 0.9],
            "strength": [1.0] * 6,
        },
        TIES_SCHEMA,
    )
    store = ScoreStore(tmp_path)
    store.write(USERS, CATEGORIES, ties=ties, dataset="shop", model="koc/1", as_of=datetime(2024, 6, 1))
    found = likely_followers(store.open(), pa.array(["b", "a", "d"]), most=3).to_pylist()
    assert [(row["influencer_id"], row["user_id"]) for row in found] == [("a", "s"), ("a", "q"), ("a", "p"), ("b", "p")]
    # That at least one happens, where 2, 0.7, 0.1 and 0.5 are expected.
    assert [row["probability"] for row in found] == pytest.approx([0.8647, 0.5034, 0.0952, 0.3935], abs=1e-4)
    assert likely_followers(store.open(), pa.array(["d"])).num_rows == 0


def test_d60_filters_of_any_column_hold_beside_the_others(tmp_path: Path) -> None:
    users = USERS.append_column("attribute_region", [["Hangzhou", "Suzhou", "Hangzhou", "Wuhan"]])
    batch = batch_of(tmp_path, users, CATEGORIES)
    assert ids(candidates(batch, Criteria(where={"attribute_region": ["Hangzhou", "Suzhou"]}))) == ["a", "b", "c"]
    where: Filters = {"attribute_region": ["Hangzhou", "Suzhou"], "churn_probability": {"min": 0.5}}
    assert ids(candidates(batch, Criteria(where=where))) == ["a"]
    assert ids(candidates(batch, Criteria(where=where, max_churn=0.6))) == []
    with pytest.raises(ScoresError, match="takes out nobody; give it as --category"):
        candidates(batch, Criteria(where={"category": ["tea"]}))


# a moved three people to tea, d two to toys; b buys tea, and so do the people around c.
TASTES = pa.table(
    {
        "user_id": ["a", "b", "c", "d", "d", "a"],
        "category": ["tea", "tea", "tea", "tea", "toys", "toys"],
        "influence": [3.0, 0.0, 0.0, 0.0, 2.0, 0.0],
        "bought": [1, 9, 0, 0, 9, 5],
        "around": [0, 0, 9, 0, 9, 0],
    }
)


def test_d26_affinity_tells_of_people_without_a_record_in_the_category(tmp_path: Path) -> None:
    level = USERS.set_column(1, "koc_score", pa.array([1.0] * 4))
    tea = candidates(batch_of(tmp_path, level, TASTES), Criteria(category="tea", limit=4)).to_pylist()
    market, behind, backing = 3 / 5, AFFINITY, BOUGHT
    empty = (0 + backing * market) / (0 + backing)
    some = (9 + backing * market) / (9 + backing)
    none = (0 + backing * market) / (9 + backing)
    expected = {
        "a": (3 + behind * ((1 + backing * market) / (6 + backing) + empty) / 2) / (3 + behind),
        "b": (some + empty) / 2,
        "c": (empty + some) / 2,
        "d": (0 + behind * none) / (2 + behind),
    }
    assert {row["user_id"]: row["category_score"] for row in tea} == pytest.approx(expected)
    assert [row["user_id"] for row in tea] == ["b", "c", "a", "d"]


def test_d58_a_list_of_one_category_shows_on_how_much_evidence_each_stands_and_has_a_minimum_score(tmp_path: Path) -> None:
    batch = batch_of(tmp_path, USERS, TASTES)
    tea = candidates(batch, Criteria(category="tea", limit=4)).to_pylist()
    shown = {row["user_id"]: (row["category_moved"], row["category_evidence"]) for row in tea}
    assert shown == {"a": (3.0, "record"), "b": (0.0, "affinity"), "c": (0.0, "affinity"), "d": (0.0, "affinity")}
    best = candidates(batch, Criteria(category="tea", limit=4, where={"koc_score": {"min": 3.0}}))
    assert sorted(ids(best)) == ["a", "b"]
    # Whose rows are those of people with a record sees no others.
    assert [batch.table(batch.select({}, within={"category": name}))["user_id"].to_pylist() for name in ("tea", "toys")] == [
        ["a"], ["d"],
    ]  # fmt: skip
    assert "category_evidence" not in candidates(batch, Criteria(limit=1)).column_names


def test_d47_rising_people_come_first_whatever_their_fame(batch: Batch) -> None:
    # c and d have less than a and b, and grow; b's trend is not known.
    assert ids(candidates(batch, Criteria(by=RankBy.RISING, limit=4))) == ["c", "d", "a"]


def test_d43_people_are_ranked_by_lifetime_and_by_net_value(tmp_path: Path) -> None:
    worth = USERS.append_column("lifetime_value", pa.array([5.0, None, 70.0, 6.0]))
    worth = worth.append_column("net_value", pa.array([-20.0, 30.0, None, 40.0]))
    batch = batch_of(tmp_path, worth, CATEGORIES)
    # Who is not rated is left out; a loss is ranked, and last.
    assert ids(candidates(batch, Criteria(by=RankBy.LIFETIME, limit=4))) == ["c", "d", "a"]
    assert ids(candidates(batch, Criteria(by=RankBy.NET, limit=4))) == ["d", "b", "a"]
    for by in (RankBy.LIFETIME, RankBy.NET):
        with pytest.raises(ScoresError, match=f"^{by} is known over all categories only"):
            candidates(batch, Criteria(by=by, category="tea"))


def test_scores_without_amounts_or_costs_say_what_to_map(batch: Batch) -> None:
    others = "or rank by score, value, rising$"
    with pytest.raises(
        ScoresError, match=f"has no lifetime_value to rank by: map orders with amounts and score again, {others}"
    ):
        candidates(batch, Criteria(by=RankBy.LIFETIME))
    with pytest.raises(ScoresError, match=f"has no net_value to rank by: map amounts of orders, and rewards .*, {others}"):
        candidates(batch, Criteria(by=RankBy.NET))


def test_d75_tiers_are_filters(tmp_path: Path) -> None:
    tiered = USERS.append_column("koc_tier", pa.array(["head", "waist", "waist", "tail"]))
    batch = batch_of(tmp_path, tiered, CATEGORIES)
    waist: Filters = {"koc_tier": "waist"}
    below: Filters = {"koc_tier": ["waist", "tail"]}
    assert ids(candidates(batch, Criteria(limit=4, where=waist))) == ["b", "c"]
    assert ids(candidates(batch, Criteria(limit=4, category="toys", where=below)))[0] == "c"
