"""Who is under suspicion at a snapshot, why, and with whom: one row per account, and the tables without their inflation."""

from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from features.abuse.bots import REGULAR, bot_regularity
from features.abuse.fraudar import dense_blocks
from features.abuse.help_acts import HELPS_A_DAY, HelpActs, Ints, help_acts, with_named_sharer
from features.abuse.puppets import find_puppets
from features.abuse.rings import LEAST_TIMES, mutual_rings, pair_counts
from features.local_time import to_local
from features.snapshot import Snapshot

PUPPET, BOT, RING, BLOCK, RULE, MAIN = (
    "sock_puppet", "bot_timing", "help_ring", "dense_block", "help_rule", "puppet_main",
)  # fmt: skip
CODES = (PUPPET, BOT, RING, BLOCK, RULE)
"""What is held against an account, the gravest first; of several the first one counts. ``MAIN`` is nothing against anybody:
the account of a person to whom others belong, who keeps the one score."""

LEAST_BREAKS = 5
"""Broken rules from which somebody is held to account: clocks of tables differ, and campaigns differ in their rules."""

OWN = {
    "orders": "user_id",
    "shares": "sharer_id",
    "group_buys": "initiator_id",
    "group_buy_members": "user_id",
    "memberships": "user_id",
    "engagements": "user_id",
}
"""Tables of acts that are no response, and who did them."""

BLOCK_HELPERS, BLOCK_HELPED, BLOCK_DENSITY = 5, 4, 0.75
"""Smallest block that counts, and the share of its pairs that are there, each more than once."""

BUYERS = 0.8
"""Share of the accounts of a family with orders from which it is the clientele of somebody who wins customers: they too come
at once after a live show, answer one person and have bought once or twice. Puppets that all buy are paid for."""

SCHEMA = pa.schema(
    {
        "user_id": pa.string(),
        "code": pa.string(),
        "score": pa.float64(),
        "cluster": pa.string(),
        "members": pa.int64(),
        "acts": pa.int64(),
        "until": pa.string(),
        "regularity": pa.float64(),
    }
)
"""Columns of `suspects`."""


@dataclass(frozen=True)
class _Found:
    code: str
    flagged: npt.NDArray[np.bool_]
    score: npt.NDArray[np.float64]
    cluster: Ints


def suspects(snapshot: Snapshot) -> pa.Table:
    """Accounts under suspicion by the acts of everybody known at the snapshot, sorted by id.

    Returns:
        user_id     string
        code        string   one of ``CODES``, or ``puppet_main`` for the account that others belong to
        score       float64  0 to 1, how clear it is
        cluster     string   the main account of a puppet, the first member of a ring or block; null for bots and rules
        members     int64    accounts of the cluster, 1 without one
        acts        int64    responses that speak for it
        until       string   local date of the last of them
        regularity  float64  0 to 1, see `features.abuse.bots`
    """
    acts = help_acts(snapshot)
    size = len(acts.users)
    if not size:
        return SCHEMA.empty_table()
    regular = bot_regularity(acts)
    puppets = np.full(size, -1, dtype=np.int64)
    # Without registrations and orders every newcomer who answers one friend would look like that friend's puppet.
    if snapshot.has("users", "registered_at") and "orders" in snapshot:
        puppets = find_puppets(acts, _born(snapshot, acts), _own_acts(snapshot, acts)).main
        puppets = _without_clienteles(puppets, _acts_in(snapshot, acts, "orders", OWN["orders"]) > 0)
    bot = regular >= REGULAR
    # What bots and puppets do makes no ring of those whom they do it for.
    human = ~bot[acts.actor] & ((puppets[acts.actor] < 0) | (puppets[acts.actor] != puppets[acts.target]))
    helper, helped, times = pair_counts(acts.actor[human], acts.target[human], size)
    ring = mutual_rings(helper, helped, times, size)
    block = _blocks(helper, helped, times, size)
    breaks = _broken_rules(acts, size)
    nobody = np.full(size, -1, dtype=np.int64)
    sure = np.ones(size)
    found = (
        _Found(PUPPET, (puppets >= 0) & (puppets != np.arange(size)), sure, puppets),
        _Found(BOT, bot, regular, nobody),
        _Found(RING, ring >= 0, sure * 0.95, ring),
        _Found(BLOCK, block >= 0, sure * 0.8, block),
        _Found(RULE, breaks >= LEAST_BREAKS, breaks / (breaks + LEAST_BREAKS), nobody),
        _Found(MAIN, (puppets >= 0) & (puppets == np.arange(size)), np.zeros(size), puppets),
    )
    code, score, cluster = np.full(size, -1), np.zeros(size), nobody.copy()
    # A main account may be in a ring too, which counts then: its puppets give it no licence.
    for number, one in reversed([*enumerate(found)]):
        code[one.flagged], score[one.flagged] = number, one.score[one.flagged]
        cluster[one.flagged] = one.cluster[one.flagged]
    return _as_table(acts, found, code, score, cluster, regular)


