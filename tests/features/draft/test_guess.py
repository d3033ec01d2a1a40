"""Guesses about one file: its table, its columns, how sure they are, and why."""

import pandas as pd
import pytest

from features.draft.guess import Guess, guess_columns, private, rank_tables
from features.draft.seen import Seen, see

DAYS = [f"2024-01-{day:02d}" for day in range(1, 11)]
PEOPLE = [1, 2, 3, 1, 2, 3, 1, 2, 3, 4]


def columns_of(**columns: object) -> list[Seen]:
    return [see(header, pd.Series(values)) for header, values in columns.items()]


def mapping(guesses: dict[str, Guess]) -> dict[str, str]:
    return {name: guess.value for name, guess in guesses.items()}


@pytest.mark.parametrize(
    ("table", "columns", "expected"),
    [
        (
            "orders",
            {"InvoiceNo": range(10), "CustomerID": PEOPLE, "StockCode": PEOPLE, "InvoiceDate": DAYS},
            {"order_id": "InvoiceNo", "user_id": "CustomerID", "item_id": "StockCode", "ordered_at": "InvoiceDate"},
        ),
        (
            "orders",
            {"订单编号": range(10), "买家会员名": PEOPLE, "实付金额": ["¥1.00"] * 10, "付款时间": DAYS},
            {"order_id": "订单编号", "user_id": "买家会员名", "amount": "实付金额", "ordered_at": "付款时间"},
        ),
        (
            "share_responses",
            {"inviter_id": PEOPLE, "voter_id": range(10), "clicked_at": DAYS},
            {"sharer_id": "inviter_id", "responder_id": "voter_id", "responded_at": "clicked_at"},
        ),
        ("ties", {"follower": PEOPLE, "followee": range(10)}, {"user_id": "follower", "influencer_id": "followee"}),
        (
            "memberships",
            {"inviter_id": PEOPLE, "invitee_id": range(10), "created_at": DAYS},
            {"inviter_id": "inviter_id", "user_id": "invitee_id", "joined_at": "created_at"},
        ),
        (
            "items",
            {"sku_id": range(10), "类目": ["a", "b"] * 5, "单价": [9.5] * 10},
            {"item_id": "sku_id", "category": "类目", "price": "单价"},
        ),
        (
            "group_buy_members",
            {"团ID": PEOPLE, "参团人ID": range(10), "参团时间": DAYS},
            {"group_buy_id": "团ID", "user_id": "参团人ID", "joined_at": "参团时间"},
        ),
        (
            "engagements",
            {"user": PEOPLE, "venue": range(10), "checked_in_at": DAYS},
            {"user_id": "user", "item_id": "venue", "happened_at": "checked_in_at"},
        ),
        (
            "rewards",
            {"会员号": PEOPLE, "佣金金额": ["¥2.50"] * 10, "发放时间": DAYS},
            {"user_id": "会员号", "amount": "佣金金额", "granted_at": "发放时间"},
        ),
    ],
)
def test_tables_are_recognised_by_their_headers(table: str, columns: dict, expected: dict[str, str]) -> None:
    best = rank_tables(columns_of(**columns))[0]
    assert (best.table, mapping(dict(best.columns))) == (table, expected)
    assert best.confidence >= 0.75
    assert all(guess.sure for guess in best.columns.values())


def test_every_guess_gives_its_reason() -> None:
    columns, _ = guess_columns("orders", columns_of(买家付款时间=DAYS, custmer_id=PEOPLE))
    assert columns["ordered_at"].reason == "header 买家付款时间 ends in 付款时间, a known name for ordered_at"
    assert columns["user_id"].reason == "header custmer_id is close to customerid, a known name for user_id"
    assert not columns["user_id"].sure


def test_values_overrule_headers() -> None:
    columns, _ = guess_columns("orders", columns_of(order_date=["soon", "later"], amount=["much", "little"]))
    assert columns == {}


def test_a_column_named_like_nothing_is_found_by_its_values() -> None:
    best = rank_tables(columns_of(u=[1, 2, 3], v=[2, 3, 4]), frozenset("1234"))[0]
    assert best.table == "ties"
    assert mapping(dict(best.columns)) == {"user_id": "u", "influencer_id": "v"}
    assert best.columns["user_id"].reason.startswith("100% of its values are users of the events")
    assert best.confidence <= 0.6


def test_columns_of_strangers_are_not_users() -> None:
    assert rank_tables(columns_of(u=[1, 2, 3], v=[2, 3, 4]), frozenset({"a", "b"})) == []


def test_known_people_decide_between_two_user_columns() -> None:
    seen = columns_of(customer_id=["c1", "c2", "c3"], external_userid=["w1", "w2", "w3"])
    alone, _ = guess_columns("users", seen)
    beside, _ = guess_columns("users", seen, frozenset({"w1", "w2"}))
    assert (alone["user_id"].value, beside["user_id"].value) == ("customer_id", "external_userid")


def test_of_two_fitting_headers_the_first_word_wins_and_says_so() -> None:
    columns, _ = guess_columns("orders", columns_of(下单时间=DAYS, 付款时间=DAYS))
    assert columns["ordered_at"].value == "付款时间"
    assert "preferred to 下单时间" in columns["ordered_at"].reason


def test_a_doubtful_file_names_its_alternative() -> None:
    best = rank_tables(columns_of(user_id=PEOPLE, item_id=PEOPLE, created_at=DAYS))[0]
    assert best.confidence < 0.75
    assert "could also be engagements" in best.reason


def test_a_repeated_key_rules_out_rosters_and_catalogues() -> None:
    tables = {guess.table for guess in rank_tables(columns_of(customer_id=PEOPLE, sku_id=PEOPLE, category=PEOPLE))}
    assert not tables & {"users", "items"}


def test_nothing_is_recognised_in_unrelated_columns() -> None:
    assert rank_tables(columns_of(wind=[1.5, 2.5], rain=[0.1, 0.0])) == []


def test_personal_data_is_told_by_header_and_by_value() -> None:
    phones, mails = pd.Series(["13812345678", "139****0001"]), pd.Series(["a@b.cn", "c@d.com"])
    assert private(see("联系方式", phones)) == "a phone number"
    assert private(see("contact", mails)) == "an e-mail address"
    assert private(see("收货人姓名", pd.Series(["甲"]))) == "a person's name"
    assert private(see("买家会员名", pd.Series(["hz_01"]))) is None


def test_a_phone_number_stands_in_for_a_customer_only_as_a_doubt() -> None:
    best = rank_tables(columns_of(手机号=["13812345678", "13912345678"], 商品=[1, 2], 付款时间=DAYS[:2]))[0]
    assert best.columns["user_id"].value == "手机号"
    assert best.columns["user_id"].confidence < 0.5
    assert "a hash" in best.columns["user_id"].reason
