"""A whole market: the same from one seed, whole in its references, and honest about time and truth."""

from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from features.dataset import read_dataset
from features.schema import TABLES
from features.simulate.market import simulate_market
from features.simulate.settings import MarketSettings

USERS = 5_000
START = datetime(2023, 12, 31, 16)
END = START + timedelta(days=365)
Market = dict[str, pd.DataFrame]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return simulate_market(MarketSettings(users=USERS), tmp_path_factory.mktemp("market")).parent


@pytest.fixture(scope="module")
def market(folder: Path) -> Market:
    return {str(path.relative_to(folder))[: -len(".parquet")]: pd.read_parquet(path) for path in folder.rglob("*.parquet")}


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()
    }


def test_same_seed_gives_same_bytes_and_another_seed_other_tables(tmp_path: Path) -> None:
    small = MarketSettings(users=500, days=120)
    for name, seed in (("one", 3), ("again", 3), ("other", 4)):
        simulate_market(small.model_copy(update={"seed": seed}), tmp_path / name)
    one, again, other = (digests(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    assert not [name for name, digest in one.items() if other[name] == digest]


def test_society_comes_on_top_of_the_bare_market(folder: Path, tmp_path: Path) -> None:
    """Everything that a market without society holds is in the one with it, under the same ids where people are named."""
    bare = tmp_path / "bare"
    simulate_market(MarketSettings(users=USERS, society=None), bare)
    keys = {
        "users": ["user_id", "registered_at", "channel"],
        "items": ["item_id", "price"],
        "ties": ["user_id", "influencer_id", "kind", "since"],
        "orders": ["user_id", "item_id", "quantity", "ordered_at", "recorded_at", "channel"],
        "shares": ["sharer_id", "item_id", "channel", "shared_at"],
        "share_responses": ["sharer_id", "responder_id", "item_id", "action", "responded_at"],
        "memberships": ["community_id", "user_id", "joined_at"],
    }
    for table, columns in keys.items():
        less, more = (pd.read_parquet(at / f"{table}.parquet", columns=columns) for at in (bare, folder))
        if table == "memberships":
            # Groups of the society are numbered after those of the bare market, in the same width here.
            assert less.community_id.str.len().iloc[0] <= more.community_id.str.len().iloc[0]
            less, more = less.drop(columns="community_id"), more.drop(columns="community_id")
        rows = set(more.astype(str).itertuples(index=False, name=None))
        assert set(less.astype(str).itertuples(index=False, name=None)) <= rows, table
        assert len(more) >= len(less)
    assert set(read_dataset(bare / "dataset.toml").tables) == set(keys) | {"communities"}


def test_tables_have_the_names_and_types_of_the_contract(folder: Path) -> None:
    dataset = read_dataset(folder / "dataset.toml")
    for name, source in dataset.tables.items():
        schema = pq.read_schema(folder / source.source)
        assert set(source.columns) == set(schema.names)
        for column in source.columns:
            assert schema.field(column).type == TABLES[name][column].kind.dtype.to_pyarrow(), (name, column)
        assert {column.name for column in TABLES[name].columns if column.required} <= set(source.columns)


def test_dataset_maps_no_truth_and_its_test_dates_have_closed_windows(folder: Path) -> None:
    dataset = read_dataset(folder / "dataset.toml")
    assert not [source.source for source in dataset.tables.values() if "truth" in source.source]
    assert dataset.time.until == END
    assert dataset.time.test_dates == tuple(END - timedelta(days=days) for days in (126, 84, 42))
    assert dataset.time.horizon == timedelta(days=42)


def test_every_reference_exists(market: Market) -> None:
    users, items, shares = set(market["users"].user_id), set(market["items"].item_id), set(market["shares"].share_id)
    truth = market["truth/users"]
    beyond = (truth.role == "bot") | ((truth.role == "sock_puppet") & (truth.person_id != truth.user_id))
    assert len(users) == USERS + beyond.sum()
    acting = {"influencer_id", "referrer_id", "sharer_id", "responder_id", "inviter_id", "initiator_id", "person_id"}
    for table, frame in market.items():
        for column in {"user_id", *acting} & set(frame):
            assert set(frame[column].dropna()) <= users, (table, column)
        for column in {"share_id", "parent_share_id"} & set(frame):
            assert set(frame[column].dropna()) <= shares, (table, column)
        if "item_id" in frame:
            assert set(frame.item_id.dropna()) <= items, table
        if "community_id" in frame:
            assert set(frame.community_id.dropna()) <= set(market["communities"].community_id), table
    assert set(market["group_buy_members"].group_buy_id) == set(market["group_buys"].group_buy_id)
    for table in ("users", "items", "orders", "shares", "communities", "group_buys"):
        assert market[table].iloc[:, 0].is_unique, table


def test_no_self_ties_and_one_row_per_pair_and_kind(market: Market) -> None:
    ties = market["ties"]
    assert (ties.user_id != ties.influencer_id).all()
    assert not ties.duplicated(["user_id", "influencer_id", "kind"]).any()
    assert set(ties.kind) == {"friend", "follow", "invite"}
    friends = set(zip(*(ties[ties.kind == "friend"][end] for end in ("user_id", "influencer_id")), strict=True))
    assert friends == {(influencer, user) for user, influencer in friends}


@pytest.mark.parametrize(
    ("table", "who", "when"),
    [
        ("orders", "user_id", "ordered_at"),
        ("shares", "sharer_id", "shared_at"),
        ("share_responses", "responder_id", "responded_at"),
        ("memberships", "user_id", "joined_at"),
        ("group_buy_members", "user_id", "joined_at"),
        ("engagements", "user_id", "happened_at"),
        ("outreach", "user_id", "contacted_at"),
        ("attributes", "user_id", "valid_from"),
    ],
)
def test_nobody_acts_before_registration_or_after_leaving(market: Market, table: str, who: str, when: str) -> None:
    people = market["users"].merge(market["truth/users"], on="user_id").set_index("user_id")
    rows = market[table]
    registered = rows[who].map(people.registered_at)
    churned = rows[who].map(people.churned_at).fillna(pd.Timestamp(END))
    assert (rows[when] >= registered).all()
    assert (rows[when] <= churned).all()
    assert (rows[when] < END).all()
    assert people.churned_at.notna().mean() > 0.2


def test_ties_do_not_begin_before_both_ends_registered(market: Market) -> None:
    registered = market["users"].set_index("user_id").registered_at
    ties = market["ties"]
    met = pd.concat([ties.user_id.map(registered), ties.influencer_id.map(registered)], axis=1).max(axis=1)
    dated = ties.since.notna()
    assert (ties.since >= met)[dated].all()
    assert (met[~dated] < START).all()
    assert 0 < (~dated).mean() < 0.5


def test_responses_follow_their_share_and_reshares_their_parent(market: Market) -> None:
    shares = market["shares"].set_index("share_id")
    responses = market["share_responses"].merge(shares, left_on="share_id", right_index=True, suffixes=("", "_of_share"))
    assert (responses.responded_at > responses.shared_at).all()
    assert (responses.sharer_id == responses.sharer_id_of_share).all()
    assert responses.item_id.fillna("").equals(responses.item_id_of_share.fillna(""))
    truth = market["truth/users"].set_index("user_id")
    honest = responses[(responses.action != "help") & (responses.responder_id.map(truth.role) != "sock_puppet")]
    honest = honest[honest.sharer_id.map(truth.role) != "staff_guide"]
    ties = set(zip(market["ties"].user_id, market["ties"].influencer_id, strict=True))
    assert set(zip(honest.responder_id, honest.sharer_id, strict=True)) <= ties
    passed = shares.dropna(subset="parent_share_id")
    passed = passed.merge(shares, left_on="parent_share_id", right_index=True, suffixes=("", "_of_parent"))
    assert len(passed) > 0
    assert (passed.shared_at > passed.shared_at_of_parent).all()
    assert passed.item_id.fillna("").equals(passed.item_id_of_parent.fillna(""))


def test_every_bought_response_has_its_order_and_some_orders_name_the_sharer(market: Market) -> None:
    responses = market["share_responses"]
    bought = responses[responses.action == "buy"]
    orders = market["orders"]
    matched = bought.merge(
        orders, left_on=["responder_id", "item_id", "responded_at"], right_on=["user_id", "item_id", "ordered_at"]
    )
    assert len(matched) == len(bought) > 20
    named = matched.referrer_id.notna()
    assert 0.4 < named.mean() < 0.95
    assert (matched.referrer_id == matched.sharer_id)[named].all()
    # The others that name somebody were bought in a group.
    groups = market["group_buys"]
    others = orders[orders.referrer_id.notna() & ~orders.order_id.isin(matched.order_id)]
    in_groups = others.merge(
        groups, left_on=["referrer_id", "item_id", "ordered_at"], right_on=["initiator_id", "item_id", "closed_at"]
    )
    assert len(in_groups) == len(others) > 0


def test_money_and_clocks(market: Market) -> None:
    orders = market["orders"]
    price = orders.item_id.map(market["items"].set_index("item_id").price)
    assert (orders.amount + orders.discount == price * orders.quantity).all()
    assert (orders.amount > 0).all()
    refunded = orders.refunded_at.notna()
    assert 0.03 < refunded.mean() < 0.06
    assert (orders.refund_amount.notna() == refunded).all()
    assert (orders.refund_amount <= orders.amount)[refunded].all()
    assert (orders.refunded_at > orders.ordered_at)[refunded].all()
    late = orders.recorded_at > orders.ordered_at
    assert (orders.recorded_at >= orders.ordered_at).all()
    assert 0.02 < late.mean() < 0.04
    assert (orders[["refunded_at", "recorded_at"]].max() < END).all()


def test_orders_keep_the_local_calendar(market: Market) -> None:
    local = market["orders"].ordered_at + timedelta(hours=8)
    daily = local.dt.date.value_counts().sort_index()
    assert str(daily.idxmax()) == "2024-11-11"
    assert daily[pd.Timestamp("2024-06-18").date()] > 2 * daily.median()
    by_hour = local.dt.hour.value_counts()
    assert by_hour[20] > 2 * by_hour[4]


def test_truth_covers_everyone_and_names_who_moved_each_caused_order(market: Market) -> None:
    truth = market["truth/users"]
    assert list(truth.user_id) == list(market["users"].user_id)
    assert (truth.role == "koc").sum() == 50
    along = market["truth/ties"]
    pairs = set(zip(market["ties"].user_id, market["ties"].influencer_id, strict=True))
    assert set(zip(along.user_id, along.influencer_id, strict=True)) <= pairs
    assert along.probability.between(0, 1, inclusive="neither").all()
    caused = market["truth/orders"].merge(market["orders"], on="order_id")
    ties = set(zip(along.user_id, along.influencer_id, strict=True))
    guided = caused.influencer_id.map(truth.set_index("user_id").role) == "staff_guide"
    assert set(zip(caused.user_id[~guided], caused.influencer_id[~guided], strict=True)) <= ties
    # A caused order would not exist without its mover: its buyer has not bought the item before.
    first = market["orders"].groupby(["user_id", "item_id"]).ordered_at.min()
    keys = pd.MultiIndex.from_frame(caused[["user_id", "item_id"]])
    assert (first.loc[keys].to_numpy() == caused.ordered_at.to_numpy()).all()
    moved = caused.influencer_id.value_counts()
    assert (truth.set_index("user_id").moved_orders.loc[moved.index] == moved).all()
    assert truth.moved_orders.sum() == len(caused)


def test_progress_is_told(tmp_path: Path) -> None:
    lines: list[str] = []
    simulate_market(MarketSettings(users=200, days=60), tmp_path, progress=lines.append)
    assert any("200 users" in line for line in lines)
    assert len(lines) >= 3


def test_a_market_too_short_for_two_horizons_of_history_has_no_test_date(tmp_path: Path) -> None:
    path = simulate_market(MarketSettings(users=200, days=100), tmp_path)
    assert read_dataset(path).time.test_dates == ()
