"""The mapped tables: what a shop would see of the market, and nothing of its truth."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.catalogue import category_names
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, Orders, Responses, Shares
from features.simulate.export import Build, Writer, ids, names, numbers
from features.simulate.joining import Memberships
from features.simulate.network import ALWAYS
from features.simulate.population import ORIGINS
from features.simulate.till import ORDER_CHANNELS, Receipts
from features.simulate.truth import Truth

Ints = NDArray[np.int64]


def write_users(writer: Writer, truth: Truth, inviter: Ints, rng: np.random.Generator) -> None:
    """Everyone who ever registers; the channel of origin tells who was invited."""
    n = truth.people.size
    origin = rng.choice(len(ORIGINS) - 1, n, p=[0.5, 0.3, 0.2])
    origin[inviter != NOBODY] = ORIGINS.index("invite")
    columns = {
        "user_id": ids("u", np.arange(n), n),
        "registered_at": writer.times(truth.people.registered),
        "channel": names(ORIGINS, origin),
    }
    writer.write("users", n, columns)


def write_items(writer: Writer, truth: Truth) -> None:
    """The catalogue, numbered at random so that an item's number tells neither its category nor its popularity."""
    goods = truth.catalogue
    m = goods.launched.size
    by_number = np.argsort(goods.number)
    columns = {
        "item_id": ids("i", np.arange(m), m),
        "category": names(category_names(truth.settings.categories), goods.category[by_number]),
        "price": numbers(goods.price[by_number]),
        "margin": numbers(goods.margin[by_number]),
    }
    writer.write("items", m, columns)


def write_ties(writer: Writer, truth: Truth, inviter: Ints) -> None:
    """Friends (mutual) and follows, then one more row of kind ``invite`` for each invited newcomer."""
    n, network = truth.people.size, truth.network
    newcomer = np.flatnonzero(inviter != NOBODY)
    known = network.influencer.size
    kind = np.concatenate([network.mutual.astype(np.int64), np.full(newcomer.size, 2)])
    columns = {
        "user_id": ids("u", np.concatenate([network.follower, newcomer]), n),
        "influencer_id": ids("u", np.concatenate([network.influencer, inviter[newcomer]]), n),
        "kind": names(("follow", "friend", "invite"), kind),
        "since": writer.times(np.concatenate([network.since, truth.people.registered[newcomer]])),
    }
    writer.write("ties", known + newcomer.size, columns)


def write_orders(writer: Writer, truth: Truth, orders: Orders, receipts: Receipts) -> None:
    """Orders by time; the second clock differs from the first for the few that were recorded late."""
    n, k = truth.people.size, orders.user.size
    kept = receipts.refund == 0
    columns = {
        "order_id": ids("o", np.arange(k), k),
        "user_id": ids("u", orders.user, n),
        "item_id": _item_ids(truth, orders.item),
        "quantity": numbers(receipts.quantity),
        "amount": numbers(receipts.amount),
        "discount": numbers(receipts.discount),
        "refund_amount": numbers(receipts.refund, missing=kept),
        "refunded_at": writer.times(receipts.refunded),
        "referrer_id": ids("u", receipts.referrer, n),
        "channel": names(ORDER_CHANNELS, receipts.channel),
        "ordered_at": writer.times(orders.moment),
        "recorded_at": writer.times(receipts.recorded),
    }
    writer.write("orders", k, columns)


def write_shares(writer: Writer, truth: Truth, shares: Shares) -> None:
    """Shares of items by time, with the share that each passes on."""
    n, k = truth.people.size, shares.sharer.size
    columns = {
        "share_id": ids("s", np.arange(k), k),
        "sharer_id": ids("u", shares.sharer, n),
        "target": names(("item",), np.zeros(k, dtype=np.int64)),
        "item_id": _item_ids(truth, shares.item),
        "channel": names(CHANNELS, shares.channel),
        "parent_share_id": ids("s", shares.parent, k),
        "shared_at": writer.times(shares.moment),
    }
    writer.write("shares", k, columns)


def write_responses(writer: Writer, truth: Truth, shares: Shares, responses: Responses) -> None:
    """Responses by time; every ``buy`` has an order of the same user, item and moment."""
    n = truth.people.size
    columns = {
        "share_id": ids("s", responses.share, shares.sharer.size),
        "sharer_id": ids("u", shares.sharer[responses.share], n),
        "responder_id": ids("u", responses.responder, n),
        "item_id": _item_ids(truth, shares.item[responses.share]),
        "action": names(ACTIONS, responses.action),
        "channel": names(CHANNELS, shares.channel[responses.share]),
        "responded_at": writer.times(responses.moment),
    }
    writer.write("share_responses", responses.share.size, columns)


def write_communities(writer: Writer, truth: Truth, memberships: Memberships) -> None:
    """``communities`` (chat groups that existed from the start) and ``memberships``."""
    n = truth.people.size
    count = int(truth.people.community.max()) + 1
    zeros = np.zeros(count, dtype=np.int64)
    communities = {
        "community_id": ids("c", np.arange(count), count),
        "kind": names(("wecom_group",), zeros),
        "origin": names(("brand",), zeros),
        "space": names(("online",), zeros),
        "created_at": writer.times(np.full(count, ALWAYS)),
    }
    writer.write("communities", count, communities)
    columns = {
        "community_id": ids("c", memberships.community, count),
        "user_id": ids("u", memberships.user, n),
        "role": names(("member", "owner"), memberships.owner.astype(np.int64)),
        "inviter_id": ids("u", memberships.inviter, n),
        "joined_at": writer.times(memberships.joined),
        "left_at": writer.times(memberships.left),
    }
    writer.write("memberships", memberships.user.size, columns)


def _item_ids(truth: Truth, items: Ints) -> Build:
    return ids("i", truth.catalogue.number[items], truth.catalogue.launched.size)
