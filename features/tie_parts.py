"""Ties a part at a time: a join of all ties with what their ends bought is many times the size of either, and spills so."""

from dataclasses import dataclass
from itertools import pairwise

import ibis.expr.types as ir
import numpy as np

from features.engine import Engine, rows_in

TIES_A_PART = 12_000_000


@dataclass(frozen=True)
class Influencers:
    """Those whose ids are at least ``least`` and before ``below``; None: without this bound."""

    least: str | None = None
    below: str | None = None

    def of(self, rows: ir.Table, column: str = "influencer_id") -> ir.Table:
        """The rows that name one of them in ``column``; engines look for no other rows in what ``rows`` joins."""
        if self.least is not None:
            rows = rows.filter(rows[column] >= self.least)
        if self.below is not None:
            rows = rows.filter(rows[column] < self.below)
        return rows


EVERYBODY = Influencers()


def influencers_in_parts(ties: ir.Table, engine: Engine) -> list[Influencers]:
    """Everybody, or where ``ties`` (influencer_id, ...) has many rows, by rising ids so many that each part has few."""
    parts = -(-rows_in(ties, engine) // TIES_A_PART)
    if parts < 2:
        return [EVERYBODY]
    counted = engine.to_arrow(ties.group_by("influencer_id").agg(ties=ties.count()).order_by("influencer_id"))
    before = np.cumsum(counted["ties"].to_numpy()) - counted["ties"].to_numpy()
    starts = np.unique(np.searchsorted(before, np.arange(1, parts) * before[-1] // parts))
    bounds = [None, *counted["influencer_id"].take(starts[starts > 0]).to_pylist(), None]
    return [Influencers(least, below) for least, below in pairwise(bounds)]
