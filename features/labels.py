"""What users did in ``[as_of, as_of + horizon)``: influence and churn, refused while the window is open."""

from datetime import datetime

import ibis
import ibis.expr.types as ir

from features.cascades import brought, chains
from features.errors import DatasetError, ImmatureLabelError
from features.ledger import WEIGHT_UNIT
from features.snapshot import Snapshot
from features.tables import Tables


def require_mature(tables: Tables, as_of: datetime, known_at: datetime | None = None) -> None:
    """Raise unless the label window of ``as_of`` is closed at ``known_at`` (default: the end of the data).

    Raises:
        ImmatureLabelError: the window ends after ``known_at`` or after the data.
    """
    end = as_of + tables.dataset.time.horizon
    limit = min(known_at or tables.observed_until, tables.observed_until)
    if end > limit:
        latest = limit - tables.dataset.time.horizon
        raise ImmatureLabelError(
            f"the label window of {as_of:%Y-%m-%d %H:%M} ends {end:%Y-%m-%d %H:%M}, but only what happened before "
            f"{limit:%Y-%m-%d %H:%M} is known; choose a date up to {latest:%Y-%m-%d %H:%M}, or a shorter horizon"
        )


def influence_labels(view: Snapshot, as_of: datetime) -> ir.Table:
    """What users moved within the horizon, from the ledger of a later prepared snapshot.

    Users who are not listed moved nobody.

    Returns:
        user_id           string
        influence         float64  people moved: sum of ledger weights, > 0 or money only
        influence_value   int64    net amount credited, in minor units
        influence_new     float64  of the influence, people won with their first order ever
        people_moved      int64    distinct people moved
    """
    ledger = _within(view["ledger"], "happened_at", view, as_of)
    moved = ledger.group_by(user_id="influencer_id").agg(
        weight=ledger.weight.sum().cast("int64"),
        influence_value=ledger.value.sum().cast("int64"),
        new=ledger.weight.sum(where=ledger.is_new).fill_null(0).cast("int64"),
        people_moved=ledger.influenced_id.nunique(where=ledger.weight > 0),
    )
    return moved.select(
        "user_id",
        "influence_value",
        "people_moved",
        influence=moved.weight / WEIGHT_UNIT,
        influence_new=moved.new / WEIGHT_UNIT,
    )


def tie_labels(view: Snapshot, as_of: datetime) -> ir.Table:
    """What ties carried within the horizon, from the ledger of a later prepared snapshot; others carried nothing.

    Returns:
        user_id        string
        influencer_id  string
        follows        float64  weight that moved the user, > 0
    """
    ledger = _within(view["ledger"], "happened_at", view, as_of)
    ledger = ledger.filter(ledger.weight > 0)
    carried = ledger.group_by(user_id="influenced_id", influencer_id="influencer_id").agg(weight=ledger.weight.sum())
    return carried.select("user_id", "influencer_id", follows=carried.weight.cast("int64") / WEIGHT_UNIT)


def chain_labels(view: Snapshot, as_of: datetime) -> ir.Table:
    """What the chain that forms within the horizon is worth, from a later prepared snapshot; see `features.cascades`.

    Who is brought within the horizon, by whom, is told as if history began at ``as_of``; users who are not listed brought
    nobody. The table is materialised.

    Raises:
        DatasetError: no table tells who brought whom.

    Returns:
        user_id      string
        chain_size   int64  people of all levels, >= 1
        chain_value  int64  minor units that the ledger credits the user and the chain for their orders, all levels
    """
    require_mature(view.source, as_of, view.as_of)
    end = as_of + view.time.horizon
    found = brought(view, as_of, end)
    if found is None:
        raise DatasetError("no table tells who brought whom; map parent_share_id, inviter_id, referrer_id or group buys")
    engine = view.engine
    links = engine.materialise(found)
    members = chains(view, links, as_of, end)
    worth = members.group_by("user_id").agg(chain_size=members.count(), chain_value=members.value.sum().cast("int64"))
    labels = engine.materialise(worth)
    engine.release(links, members)
    return labels


def stayed(view: Snapshot, as_of: datetime) -> ir.Table:
    """(user_id) of those with an order within the horizon; the others of the churn population have churned."""
    return _within(view["orders"], "ordered_at", view, as_of).select("user_id").distinct()


def churn_population(snapshot: Snapshot) -> ir.Table:
    """(user_id) of those with an order in the two horizons before ``as_of``."""
    orders = snapshot["orders"]
    return orders.filter(orders.ordered_at >= snapshot.as_of - 2 * snapshot.time.horizon).select("user_id").distinct()


def _within(rows: ir.Table, at: str, view: Snapshot, as_of: datetime) -> ir.Table:
    require_mature(view.source, as_of, view.as_of)
    start, end = ibis.literal(as_of), ibis.literal(as_of + view.time.horizon)
    return rows.filter(rows[at] >= start, rows[at] < end)
