"""What features read of a prepared snapshot: nothing that happened before the dataset's lookback."""

import ibis.expr.types as ir

from features.prepare import adoptions, shared_adoptions, user_acts, with_chains
from features.schema import TABLES
from features.snapshot import Snapshot

LASTING = frozenset({"users", "attributes", "identities", "items", "ties", "communities", "memberships"})
"""Tables of what lasts: a tie or a membership holds, however long ago it began."""


def within_lookback(snapshot: Snapshot) -> Snapshot:
    """The prepared snapshot without older acts, as if history began at ``as_of - lookback``.

    The ledger keeps its later rows as they were attributed with all history, so that features and labels mean the same
    by influence. Without a lookback nothing changes.
    """
    if snapshot.time.lookback is None:
        return snapshot
    clocks = {name: TABLES[name].event_time for name in snapshot.known if name in TABLES and name not in LASTING}
    clocks["ledger"] = "happened_at"
    if "purchases" in snapshot:
        clocks["purchases"] = "ordered_at"
    kept = snapshot.with_tables(**{name: since_lookback(snapshot, snapshot[name], at) for name, at in clocks.items() if at})
    # Anew, since the first engagement of a day may lie before the lookback and the next within it.
    acts = since_lookback(snapshot, user_acts(kept), "happened_at")
    kept = kept.with_tables(acts=snapshot.engine.materialise(acts))
    if "adoptions" in snapshot:
        kept = kept.with_tables(adoptions=snapshot.engine.materialise(adoptions(kept)))
    if "shared" in snapshot:
        kept = kept.with_tables(shared=snapshot.engine.materialise(*shared_adoptions(kept), in_order=True))
    return with_chains(kept)


def release_lookback(kept: Snapshot, prepared: Snapshot) -> None:
    """Give back what `within_lookback` materialised for ``kept``, a part of ``prepared``."""
    derived = ("acts", "adoptions", "shared", "brought", "chains")
    anew = [name for name in derived if name in kept and kept[name] is not prepared[name]]
    kept.engine.release(*(kept[name] for name in anew))


def since_lookback(snapshot: Snapshot, rows: ir.Table, at: str) -> ir.Table:
    """``rows`` not older than the dataset's ``lookback`` by their time ``at``; all of them where it has none."""
    lookback = snapshot.time.lookback
    return rows if lookback is None else rows.filter(rows[at] >= snapshot.as_of - lookback)
