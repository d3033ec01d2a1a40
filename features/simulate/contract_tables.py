"""The mapped tables of who buys what and who moves whom: what a shop would see, and nothing of its truth."""

import numpy as np
from numpy.typing import NDArray

from features.simulate.accounts import Accounts
from features.simulate.catalogue import category_names
from features.simulate.events import ACTIONS, CHANNELS, NOBODY, TARGETS, Orders, Responses, Shares
from features.simulate.export import Build, Writer, ids, names, numbers
from features.simulate.population import ORIGINS
from features.simulate.till import ORDER_CHANNELS, Receipts
from features.simulate.truth import Truth

Ints = NDArray[np.int64]


def write_users(writer: Writer, accounts: Accounts, rng: np.random.Generator) -> None:
    """Everyone who ever registers, by id; the channel of origin tells who was invited."""
    sizes = (accounts.people, accounts.size - accounts.people)
    origin = np.concatenate([rng.choice(len(ORIGINS) - 1, size, p=[0.5, 0.3, 0.2]) for size in sizes])
    origin[accounts.inviter != NOBODY] = ORIGINS.index("invite")
    by_id = np.argsort(accounts.number)
    columns = {
        "user_id": user_ids(accounts, by_id),
        "registered_at": writer.times(accounts.registered[by_id]),
        "channel": names(ORIGINS, origin[by_id]),
    }
    writer.write("users", accounts.size, columns)


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


def write_ties(writer: Writer, truth: Truth, accounts: Accounts, friendships: tuple[Ints, Ints, Ints] | None) -> None:
    """Friends (mutual) and follows, then one more row of kind ``invite`` for each invited newcomer, each by id.

    ``friendships``: (k,) user, influencer and beginning of further friends, of whom those who have a tie are left out.
    """
    network = truth.network
    newcomer = np.flatnonzero(accounts.inviter != NOBODY)
    user, influencer = [network.follower], [network.influencer]
    kind, since = [network.mutual.astype(np.int64)], [network.since]
    if friendships is not None:
        known = network.influencer * accounts.size + network.follower
        one, other, begun = friendships
        new = ~np.isin(one * accounts.size + other, known) & ~np.isin(other * accounts.size + one, known)
        user, influencer, since = [*user, one[new]], [*influencer, other[new]], [*since, begun[new]]
        kind.append(np.ones(int(new.sum()), dtype=np.int64))
    user, influencer = [*user, newcomer], [*influencer, accounts.inviter[newcomer]]
    kind, since = [*kind, np.full(newcomer.size, 2)], [*since, accounts.registered[newcomer]]
    follower, followed, of = np.concatenate(user), np.concatenate(influencer), np.concatenate(kind)
    order = np.argsort(accounts.number[followed] * accounts.names + accounts.number[follower], kind="stable")
    order = np.concatenate([order[of[order] < 2], order[of[order] == 2]])
    columns = {
        "user_id": user_ids(accounts, follower[order]),
        "influencer_id": user_ids(accounts, followed[order]),
        "kind": names(("follow", "friend", "invite"), of[order]),
        "since": writer.times(np.concatenate(since)[order]),
    }
    writer.write("ties", order.size, columns)


def write_orders(writer: Writer, truth: Truth, accounts: Accounts, orders: Orders, receipts: Receipts) -> None:
    """Orders by time; the second clock differs from the first for the few that were recorded late."""
    k = orders.user.size
    kept = receipts.refund == 0
    columns = {
        "order_id": ids("o", np.arange(k), k),
        "user_id": user_ids(accounts, orders.user),
        "item_id": item_ids(truth, orders.item),
        "quantity": numbers(receipts.quantity),
        "amount": numbers(receipts.amount),
        "discount": numbers(receipts.discount),
        "refund_amount": numbers(receipts.refund, missing=kept),
        "refunded_at": writer.times(receipts.refunded),
        "referrer_id": user_ids(accounts, receipts.referrer),
        "channel": names(ORDER_CHANNELS, receipts.channel),
        "ordered_at": writer.times(orders.moment),
        "recorded_at": writer.times(receipts.recorded),
    }
    writer.write("orders", k, columns)


def write_shares(writer: Writer, truth: Truth, accounts: Accounts, shares: Shares) -> None:
    """Shares by time, with the share that each passes on; an invitation to register has no item."""
    k = shares.sharer.size
    columns = {
        "share_id": ids("s", np.arange(k), k),
        "sharer_id": user_ids(accounts, shares.sharer),
        "target": names(TARGETS, shares.target),
        "item_id": item_ids(truth, shares.item),
        "channel": names(CHANNELS, shares.channel),
        "parent_share_id": ids("s", shares.parent, k),
        "shared_at": writer.times(shares.moment),
    }
    writer.write("shares", k, columns)


def write_responses(writer: Writer, truth: Truth, accounts: Accounts, shares: Shares, responses: Responses) -> None:
    """Responses by time; every ``buy`` has an order of the same user, item and moment."""
    columns = {
        "share_id": ids("s", responses.share, shares.sharer.size),
        "sharer_id": user_ids(accounts, shares.sharer[responses.share]),
        "responder_id": user_ids(accounts, responses.responder),
        "item_id": item_ids(truth, shares.item[responses.share]),
        "action": names(ACTIONS, responses.action),
        "channel": names(CHANNELS, shares.channel[responses.share]),
        "responded_at": writer.times(responses.moment),
    }
    writer.write("share_responses", responses.share.size, columns)


def user_ids(accounts: Accounts, users: Ints) -> Build:
    """The ids of accounts; null for ``NOBODY``."""
    return ids("u", accounts.named(users), accounts.names)


def item_ids(truth: Truth, items: Ints) -> Build:
    """The ids of items; null for ``NOBODY``."""
    return ids("i", np.append(truth.catalogue.number, NOBODY)[items], truth.catalogue.launched.size)
