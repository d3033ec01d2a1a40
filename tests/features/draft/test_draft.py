"""Drafts from whole files: which file is which table, what is asked, what is left out, and that the text is a dataset."""

import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from features.dataset import Dataset, read_dataset
from features.draft.draft import draft_dataset
from features.draft.parts import Draft, Question
from features.draft.text import dataset_text
from features.engine import DuckDB
from features.errors import DatasetError
from features.intake.open_tables import open_tables
from tests.paths import REPO, SHARED

EXAMPLE = REPO / "docs" / "example"
real_data = pytest.mark.skipif(not SHARED.is_dir(), reason=f"the research sets are not at {SHARED}")

DAYS = [f"{day:%Y-%m-%d}" for day in pd.date_range("2024-01-01", periods=200)]
PEOPLE = [str(1 + number % 20) for number in range(200)]
ORDERS = {"order_no": range(200), "customer_id": PEOPLE, "sku_id": [n % 7 for n in range(200)], "paid_at": DAYS}


def write(folder: Path, name: str, columns: Mapping[str, Sequence[object]]) -> Path:
    pd.DataFrame(columns).to_csv(folder / name, index=False)
    return folder / name


@cache
def real_draft(folder: str) -> Draft:
    return draft_dataset(sorted((SHARED / folder).glob("*.parquet")))


def dataset_of(draft: Draft, folder: Path) -> Dataset:
    path = folder / "dataset.toml"
    path.write_text(dataset_text(draft, path), encoding="utf-8")
    return read_dataset(path)


def answers(asked: list[Question], given: Mapping[str, str]) -> Callable[[Question], str | None]:
    def ask(question: Question) -> str | None:
        asked.append(question)
        return given.get(question.about)

    return ask


def test_the_example_drafts_every_table_it_holds(tmp_path: Path) -> None:
    draft = draft_dataset([EXAMPLE / "orders.csv", EXAMPLE / "customers.xlsx"])
    dataset = dataset_of(draft, tmp_path)
    assert list(dataset.tables) == ["orders", "items", "users", "attributes", "identities", "memberships"]
    orders, items = dataset.tables["orders"], dataset.tables["items"]
    assert orders.columns == {
        "order_id": "订单编号",
        "user_id": "买家会员名",
        "item_id": "商品ID",
        "quantity": "数量",
        "amount": "实付金额",
        "discount": "优惠金额",
        "refund_amount": "退款金额",
        "refunded_at": "退款时间",
        "referrer_id": "推荐人",
        "ordered_at": "付款时间",
    }
    assert (orders.encoding, orders.money) == ("gb18030", "major")
    assert (items.columns, items.distinct) == ({"item_id": "商品ID", "category": "类目"}, True)
    assert dataset.tables["memberships"].columns == {"user_id": "客户ID", "inviter_id": "邀请人", "joined_at": "添加时间"}
    assert dataset.tables["memberships"].constants == {"community_id": "customers"}
    assert dataset.tables["users"].columns == {"user_id": "客户ID", "registered_at": "添加时间", "channel": "来源"}
    assert dataset.tables["attributes"].unpivot == {"staff_owner": "添加人(员工)", "region": "地区", "tags": "标签"}
    assert dataset.tables["attributes"].constants == {"valid_from": "2024-10-26"}
    assert dataset.tables["identities"].columns == {"user_id": "客户ID", "value": "external_userid"}
    assert (dataset.zone, dataset.currency) == ("Asia/Shanghai", "CNY")
    assert all(guess.sure for *_, guess in draft.guesses())
    personal = {left.header: left.why for left in draft.left_out if "personal" in left.why}
    assert personal == {"手机号": "personal data (a phone number)", "客户昵称": "personal data (a nickname)"}


def test_the_drafted_example_passes_validation(tmp_path: Path) -> None:
    draft = draft_dataset([EXAMPLE / "orders.csv", EXAMPLE / "customers.xlsx"])
    tables, report = open_tables(dataset_of(draft, tmp_path), DuckDB(threads=1))
    assert all(table.set_aside == 0 for table in report.tables.values())
    assert tables.engine.to_arrow(tables.tables["orders"].amount.sum()).as_py() > 0
    last = max(tables.dataset.time.test_dates) + tables.dataset.time.horizon
    assert last <= tables.observed_until