def without_inflation(snapshot: Snapshot) -> Snapshot:
    """The snapshot without acts that are no person's answer to another: those of bots, and those within a puppet or ring.

    ``suspects`` of the snapshot name them; where there are none, nothing changes. The accounts and what else they do stay:
    a puppet's order or join of a community stays without the name of the person behind it. So do acts in dense blocks,
    which may be lively communities: they are for people to judge.
    """
    named = snapshot["suspects"]
    bots = named.filter(named.code == BOT).select(actor_key="user_id")
    accounts = named.filter(named.code == PUPPET)
    # The person's own account counts whatever else is held against it: to break another rule must not let puppets count.
    owners = accounts.select("cluster", user_id="cluster").distinct()
    persons = ibis.union(accounts.select("user_id", "cluster"), owners.select("user_id", "cluster"))
    rings = named.filter(named.code == RING).select("user_id", "cluster")
    responses = with_named_sharer(snapshot).anti_join(bots, [("responder_id", "actor_key")])
    for clusters in (persons, rings):
        responses = _across(responses, clusters, "responder_id", "named_sharer")
    kept = {"share_responses": responses.select(snapshot["share_responses"].columns)}
    if "ties" in snapshot:
        kept["ties"] = _across(snapshot["ties"], persons, "user_id", "influencer_id")
    if "group_buy_members" in snapshot:
        kept["group_buy_members"] = snapshot["group_buy_members"].anti_join(bots, [("user_id", "actor_key")])
        if "group_buys" in snapshot:
            openers = snapshot["group_buys"].select("group_buy_id", opener="initiator_id")
            joins = kept["group_buy_members"].left_join(openers, "group_buy_id").drop("group_buy_id_right")
            kept["group_buy_members"] = _across(joins, persons, "user_id", "opener").drop("opener")
    for table, behind in (("orders", "referrer_id"), ("memberships", "inviter_id")):
        if snapshot.has(table, behind):
            rows = _with_within(snapshot[table], persons, "user_id", behind)
            unnamed = rows.mutate(**{behind: ibis.ifelse(rows.within, ibis.null("string"), rows[behind])})
            kept[table] = unnamed.select(snapshot[table].columns)
    return snapshot.with_tables(**kept)


def _across(rows: ir.Table, clusters: ir.Table, actor: str, target: str) -> ir.Table:
    """``rows`` whose two ends are not different accounts of one cluster."""
    joined = _with_within(rows, clusters, actor, target)
    return joined.filter(~joined.within).select(rows.columns)


def _with_within(rows: ir.Table, clusters: ir.Table, actor: str, target: str) -> ir.Table:
    """``rows`` with ``within``: whether both ends are different accounts of one of ``clusters`` (user_id, cluster)."""
    near = clusters.select(near_key="user_id", near="cluster")
    far = clusters.select(far_key="user_id", far="cluster")
    joined = rows.left_join(near, rows[actor] == near.near_key)
    joined = joined.left_join(far, joined[target] == far.far_key)
    within = (joined.near == joined.far) & (joined[actor] != joined[target])
    return joined.select(*rows.columns, within=within.fill_null(False))


def _blocks(helper: Ints, helped: Ints, times: Ints, size: int) -> Ints:
    """(size,) block of each helper or helped one, its smallest member, or -1; the densest counts."""
    often = times >= LEAST_TIMES
    of = np.full(size, -1, dtype=np.int64)
    for block in reversed(dense_blocks(helper[often], helped[often])):
        pairs = np.isin(helper[often], block.helpers) & np.isin(helped[often], block.helped)
        large = block.helpers.size >= BLOCK_HELPERS and block.helped.size >= BLOCK_HELPED
        if large and pairs.sum() >= BLOCK_DENSITY * block.helpers.size * block.helped.size:
            members = np.union1d(block.helpers, block.helped)
            of[members] = members.min()
    return of


