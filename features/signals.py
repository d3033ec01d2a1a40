"""What the behaviour of each user shows of the parts they play: counts and shares over all history, as arrays."""

from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.ledger import WEIGHT_UNIT
from features.local_time import to_local
from features.snapshot import Snapshot

Floats = npt.NDArray[np.float64]

DEEP = 0.15
"""Part of the list price beyond what everybody got from which a price is a hunted one."""

OWN_OFFERS = 10
"""Offers of goods never bought from which somebody sells for somebody else."""

OPENS, CLOSES, SUNDAY = 9, 18, 6
"""Business hours, local, on all days but Sunday: shops are staffed on Saturdays."""

OWNER_ROLES = ("owner", "leader", "admin", "群主")


@dataclass(frozen=True)
class Signals:
    """(N,) arrays in the order of ``users``, which are sorted; 0 where a table is not there.

    ``orders``; ``posts`` and ``reviews``; ``moved``: people, by ledger weight; ``followers``; ``offers``: shares of items
    not bought before, ``offers_at_work``: those in business hours; ``priced``: orders of a known price outside of group
    buys, ``deep``: those ``DEEP`` or more below the price that everybody got; ``commissions``: granted for sales;
    ``owned``: groups.
    """

    users: npt.NDArray[np.object_]
    orders: Floats
    posts: Floats
    reviews: Floats
    moved: Floats
    followers: Floats
    offers: Floats
    offers_at_work: Floats
    priced: Floats
    deep: Floats
    commissions: Floats
    owned: Floats


def signals(snapshot: Snapshot) -> Signals:
    """Signals of everybody who acted before the snapshot's date."""
    acts = snapshot["acts"]
    rows = snapshot.engine.to_arrow(acts.select("user_id").distinct())
    users = np.sort(rows["user_id"].to_numpy(zero_copy_only=False).astype(object))

    def of(counted: ir.Table | None, *names: str) -> dict[str, Floats]:
        return _aligned(snapshot, users, counted, names)

    ledger = snapshot["ledger"]
    moved = of(ledger.group_by(user_id="influencer_id").agg(moved=ledger.weight.sum()), "moved")
    offers = of(_offers(snapshot), "offers", "offers_at_work")
    rewarded = of(_commissions(snapshot), "commissions")
    sells = (offers["offers"] >= OWN_OFFERS) | (rewarded["commissions"] > 0)
    return Signals(
        users,
        **of(_counted(snapshot, "orders", orders=None), "orders"),
        **of(_counted(snapshot, "engagements", posts="post", reviews="review"), "posts", "reviews"),
        moved=moved["moved"] / WEIGHT_UNIT,
        **of(_followers(snapshot), "followers"),
        **offers,
        **_hunted(snapshot, users, sells),
        **rewarded,
        **of(_owned(snapshot), "owned"),
    )


def _aligned(
    snapshot: Snapshot, users: npt.NDArray[np.object_], counted: ir.Table | None, names: tuple[str, ...]
) -> dict[str, Floats]:
    found = {name: np.zeros(len(users)) for name in names}
    if counted is None or not len(users):
        return found
    rows = snapshot.engine.to_arrow(counted)
    ids = rows["user_id"].to_numpy(zero_copy_only=False).astype(object)
    known = np.array([one is not None for one in ids], dtype=bool)
    place = np.searchsorted(users, ids[known]).clip(max=len(users) - 1)
    hit = users[place] == ids[known]
    for name in names:
        values = rows[name].to_numpy(zero_copy_only=False)[known].astype(float)
        found[name][place[hit]] = values[hit]
    return found


def _counted(snapshot: Snapshot, table: str, **kinds: str | None) -> ir.Table | None:
    if table not in snapshot or (any(kinds.values()) and not snapshot.has(table, "kind")):
        return None
    rows = snapshot[table]
    counts = {name: rows.count() if kind is None else rows.count(where=rows.kind == kind) for name, kind in kinds.items()}
    return rows.group_by("user_id").agg(**counts)


def _followers(snapshot: Snapshot) -> ir.Table | None:
    if "pairs" not in snapshot:
        return None
    pairs = snapshot["pairs"]
    return pairs.group_by(user_id="influencer_id").agg(followers=pairs.count())