@real_data
@pytest.mark.parametrize(
    ("folder", "table", "columns"),
    [
        ("foursquare-jakarta", "orders", {"user_id": "user", "item_id": "venue", "ordered_at": "checked_in_at"}),
        ("foursquare-jakarta", "ties", {"user_id": "u", "influencer_id": "v"}),
        ("douban-music", "orders", {"user_id": "user", "item_id": "item", "ordered_at": "rated_at"}),
        ("douban-music", "ties", {"user_id": "follower", "influencer_id": "followee"}),
        ("ciao", "orders", {"user_id": "user", "item_id": "item", "ordered_at": "rated_at"}),
        ("ciao", "items", {"item_id": "item", "category": "category"}),
        ("ciao", "ties", {"user_id": "truster", "influencer_id": "trusted"}),
        (
            "taobao-share",
            "share_responses",
            {"sharer_id": "inviter_id", "responder_id": "voter_id", "item_id": "item_id", "responded_at": "clicked_at"},
        ),
        ("taobao-share", "items", {"item_id": "item_id", "category": "cate_id"}),
        (
            "cdnow",
            "orders",
            {"user_id": "customer", "quantity": "n_cds", "amount": "value", "ordered_at": "ordered_at"},
        ),
    ],
)
def test_research_sets(tmp_path: Path, folder: str, table: str, columns: dict[str, str]) -> None:
    dataset = dataset_of(real_draft(folder), tmp_path)
    assert dataset.tables[table].columns == columns
    if table == "ties":
        assert dataset.tables[table].undirected == (folder == "foursquare-jakarta")
    assert dataset.time.test_dates


@real_data
def test_nameless_columns_are_an_explicit_question() -> None:
    asked: list[Question] = []
    files = sorted((SHARED / "foursquare-jakarta").glob("*.parquet"))
    draft_dataset(files, answers(asked, {}))
    questions = {question.about: question for question in asked}
    direction = questions["friendships.parquet: direction"]
    assert direction.choices == ("both ways", "u follows v", "v follows u")
    assert direction.default == "both ways"


def test_without_orders_reviews_stand_in_and_that_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "reviews.csv", {"user": PEOPLE, "book": PEOPLE[::-1], "reviewed_at": DAYS})
    asked: list[Question] = []
    draft = draft_dataset([path], answers(asked, {}))
    assert [table.table for table in draft.tables] == ["orders"]
    assert any(question.choices == ("orders", "engagements") for question in asked)
    assert "# check: no file has orders; rows of review" in dataset_text(draft, tmp_path / "dataset.toml")


def test_with_orders_reviews_stay_engagements(tmp_path: Path) -> None:
    orders = write(tmp_path, "orders.csv", ORDERS)
    reviews = write(tmp_path, "reviews.csv", {"user": PEOPLE, "sku": PEOPLE[::-1], "reviewed_at": DAYS})
    dataset = dataset_of(draft_dataset([reviews, orders]), tmp_path)
    assert set(dataset.tables) == {"orders", "engagements"}
    assert dataset.tables["engagements"].constants == {"kind": "review"}


def test_answers_are_taken_and_lose_the_mark(tmp_path: Path) -> None:
    orders = write(tmp_path, "orders.csv", ORDERS)
    pairs = write(tmp_path, "pairs.csv", {"a": PEOPLE[:20], "b": PEOPLE[1:21]})
    asked: list[Question] = []
    given = {"pairs.csv: direction": "b follows a", "zone": "Europe/Paris", "pairs.csv": "ties"}
    draft = draft_dataset([orders, pairs], answers(asked, given))
    dataset = dataset_of(draft, tmp_path)
    assert dataset.zone == "Europe/Paris"
    assert dataset.tables["ties"].columns == {"user_id": "b", "influencer_id": "a"}
    assert not dataset.tables["ties"].undirected
    assert "check:" not in (tmp_path / "dataset.toml").read_text().split("[tables.ties]")[1]


def test_a_file_may_be_answered_away(tmp_path: Path) -> None:
    orders = write(tmp_path, "orders.csv", ORDERS)
    pairs = write(tmp_path, "pairs.csv", {"a": PEOPLE[:20], "b": PEOPLE[1:21]})
    draft = draft_dataset([orders, pairs], answers([], {"pairs.csv": "nothing"}))
    assert [table.table for table in draft.tables] == ["orders"]
    assert "# Not used: pairs.csv could not be recognised" in dataset_text(draft, tmp_path / "dataset.toml")


def test_an_answer_that_is_no_choice_leaves_the_guess_unsure(tmp_path: Path) -> None:
    orders = write(tmp_path, "orders.csv", ORDERS)
    pairs = write(tmp_path, "pairs.csv", {"a": PEOPLE[:20], "b": PEOPLE[1:21]})
    draft = draft_dataset([orders, pairs], answers([], {"pairs.csv: direction": "sideways"}))
    ties = next(table for table in draft.tables if table.table == "ties")
    assert ties.undirected is not None
    assert (ties.undirected.value, ties.undirected.sure) == ("true", False)


