"""Acts that cost nothing and name somebody: clicks, helps and joins, as arrays that every test of abuse reads."""

from dataclasses import dataclass

import ibis.expr.types as ir
import numpy as np
import numpy.typing as npt

from features.ledger import with_share
from features.local_time import to_local
from features.snapshot import Snapshot

Ints = npt.NDArray[np.int64]

NEEDS = {"share_responses": ("responder_id",)}
REGISTER, HELP = "register", "help"
HELPS_A_DAY = 3
"""Friends whom one may help a day; the usual rule of such campaigns, as is one help per friend and product."""


@dataclass(frozen=True)
class HelpActs:
    """(k,) responses by actor, then by time; ``actor`` and ``target`` index ``users``, which are sorted.

    ``item``: number of the item, -1 without one. ``at``: local seconds. ``registers``: answers to an invitation; ``helps``:
    those that are called help, which campaigns limit.
    """

    users: npt.NDArray[np.str_]
    actor: Ints
    target: Ints
    item: Ints
    at: Ints
    registers: npt.NDArray[np.bool_]
    helps: npt.NDArray[np.bool_]


def help_acts(snapshot: Snapshot) -> HelpActs:
    """Every response to somebody else's share that is no purchase, by whom and to whom."""
    rows = with_named_sharer(snapshot)
    bought = (rows.action == "buy").fill_null(False)
    rows = rows.filter(~bought, rows.named_sharer.notnull(), rows.responder_id != rows.named_sharer)
    moment = to_local(rows.responded_at, snapshot.source.dataset.zone, snapshot.as_of)
    table = snapshot.engine.to_arrow(
        rows.select(
            actor="responder_id",
            target="named_sharer",
            item=rows.item_id.fill_null(""),
            at=moment.epoch_seconds().cast("int64"),
            registers=(rows.action == REGISTER).fill_null(False),
            helps=(rows.action == HELP).fill_null(False),
        )
    )
    names = [table[name].to_numpy(zero_copy_only=False).astype(str) for name in ("actor", "target")]
    users, codes = np.unique(np.concatenate(names), return_inverse=True)
    actor, target = np.split(codes.astype(np.int64), 2)
    goods, item = np.unique(table["item"].to_numpy(zero_copy_only=False).astype(str), return_inverse=True)
    item = item.astype(np.int64) - (1 if len(goods) and goods[0] == "" else 0)
    at = table["at"].to_numpy(zero_copy_only=False).astype(np.int64)
    registers, helps = (table[name].to_numpy(zero_copy_only=False).astype(bool) for name in ("registers", "helps"))
    # By all columns, so that nothing depends on the order in which an engine hands out rows.
    order = np.lexsort((helps, registers, item, target, at, actor))
    return HelpActs(users, actor[order], target[order], item[order], at[order], registers[order], helps[order])


def with_named_sharer(snapshot: Snapshot) -> ir.Table:
    """``share_responses`` with ``named_sharer``: the sharer that the row names, else the one of its share."""
    rows = with_share(snapshot)
    return rows.mutate(named_sharer=rows.sharer_id.coalesce(rows.shared_by)).drop("shared_by", "shared_item")