def _offers(snapshot: Snapshot) -> ir.Table | None:
    """Shares of goods that the sharer had not bought by then."""
    if "shares" not in snapshot:
        return None
    shares = snapshot["shares"]
    shares = shares.filter(shares.item_id.notnull())
    if snapshot.has("shares", "target"):
        shares = shares.filter(shares.target == "item")
    local = to_local(shares.shared_at, snapshot.source.dataset.zone, snapshot.as_of)
    at_work = (local.hour() >= OPENS) & (local.hour() < CLOSES) & (local.day_of_week.index() != SUNDAY)
    shares = shares.mutate(at_work=at_work)
    if snapshot.has("orders", "item_id"):
        orders = snapshot["orders"]
        bought = orders.group_by(buyer="user_id", goods="item_id").agg(first_at=orders.ordered_at.min())
        shares = shares.left_join(bought, [shares.sharer_id == bought.buyer, shares.item_id == bought.goods])
        shares = shares.filter((shares.first_at > shares.shared_at).fill_null(True))
    return shares.group_by(user_id="sharer_id").agg(offers=shares.count(), offers_at_work=shares.count(where=shares.at_work))


def _commissions(snapshot: Snapshot) -> ir.Table | None:
    if not snapshot.has("rewards", "kind"):
        return None
    rows = snapshot["rewards"].filter(snapshot["rewards"].kind == "commission")
    return rows.group_by("user_id").agg(commissions=rows.count())


def _owned(snapshot: Snapshot) -> ir.Table | None:
    if not snapshot.has("memberships", "role"):
        return None
    rows = snapshot["memberships"].filter(snapshot["memberships"].role.isin(OWNER_ROLES), ibis._.left_at.isnull())
    return rows.group_by("user_id").agg(owned=rows.community_id.nunique())


def _hunted(snapshot: Snapshot, users: npt.NDArray[np.object_], sells: npt.NDArray[np.bool_]) -> Mapping[str, Floats]:
    """Orders of known price, and those far below it, once what everybody gets is taken away.

    That is the median discount of the local day (festivals), the price of a group buy, which anybody may join, and of those
    who sell, the median of their own discounts, which came with the right to sell.
    """
    none = {"priced": np.zeros(len(users)), "deep": np.zeros(len(users))}
    if not (snapshot.has("orders", "amount", "discount") and len(users)):
        return none
    orders = snapshot["orders"]
    listed = (orders.amount + orders.discount).cast("float64")
    local = to_local(orders.ordered_at, snapshot.source.dataset.zone, snapshot.as_of)
    priced = orders.filter(listed > 0).select(
        "user_id", "item_id", cut=orders.discount.cast("float64") / listed.nullif(0.0), day=local.truncate("D")
    )
    usual = priced.group_by("day").agg(usual=priced.cut.median())
    priced = priced.join(usual, "day")
    if snapshot.has("group_buys", "item_id") and "group_buy_members" in snapshot:
        groups = snapshot["group_buys"].select("group_buy_id", goods="item_id")
        members = (
            snapshot["group_buy_members"].join(groups, "group_buy_id").select(member="user_id", goods="goods").distinct()
        )
        priced = priced.anti_join(members, [priced.user_id == members.member, priced.item_id == members.goods])
    priced = priced.mutate(beyond=priced.cut - priced.usual)
    own = priced.group_by("user_id").agg(
        priced=priced.count(), deep=priced.count(where=priced.beyond >= DEEP), own=priced.beyond.median()
    )
    found = _aligned(snapshot, users, own, ("priced", "deep", "own"))
    if sells.any():
        sellers = snapshot.engine.from_arrow(pa.table({"seller": users[sells].tolist(), "own": found["own"][sells]}))
        sold = priced.join(sellers, priced.user_id == sellers.seller)
        sold = sold.group_by("user_id").agg(deep=sold.count(where=sold.beyond - sold.own >= DEEP))
        again = _aligned(snapshot, users, sold, ("deep",))["deep"]
        found["deep"] = np.where(sells, again, found["deep"])
    return {"priced": found["priced"], "deep": found["deep"]}