def test_two_files_of_one_table_use_the_larger_and_say_so(tmp_path: Path) -> None:
    old = write(tmp_path, "old.csv", {name: list(values)[:50] for name, values in ORDERS.items()})
    new = write(tmp_path, "new.csv", ORDERS)
    draft = draft_dataset([old, new])
    assert draft.tables[0].source.path == new
    assert "old.csv is orders too, and new.csv is taken for it" in dataset_text(draft, tmp_path / "d.toml")


def test_people_with_other_ids_are_a_warning(tmp_path: Path) -> None:
    orders = write(tmp_path, "orders.csv", ORDERS)
    roster = {"会员号": [f"wx{n}" for n in range(9)], "注册时间": DAYS[:9], "等级": ["V1"] * 9}
    draft = draft_dataset([orders, write(tmp_path, "roster.csv", roster)])
    assert any("only 0% of 会员号 in roster.csv occur in orders.csv" in note for note in draft.notes)


def test_notes_tell_what_is_missing(tmp_path: Path) -> None:
    columns = {**ORDERS, "退款金额": ["1.00"] * 200, "单价": ["2.50"] * 200, "手机号": ["138****0000"] * 200}
    notes = "\n".join(draft_dataset([write(tmp_path, "orders.csv", columns)]).notes)
    assert "orders.refund_amount has no time that reveals it (refunded_at)" in notes
    assert "orders have no amount; add a column of 单价 x quantity" in notes
    assert "churn can be trained, KOC scores cannot" in notes
    assert "phone numbers (orders.csv) are left out" in notes


def test_money_without_a_sign_or_decimals_is_asked(tmp_path: Path) -> None:
    path = write(tmp_path, "orders.csv", {**ORDERS, "order_amount": [1900] * 200})
    asked: list[Question] = []
    draft = draft_dataset([path], answers(asked, {"orders.csv: money": "minor"}))
    assert dataset_of(draft, tmp_path).tables["orders"].money == "minor"
    assert any(question.default == "major" for question in asked if question.about == "orders.csv: money")
    fen = write(tmp_path, "fen.csv", {**ORDERS, "实付金额(分)": [1900] * 200})
    assert draft_dataset([fen]).tables[0].money is not None
    assert draft_dataset([fen]).tables[0].money.value == "minor"


def test_group_buys_and_their_members_on_one_line(tmp_path: Path) -> None:
    groups = [n // 4 for n in range(200)]
    columns = {
        "团ID": groups,
        "团长ID": [PEOPLE[group] for group in groups],
        "开团时间": [DAYS[group] for group in groups],
        "成团人数": [4] * 200,
        "参团人ID": PEOPLE,
        "参团时间": DAYS,
    }
    files = [write(tmp_path, "orders.csv", ORDERS), write(tmp_path, "groups.csv", columns)]
    dataset = dataset_of(draft_dataset(files), tmp_path)
    assert dataset.tables["group_buys"].distinct
    assert dataset.tables["group_buys"].columns["initiator_id"] == "团长ID"
    assert dataset.tables["group_buy_members"].columns == {
        "group_buy_id": "团ID",
        "user_id": "参团人ID",
        "joined_at": "参团时间",
    }


def test_no_events_lists_what_was_seen_and_what_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path, "weather.csv", {"wind": [1.5], "rain": [0.1]})
    with pytest.raises(DatasetError, match=r"weather.csv \(not recognised\): wind, rain\. Needed: orders"):
        draft_dataset([path])
    with pytest.raises(DatasetError, match="no files given"):
        draft_dataset([])


def test_an_unknown_zone_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "orders.csv", ORDERS)
    with pytest.raises(DatasetError, match="unknown zone 'Peking'"):
        draft_dataset([path], answers([], {"zone": "Peking"}))


def test_text_is_toml_with_awkward_names(tmp_path: Path) -> None:
    folder = tmp_path / 'odd "folder"'
    folder.mkdir()
    path = write(folder, "o'rders 1.csv", {**ORDERS, 'order "amount"': ["1.50"] * 200})
    draft = draft_dataset([path])
    text = dataset_text(draft, tmp_path / "dataset.toml")
    assert tomllib.loads(text)["root"] == 'odd "folder"'
    assert dataset_of(draft, tmp_path).tables["orders"].source == "o'rders 1.csv"
