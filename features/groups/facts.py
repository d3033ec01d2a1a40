"""What is so of each community at a date: kind, size, shape, value, talk, how its people came and whether it will last."""

import ibis
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from features.blocks.acquaintances import BANDS, acquaintances_at_join
from features.groups.columns import FACTS
from features.groups.meetings import meetings
from features.groups.members import Members
from features.groups.shape import shape_of
from features.groups.survival import survival_of
from features.ledger import net_amount
from features.snapshot import Snapshot

Places = NDArray[np.int64]

BAND_NAMES = ("to_40", "to_49", "to_149", "to_499", "from_500")
LEADERS = ("owner", "leader", "admin", "manager", "captain", "群主", "管理员", "团长")
"""Roles of members who lead a community."""

MESSAGES = ("message", "消息")


def community_facts(snapshot: Snapshot, members: Members) -> pa.Table:
    """One row per community of ``members`` (of a prepared snapshot), in the order of ``members.ids``.

    community_id        string
    source              string   given, neighbourhood (by an attribute) or cluster (detected)
    kind                string   as given, such as wecom_group; neighbourhood or cluster for the other sources
    origin              string   as given, such as relation or event
    space               string   as given: offline, community or online
    members             int64    people who are in it
    size_band           string   one of ``BAND_NAMES``
    active_share        float64  of the members, those who acted anywhere within the horizon, 0 to 1
    value_per_head      float64  minor units that members paid within two horizons, over members; null without amounts
    messages_per_head   float64  messages of the horizon in it, over members; null where no engagement names communities
    inside_ties         int64    pairs of members with a tie, or of whom one invited the other into it
    density             float64  of all pairs, those with such a tie, 0 to 1; null below two members
    centralisation      float64  0 for a ring to 1 for a star or pyramid; null below three members
    brokers             int64    members without whom others would be cut off from each other
    broker_id           string   of them, the one who cuts off most pairs
    broker_share        float64  those over all pairs of others who are connected, 0 to 1
    strangers_share     float64  of the members who came to others, those who knew nobody, 0 to 1; null without ties
    known_at_join       float64  people whom they knew, mean
    meetings            int64    days with a meeting of two or more, of which the attribution window has passed
    new_tie_rate        float64  of the pairs who met there and had no tie, those who had one within the window, 0 to 1
    leader_id           string   member with a leading role who acted within the horizon, of several the first by id
    leaderless          bool     nobody is; null where no roles are given
    alive               bool     somebody acted in it within 30 days; null where no engagement names communities
    silent_days         float64  since anybody acted in it
    survival_90d        float64  probability that somebody acts in it 90 to 120 days from now; see `features.groups.survival`
    survival_base_rate  float64  communities of its origin, alive at a past date, of which that was so
    survival_counted    int64    (community, date) that the base rate was counted on
    """
    given = _given(snapshot, members)
    active = _active(snapshot)
    columns: dict[str, object] = {"community_id": members.ids, **given, "members": members.sizes}
    columns["size_band"] = pa.array(np.array(BAND_NAMES)[band_of(members.sizes)], pa.string())
    inside = np.asarray(pc.is_in(members.rows["user_id"].combine_chunks(), value_set=active))
    columns["active_share"] = _mean(members, inside.astype(float))
    columns |= _value(snapshot, members) | _talk(snapshot, members) | _shape(snapshot, members)
    columns |= _joining(snapshot, members) | _meetings(snapshot, members) | _leaders(snapshot, members, active)
    columns |= _survival(snapshot, members, given["origin"])
    rows = len(members.ids)
    filled = {name: columns.get(name, pa.nulls(rows, FACTS.field(name).type)) for name in FACTS.names}
    return pa.table({name: _array(values, FACTS.field(name).type) for name, values in filled.items()}, schema=FACTS)


def band_of(sizes: Places) -> Places:
    """(C,) place in ``BAND_NAMES`` of each number of members."""
    upper = np.array([BANDS[0], BANDS[1] - 1, BANDS[2] - 1, BANDS[3] - 1])
    return np.searchsorted(upper, sizes, side="left")