def _broken_rules(acts: HelpActs, size: int) -> Ints:
    """(size,) helps above ``HELPS_A_DAY`` on one day, and further helps of one friend with one product."""
    actor, day = acts.actor[acts.helps], acts.at[acts.helps] // 86_400
    days, given = np.unique(np.stack([actor, day]), axis=1, return_counts=True)
    above = np.bincount(days[0], np.maximum(given - HELPS_A_DAY, 0), minlength=size)
    goods = acts.helps & (acts.item >= 0)
    same, times = np.unique(np.stack([acts.actor[goods], acts.target[goods], acts.item[goods]]), axis=1, return_counts=True)
    return np.asarray(above + np.bincount(same[0], times - 1, minlength=size), dtype=np.int64)


def _born(snapshot: Snapshot, acts: HelpActs) -> npt.NDArray[np.float64]:
    """(users,) local day of registration, nan where it is not known."""
    born = np.full(len(acts.users), np.nan)
    users = snapshot["users"].filter(snapshot["users"].registered_at.notnull())
    moment = to_local(users.registered_at, snapshot.source.dataset.zone, snapshot.as_of)
    # Of the accounts of one person the first.
    dated = users.mutate(at=moment.epoch_seconds()).group_by("user_id").agg(at=ibis._.at.min())
    rows = snapshot.engine.to_arrow(dated)
    place = _places(acts.users, rows["user_id"])
    known = place >= 0
    born[place[known]] = rows["at"].to_numpy(zero_copy_only=False)[known] / 86_400
    return born


def _without_clienteles(main: Ints, bought: npt.NDArray[np.bool_]) -> Ints:
    """``main`` (users,) without families of whom ``BUYERS`` or more paid for something; bought: (users,)."""
    accounts = np.flatnonzero((main >= 0) & (main != np.arange(main.size)))
    family = np.bincount(main[accounts], minlength=main.size)
    buyers = np.bincount(main[accounts[bought[accounts]]], minlength=main.size)
    clientele = (family > 0) & (buyers >= BUYERS * family)
    return np.where((main >= 0) & clientele[main], -1, main)


def _own_acts(snapshot: Snapshot, acts: HelpActs) -> Ints:
    """(users,) acts of each besides responses to others."""
    found = [_acts_in(snapshot, acts, name, user) for name, user in OWN.items() if name in snapshot]
    return np.asarray(np.sum(found, axis=0), dtype=np.int64) if found else np.zeros(len(acts.users), dtype=np.int64)


def _acts_in(snapshot: Snapshot, acts: HelpActs, name: str, user: str) -> Ints:
    """(users,) rows of each in one table."""
    done = np.zeros(len(acts.users), dtype=np.int64)
    table = snapshot[name]
    rows = snapshot.engine.to_arrow(table.group_by(user_id=user).agg(acts=table.count()))
    place = _places(acts.users, rows["user_id"])
    known = place >= 0
    done[place[known]] = rows["acts"].to_numpy(zero_copy_only=False)[known]
    return done


def _places(users: npt.NDArray[np.str_], ids: pa.ChunkedArray) -> Ints:
    """Place of each id among the sorted ``users``, -1 of others."""
    named = ids.to_numpy(zero_copy_only=False).astype(str)
    place = np.searchsorted(users, named).clip(max=len(users) - 1)
    return np.where(users[place] == named, place, -1)


def _as_table(
    acts: HelpActs,
    found: tuple[_Found, ...],
    code: Ints,
    score: npt.NDArray[np.float64],
    cluster: Ints,
    regular: npt.NDArray[np.float64],
) -> pa.Table:
    size = len(acts.users)
    named = np.flatnonzero(code >= 0)
    clustered = cluster >= 0
    inside = clustered[acts.actor] & (cluster[acts.actor] == cluster[acts.target])
    speaks = np.where(clustered[acts.actor], inside, True)
    last = np.zeros(size, dtype=np.int64)
    np.maximum.at(last, acts.actor[speaks], acts.at[speaks])
    count = np.bincount(acts.actor[speaks], minlength=size)
    # What the accounts of one person did is evidence of each.
    members = np.bincount(cluster[clustered], minlength=size)
    whole = np.zeros(size, dtype=np.int64)
    np.maximum.at(whole, cluster[clustered], last[clustered])
    together = np.bincount(cluster[clustered], count[clustered], minlength=size).astype(np.int64)
    last, count = (np.where(clustered, all_[cluster], own) for all_, own in ((whole, last), (together, count)))
    return pa.table(
        {
            "user_id": acts.users[named],
            "code": np.array([one.code for one in found])[code[named]],
            "score": score[named],
            "cluster": pa.array(acts.users[cluster[named]], mask=~clustered[named]),
            "members": np.where(clustered, members[cluster], 1)[named],
            "acts": count[named],
            "until": np.datetime_as_string(last[named].astype("datetime64[s]"), unit="D"),
            "regularity": regular[named],
        },
        schema=SCHEMA,
    )