def _given(snapshot: Snapshot, members: Members) -> dict[str, pa.Array]:
    """source, kind, origin and space of each community."""
    none = pa.nulls(len(members.ids), pa.string())
    found = {"kind": none, "origin": none, "space": none}
    if "communities" in snapshot:
        known = snapshot["communities"]
        once = known.group_by("community_id").agg(**{name: known[name].min() for name in found})
        rows = snapshot.engine.to_arrow(once)
        place = pc.index_in(members.ids, value_set=rows["community_id"].combine_chunks())
        found = {name: rows[name].combine_chunks().take(place) for name in found}
    of_itself = pc.if_else(pc.equal(members.source, "given"), pa.scalar(None, pa.string()), members.source)
    return {"source": members.source, **found, "kind": pc.coalesce(found["kind"], of_itself)}


def _active(snapshot: Snapshot) -> pa.Array:
    acts = snapshot["acts"]
    recent = acts.filter(acts.happened_at >= snapshot.as_of - snapshot.time.horizon)
    once = snapshot.engine.to_arrow(recent.group_by("user_id").agg(acts=recent.count()))
    return once["user_id"].combine_chunks()


def _value(snapshot: Snapshot, members: Members) -> dict[str, object]:
    if not snapshot.has("orders", "amount"):
        return {}
    orders = snapshot["orders"]
    orders = orders.filter(orders.ordered_at >= snapshot.as_of - 2 * snapshot.time.horizon)
    paid = snapshot.engine.to_arrow(orders.group_by("user_id").agg(paid=net_amount(orders).sum().cast("int64")))
    return {"value_per_head": _mean(members, _of_users(members, paid, "paid"))}


def _talk(snapshot: Snapshot, members: Members) -> dict[str, object]:
    if not snapshot.has("engagements", "community_id", "kind"):
        return {}
    talk = snapshot["engagements"]
    said = talk.filter(
        talk.kind.lower().isin(MESSAGES), talk.community_id.notnull(),
        talk.happened_at >= snapshot.as_of - snapshot.time.horizon,
    )  # fmt: skip
    rows = snapshot.engine.to_arrow(said.group_by("community_id").agg(messages=said.count()))
    per_head = _of_communities(members, rows, "messages") / np.maximum(members.sizes, 1)
    return {"messages_per_head": per_head}


def _shape(snapshot: Snapshot, members: Members) -> dict[str, object]:
    links = inside_links(snapshot, members)
    if links is None or not len(members):
        return {}
    shape = shape_of(members.code, links)
    broker = members.rows["user_id"].combine_chunks().take(pa.array(shape.broker, mask=shape.broker < 0))
    return {
        "inside_ties": shape.ties,
        "density": shape.density,
        "centralisation": shape.centralisation,
        "brokers": shape.brokers,
        "broker_id": broker,
        "broker_share": shape.broker_share,
    }


def inside_links(snapshot: Snapshot, members: Members) -> Places | None:
    """(E, 2) rows of two members of one community who know each other, the lower first; None where nothing tells.

    A tie either way, or an invitation of one by the other into that community.
    """
    engine = snapshot.engine
    held = engine.from_arrow(members.rows.select(["community_id", "user_id"]).append_column(
        "row", pa.array(np.arange(len(members)), pa.int64())))  # fmt: skip
    theirs = held.select("community_id", other_id="user_id", other="row")
    found = []
    if "pairs" in snapshot:
        pairs = snapshot["pairs"].select("user_id", other_id="influencer_id")
        found.append(held.join(pairs, "user_id").join(theirs, ["community_id", "other_id"]).select("row", "other"))
    if snapshot.has("memberships", "inviter_id"):
        joined = snapshot["memberships"]
        joined = joined.filter(joined.inviter_id.notnull(), joined.inviter_id != joined.user_id)
        invited = joined.select("community_id", "user_id", other_id="inviter_id")
        both = held.join(invited, ["community_id", "user_id"]).join(theirs, ["community_id", "other_id"])
        found.append(both.select("row", "other"))
    if not found:
        return None
    links = found[0] if len(found) == 1 else ibis.union(*found)
    ends = links.select(low=ibis.least(links["row"], links.other), high=ibis.greatest(links["row"], links.other))
    rows = engine.to_arrow(ends.group_by("low", "high").agg(found=ends.count()))
    pairs_ = np.column_stack([rows["low"].to_numpy(), rows["high"].to_numpy()]).astype(np.int64)
    return pairs_[np.lexsort((pairs_[:, 1], pairs_[:, 0]))]


def _joining(snapshot: Snapshot, members: Members) -> dict[str, object]:
    if "memberships" not in snapshot or "pairs" not in snapshot:
        return {}
    met = acquaintances_at_join(snapshot)
    met = met.filter(met.present)
    told = met.group_by("community_id").agg(
        joins=met.count(), alone=met.count(where=met.known == 0), known=met.known.sum().cast("int64")
    )
    rows = snapshot.engine.to_arrow(told)
    joins = _of_communities(members, rows, "joins")
    return {
        "strangers_share": _ratio(_of_communities(members, rows, "alone"), joins),
        "known_at_join": _ratio(_of_communities(members, rows, "known"), joins),
    }


def _meetings(snapshot: Snapshot, members: Members) -> dict[str, object]:
    if not (snapshot.has("engagements", "community_id", "kind") and snapshot.has("ties", "since")):
        return {}
    rows = snapshot.engine.to_arrow(meetings(snapshot))
    strangers = _of_communities(members, rows, "pairs") - _of_communities(members, rows, "before")
    rate = _ratio(_of_communities(members, rows, "after"), strangers)
    return {"meetings": _of_communities(members, rows, "meetings").astype(np.int64), "new_tie_rate": rate}


def _leaders(snapshot: Snapshot, members: Members, active: pa.Array) -> dict[str, object]:
    if not snapshot.has("memberships", "role"):
        return {}
    joined = snapshot["memberships"]
    leading = joined.filter(joined.left_at.isnull(), joined.community_id.notnull(), joined.role.lower().isin(LEADERS))
    rows = snapshot.engine.to_arrow(leading.group_by("community_id", "user_id").agg(rows=leading.count()))
    rows = rows.filter(pc.is_in(rows["user_id"], value_set=active)).sort_by([("user_id", "ascending")])
    # The first place of a community is what `index_in` finds.
    leader = rows["user_id"].combine_chunks().take(pc.index_in(members.ids, value_set=rows["community_id"].combine_chunks()))
    given = pc.equal(members.source, "given")
    return {"leader_id": leader, "leaderless": pc.if_else(given, pc.is_null(leader), pa.scalar(None, pa.bool_()))}


def _survival(snapshot: Snapshot, members: Members, origin: pa.Array) -> dict[str, object]:
    found = survival_of(snapshot, members.ids, origin)
    if found is None:
        return {}
    # Neighbourhoods by address are nothing that people act in.
    given = members.source.to_numpy(zero_copy_only=False) == "given"
    return {
        "alive": pa.array(found.alive, mask=~given),
        "silent_days": np.where(given, found.silent_days, np.nan),
        "survival_90d": found.probability,
        "survival_base_rate": np.where(given, found.base_rate, np.nan),
        "survival_counted": pa.array(found.counted, mask=~given),
    }


def _mean(members: Members, values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(members.code, weights=values, minlength=len(members.ids)) / np.maximum(members.sizes, 1)


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
    return found


def _of_users(members: Members, rows: pa.Table, column: str) -> NDArray[np.float64]:
    """(M,) of each member; 0 for people whom ``rows`` does not name."""
    return _taken(members.rows["user_id"].combine_chunks(), rows, "user_id", column)


def _of_communities(members: Members, rows: pa.Table, column: str) -> NDArray[np.float64]:
    """(C,) of each community; 0 for those that ``rows`` does not name."""
    return _taken(members.ids, rows, "community_id", column)


def _taken(wanted: pa.Array, rows: pa.Table, key: str, column: str) -> NDArray[np.float64]:
    place = pc.index_in(wanted, value_set=rows[key].combine_chunks())
    values = rows[column].combine_chunks().cast(pa.float64()).take(place)
    return np.asarray(pc.fill_null(values, 0.0).to_numpy(zero_copy_only=False), dtype=float)


def _array(values: object, dtype: pa.DataType) -> pa.Array:
    """As an Arrow array; nan is null."""
    if isinstance(values, pa.Array):
        return values.cast(dtype)
    return pa.array(values, dtype, from_pandas=True)
